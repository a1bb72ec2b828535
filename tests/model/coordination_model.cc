#include "tests/model/coordination_model.h"

#include <algorithm>

#include "proto/types/assert.h"

namespace posthorse::model {

using Kind = Message::Kind;

namespace {

bool keeps(const Scope& scope, const Nodes::Permutation& names) {
    if (Nodes::renamed(scope.initial, names) != scope.initial) return false;
    return std::all_of(scope.configurations.begin(), scope.configurations.end(), [&](Mask mask) {
        const auto& all = scope.configurations;
        return std::find(all.begin(), all.end(), Nodes::renamed(mask, names)) != all.end();
    });
}

// A step is numbered by node, call and outcome.
std::uint32_t step_number(Self self, Action action, std::size_t outcome) {
    return static_cast<std::uint32_t>(self) << 20 | static_cast<std::uint32_t>(outcome) << 16 |
           action.code;
}

}  // namespace

void CoordinationModel::State::add(MessageNumber message) {
    if (contains(message)) return;
    PH_ASSERT(message_count < messages.size());
    messages[message_count++] = message;
}

bool CoordinationModel::State::contains(MessageNumber message) const {
    const auto* const end = messages.data() + message_count;
    return std::find(messages.data(), end, message) != end;
}

CoordinationModel::CoordinationModel(const Scope& scope) : scope_(scope), nodes_(scope) {
    const bool waits = scope.driver == Driver::overtake || scope.driver == Driver::queue;
    for (std::size_t p = 0; p < Nodes::permutation_count; ++p) {
        const bool is_identity = p == 0;
        if (is_identity || (!waits && keeps(scope, Nodes::permutations()[p])))
            symmetries_.push_back(p);
    }
}

CoordinationModel::State CoordinationModel::initial() {
    State state;
    for (Self self = 0; self < node_count; ++self) state.nodes[self] = nodes_.initial(self);
    return state;
}

void CoordinationModel::collect(const State& state) {
    steps_.clear();
    for (Self self = 0; self < node_count; ++self) {
        for (std::uint8_t term = 1; term <= scope_.terms; ++term) {
            for (Self candidate = 0; candidate < node_count; ++candidate)
                collect(state, self, Action::start_join(term, candidate));
        }
        for (std::size_t at = 0; at < state.message_count; ++at) {
            const auto& message = nodes_.message(state.messages[at]);
            if (!is_sent(message) || (for_one(message) && message.to != self)) continue;
            if (is_dead(state.nodes[self], message)) continue;
            collect(state, self, Action::deliver(state.messages[at]));
        }
        for (std::size_t at = 0; at < scope_.configurations.size(); ++at) {
            const std::size_t values = scope_.values == Values::two ? 2 : 1;
            for (std::size_t value = 0; value < values; ++value)
                collect(state, self, Action::propose(at, value));
        }
        collect(state, self, Action::restart());
        if (scope_.driver >= Driver::overtake) collect(state, self, Action::written());
    }
}

void CoordinationModel::collect(const State& state, Self self, Action action) {
    for (std::size_t at = 0;; ++at) {
        const Outcome outcome = nodes_.outcomes(state.nodes[self], action)[at];
        const bool is_news =
            outcome.node != state.nodes[self] ||
            std::any_of(outcome.sent.begin(), outcome.sent.begin() + outcome.sent_count,
                        [&](MessageNumber message) { return !state.contains(message); });
        if (is_news) {
            State next = state;
            if (action.code == Action::restart_code && scope_.restarts != Scope::any_number) {
                const auto count = find(state, Kind::restarted, 0);
                std::uint8_t version = 0;
                if (count) version = nodes_.message(state.messages[*count]).spot.version;
                if (version == scope_.restarts) return;
                if (count) next.remove(*count);
                version += 1;
                next.add(nodes_.number_of({.kind = Kind::restarted, .spot = {0, version}}));
            }
            reached_.restarts += action.code == Action::restart_code;
            auto fault = apply(next, self, outcome);
            if (!fault && scope_.reduction == Reduction::eager) fault = count_votes(next);
            if (!fault) forget(next);
            steps_.push_back({step_number(self, action, at), next, std::move(fault)});
        }
        if (outcome.is_last) return;
    }
}

CoordinationModel::Fault CoordinationModel::apply(State& state, Self self, Outcome outcome) {
    state.nodes[self] = outcome.node;
    Fault fault;
    if (outcome.elected) fault = elect(state, self);
    for (std::size_t at = 0; at < outcome.sent_count && !fault; ++at)
        fault = send(state, outcome.sent[at]);
    return fault;
}

CoordinationModel::Fault CoordinationModel::send(State& state, MessageNumber number) {
    const Message message = nodes_.message(number);
    if (message.kind == Kind::publish) {
        if (auto fault = publish(state, message)) return fault;
    }
    state.add(number);
    if (message.kind == Kind::commit) return commit(state, message.spot);
    return {};
}

CoordinationModel::Fault CoordinationModel::elect(State& state, Self self) {
    const std::uint8_t term = nodes_.info(state.nodes[self]).memory_term;
    reached_.led_terms.insert(term);
    const auto leads = find(state, Kind::leads, term);
    if (!leads) {
        state.add(nodes_.number_of({.kind = Kind::leads, .from = self, .spot = {term, 0}}));
        return {};
    }
    const auto& known = nodes_.message(state.messages[*leads]);
    if (known.from == self) return {};
    return "two nodes were elected in term " + std::to_string(term) + ": " +
           static_cast<char>('A' + known.from) + " and " + static_cast<char>('A' + self);
}

CoordinationModel::Fault CoordinationModel::publish(State& state, const Message& publication) {
    const auto leads = find(state, Kind::leads, publication.spot.term);
    if (!leads)
        return "published by who was not elected in its term: " + nodes_.describe(publication);
    const Message known = nodes_.message(state.messages[*leads]);
    if (known.spot.version >= publication.spot.version || known.from != publication.from) {
        return "a second publication at one place: " + nodes_.describe(publication);
    }
    state.remove(*leads);
    state.add(nodes_.number_of(
        {.kind = Kind::leads, .from = publication.from, .spot = publication.spot}));
    return {};
}

CoordinationModel::Fault CoordinationModel::commit(State& state, const Spot& spot) {
    reached_.committed.insert(spot);
    std::size_t at = 0;
    while (at < state.message_count && nodes_.message(state.messages[at]).kind != Kind::top) ++at;
    if (at < state.message_count) {
        const Spot top = nodes_.message(state.messages[at]).spot;
        if (!on_one_branch(state, spot, top)) {
            const auto text = [](const Spot& s) {
                return std::to_string(s.term) + "." + std::to_string(s.version);
            };
            return text(spot) + " is committed, and so is " + text(top) +
                   ", and neither descends from the other";
        }
        if (spot < top) return {};
        state.remove(at);
    }
    state.add(nodes_.number_of({.kind = Kind::top, .spot = spot}));
    return {};
}

bool CoordinationModel::on_one_branch(const State& state, Spot one, Spot other) const {
    if (one < other) std::swap(one, other);
    while (one > other) {
        std::optional<Spot> parent;
        for (std::size_t at = 0; at < state.message_count; ++at) {
            const auto& message = nodes_.message(state.messages[at]);
            if (message.kind == Kind::descends && message.spot == one) parent = message.other;
        }
        PH_ASSERT(parent && *parent < one);
        one = *parent;
    }
    return one == other;
}

CoordinationModel::Fault CoordinationModel::count_votes(State& state) {
    Fault fault;
    while (!fault && count_a_vote(state, fault)) {
    }
    return fault;
}

bool CoordinationModel::count_a_vote(State& state, Fault& fault) {
    for (std::size_t at = 0; at < state.message_count; ++at) {
        const Message message = nodes_.message(state.messages[at]);
        if (!for_one(message) || is_dead(state.nodes[message.to], message)) continue;
        const Outcome outcome =
            *nodes_.outcomes(state.nodes[message.to], Action::deliver(state.messages[at]));
        if (outcome.node == state.nodes[message.to]) continue;
        if (story_ != nullptr) story_->push_back("and counts " + nodes_.describe(message));
        fault = apply(state, message.to, outcome);
        return true;
    }
    return false;
}

bool CoordinationModel::is_dead(NodeNumber node, const Message& message) const {
    const auto& info = nodes_.info(node);
    if (message.spot.term != info.term) return message.spot.term < info.term;
    if (scope_.reduction == Reduction::none) return false;
    switch (message.kind) {
        case Kind::join:
            return !info.entered;
        case Kind::publish:
            return message.spot <= info.accepted;
        case Kind::accepted:
            return !info.entered || (info.elected && message.spot.version < info.published);
        case Kind::commit:
            return message.spot < info.accepted ||
                   (message.spot == info.accepted && info.accepted_is_committed);
        default:
            return false;
    }
}

bool CoordinationModel::is_dead(const State& state, const Message& message) const {
    if (for_one(message)) return is_dead(state.nodes[message.to], message);
    return std::all_of(state.nodes.begin(), state.nodes.end(),
                       [&](NodeNumber node) { return is_dead(node, message); });
}

// Drops what can have no effect any more, and what no check can ask for any more.
void CoordinationModel::forget(State& state) {
    std::uint8_t term_min = 255;
    for (const auto node : state.nodes) term_min = std::min(term_min, nodes_.info(node).term);
    for (std::size_t at = state.message_count; at-- > 0;) {
        const auto& message = nodes_.message(state.messages[at]);
        const bool is_over = is_sent(message)
                                 ? is_dead(state, message)
                                 // Nobody can be elected or publish in a term that all have left.
                                 : message.kind == Kind::leads && message.spot.term < term_min;
        if (is_over) state.remove(at);
    }
    if (scope_.driver < Driver::overtake) forget_ancestry(state);
}

// Only what is accepted somewhere, or can still be, can be committed or built upon.
void CoordinationModel::forget_ancestry(State& state) {
    std::array<Spot, 24> needed;
    std::size_t count = 0;
    for (const auto node : state.nodes) needed[count++] = nodes_.info(node).accepted;
    for (std::size_t at = 0; at < state.message_count; ++at) {
        const auto& message = nodes_.message(state.messages[at]);
        if (message.kind == Kind::publish || message.kind == Kind::top) {
            PH_ASSERT(count < needed.size());
            needed[count++] = message.spot;
        }
    }
    std::array<bool, State::message_count_max> keep{};
    for (std::size_t n = 0; n < count; ++n) {
        Spot spot = needed[n];
        for (std::size_t at = 0; at < state.message_count;) {
            const auto& message = nodes_.message(state.messages[at]);
            const bool is_parent = message.kind == Kind::descends && message.spot == spot;
            if (is_parent && keep[at]) break;
            keep[at] = keep[at] || is_parent;
            if (is_parent) spot = message.other;
            at = is_parent ? 0 : at + 1;
        }
    }
    for (std::size_t at = state.message_count; at-- > 0;) {
        if (nodes_.message(state.messages[at]).kind == Kind::descends && !keep[at])
            state.remove(at);
    }
}

std::optional<std::size_t> CoordinationModel::find(const State& state,
                                                   Kind kind,
                                                   std::uint8_t term) const {
    for (std::size_t at = 0; at < state.message_count; ++at) {
        const auto& message = nodes_.message(state.messages[at]);
        if (message.kind == kind && message.spot.term == term) return at;
    }
    return {};
}

Fingerprint CoordinationModel::fingerprint(const State& state) const {
    std::optional<Fingerprint> least;
    for (const auto p : symmetries_) {
        Fingerprint print;
        for (const auto node : state.nodes) print += nodes_.node_print(node, p);
        for (std::size_t at = 0; at < state.message_count; ++at)
            print += nodes_.message_print(state.messages[at], p);
        if (!least || print < *least) least = print;
    }
    return *least;
}

void CoordinationModel::pack(const State& state, std::vector<std::uint16_t>& out) const {
    for (const auto node : state.nodes) {
        out.push_back(static_cast<std::uint16_t>(node));
        out.push_back(static_cast<std::uint16_t>(node >> 16));
    }
    out.push_back(state.message_count);
    out.insert(out.end(), state.messages.data(), state.messages.data() + state.message_count);
}

CoordinationModel::State CoordinationModel::unpack(const std::uint16_t*& at) const {
    State state;
    for (auto& node : state.nodes) {
        node = at[0] | static_cast<NodeNumber>(at[1]) << 16;
        at += 2;
    }
    state.message_count = static_cast<std::uint8_t>(*at++);
    std::copy(at, at + state.message_count, state.messages.begin());
    at += state.message_count;
    return state;
}

}  // namespace posthorse::model
