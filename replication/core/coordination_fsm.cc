#include "replication/core/coordination_fsm.h"

#include <algorithm>

namespace posthorse::replication {
namespace {

std::size_t votes_in(const Configuration& configuration, const std::vector<NodeId>& votes) {
    return static_cast<std::size_t>(
        std::count_if(votes.begin(), votes.end(),
                      [&](const NodeId& node) { return configuration.contains(node); }));
}

}  // namespace

void add_node(std::vector<NodeId>& nodes, const NodeId& node) {
    const auto at = std::lower_bound(nodes.begin(), nodes.end(), node);
    if (at == nodes.end() || *at != node) nodes.insert(at, node);
}

bool Configuration::contains(const NodeId& node) const {
    return std::binary_search(voters.begin(), voters.end(), node);
}

bool Configuration::is_majority(const std::vector<NodeId>& votes) const {
    return 2 * votes_in(*this, votes) > voters.size();
}

bool Configuration::needs(const NodeId& node) const {
    return contains(node) && 2 * (voters.size() - 1) <= voters.size();
}

CoordinationFsm::CoordinationFsm(Durable durable) : durable_(std::move(durable)) {}

std::optional<Join> CoordinationFsm::start_join(Term term) {
    if (term <= durable_.current_term) return std::nullopt;
    durable_.current_term = term;
    unsaved_ = {};
    unsaved_.entered_term = true;
    return Join{term, durable_.accepted.term, durable_.accepted.version};
}

// A candidate that knows less than one of its voters could publish over what that one accepted.
bool CoordinationFsm::join(NodeId from, const Join& join) {
    if (join.term != durable_.current_term) return false;
    if (!unsaved_.entered_term) return false;
    if (Place{join.accepted_term, join.accepted_version} > accepted()) return false;
    add_node(unsaved_.joins, from);
    if (unsaved_.elected || !is_quorum(unsaved_.joins)) return true;
    unsaved_.elected = true;
    unsaved_.published = durable_.accepted.version;
    return true;
}

bool CoordinationFsm::is_quorum(const std::vector<NodeId>& votes) const {
    return durable_.accepted.committed.is_majority(votes) &&
           durable_.accepted.configuration.is_majority(votes);
}

// A new configuration waits until the last one is committed, and until a majority of it has joined
// this term: else its voters could still elect another leader of an older value.
bool CoordinationFsm::may_propose(const Configuration& configuration) const {
    if (!unsaved_.elected || unsaved_.published != durable_.accepted.version) return false;
    const auto& accepted = durable_.accepted;
    if (configuration == accepted.configuration) return true;
    return accepted.committed == accepted.configuration &&
           configuration.is_majority(unsaved_.joins);
}

std::optional<Published> CoordinationFsm::propose(Value value, Configuration configuration) {
    if (!may_propose(configuration)) return std::nullopt;
    unsaved_.published.value += 1;
    unsaved_.published_configuration = configuration;
    unsaved_.accepted_by.clear();
    return Published{durable_.current_term, unsaved_.published, std::move(value),
                     std::move(configuration), durable_.accepted.committed};
}

std::optional<Place> CoordinationFsm::accept(const Published& published) {
    if (published.term != durable_.current_term) return std::nullopt;
    const Place place{published.term, published.version};
    if (place <= accepted()) return std::nullopt;
    durable_.accepted = published;
    return place;
}

std::optional<Place> CoordinationFsm::accepted_by(NodeId from, const Place& place) {
    if (!unsaved_.elected) return std::nullopt;
    if (place != Place{durable_.current_term, unsaved_.published}) return std::nullopt;
    add_node(unsaved_.accepted_by, from);
    // Both: the configuration that is committed, and the one that this publication brings.
    if (!durable_.accepted.committed.is_majority(unsaved_.accepted_by)) return std::nullopt;
    if (!unsaved_.published_configuration.is_majority(unsaved_.accepted_by)) return std::nullopt;
    return place;
}

bool CoordinationFsm::commit(const Place& place) {
    if (place.term != durable_.current_term || place != accepted()) return false;
    durable_.accepted.committed = durable_.accepted.configuration;
    return true;
}

}  // namespace posthorse::replication
