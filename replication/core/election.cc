#include "replication/core/election.h"

#include <algorithm>

#include "proto/types/assert.h"

namespace posthorse::replication {
namespace {

void add_all(std::vector<NodeId>& nodes, const Configuration& configuration) {
    for (const NodeId& voter : configuration.voters) add_node(nodes, voter);
}

Place place_of(const Published& published) {
    return {published.term, published.version};
}

bool is_settled(const Durable& durable) {
    return durable.accepted.committed == durable.accepted.configuration;
}

}  // namespace

Election::Election(NodeId self,
                   Durable durable,
                   Settings settings,
                   UniqueFunction<std::uint64_t()> random)
    : self_(self),
      settings_(settings),
      random_(std::move(random)),
      fsm_(durable),
      written_(std::move(durable)) {}

// ------------------------------------------------------------------ who is there

bool Election::is_voter() const {
    const auto& accepted = durable().accepted;
    return accepted.committed.contains(self_) || accepted.configuration.contains(self_);
}

std::vector<NodeId> Election::voters() const {
    std::vector<NodeId> nodes;
    add_all(nodes, durable().accepted.committed);
    add_all(nodes, durable().accepted.configuration);
    return nodes;
}

// All that a leader speaks to: members and voters, also of what it publishes just now.
std::vector<NodeId> Election::audience() const {
    auto nodes = voters();
    if (durable().accepted.value) {
        for (const auto& member : durable().accepted.value->members) add_node(nodes, member.id);
    }
    std::erase(nodes, self_);
    return nodes;
}

void Election::broadcast(const Message& message, const std::vector<NodeId>& to, Output& out) const {
    for (const NodeId& node : to) {
        if (node != self_) out.now.push_back({node, message});
    }
}

std::optional<NodeId> Election::leader(BootTime now) const {
    if (role_ == Role::leader) return self_;
    if (quiet(now)) return std::nullopt;
    return leader_;
}

bool Election::quiet(BootTime now) const {
    return !leader_ || now - leader_heard_ >= settings_.patience;
}

// ------------------------------------------------------------------ waiting and asking

void Election::begin(BootTime now) {
    follow(now);
    if (voters() == std::vector<NodeId>{self_}) act_at_ = now;  // there is nobody to wait for
}

void Election::follow(BootTime now) {
    role_ = Role::follower;
    led_ = false;
    in_flight_.reset();
    act_at_ = now + settings_.patience +
              Duration{random_() % static_cast<std::uint64_t>(settings_.back_off.count())};
}

void Election::wait_again(BootTime now) {
    role_ = Role::follower;
    failures_ += 1;
    const auto longest =
        std::min(settings_.back_off * (1u << std::min(failures_, 4u)), settings_.back_off_max);
    act_at_ = now + Duration{random_() % static_cast<std::uint64_t>(longest.count())};
}

void Election::tick(BootTime now, Output& out) {
    if (role_ == Role::leader) return tick_leader(now, out);
    if (now < act_at_) return;
    if (role_ != Role::follower) return wait_again(now);
    if ((is_voter() || needed_) && quiet(now)) ask(now, out);
}

void Election::ask(BootTime now, Output& out) {
    role_ = Role::asking;
    leader_.reset();
    pre_vote_round_ += 1;
    pre_votes_ = {self_};
    highest_seen_ = std::max(highest_seen_, fsm_.term());
    act_at_ = now + settings_.patience;
    broadcast(PreVote{pre_vote_round_, fsm_.accepted()}, voters(), out);
    if (fsm_.is_quorum(pre_votes_)) stand({highest_seen_.value + 1}, now, out);
}

void Election::take(const NodeId& from, const PreVote& message, BootTime now, Output& out) {
    const bool lacks = knows_less(message.accepted);
    const bool granted = role_ != Role::leader && quiet(now) && !lacks;
    // It counts on a vote that this node gave up, and on a word that this node cannot give it.
    needed_ = needed_ || (lacks && !is_voter());
    out.now.push_back({from, PreVoteReply{message.round, granted, fsm_.term()}});
}

void Election::take(const NodeId& from, const PreVoteReply& message, BootTime now, Output& out) {
    if (role_ != Role::asking || message.round != pre_vote_round_) return;
    highest_seen_ = std::max(highest_seen_, message.term);
    if (!message.granted) return;
    add_node(pre_votes_, from);
    if (fsm_.is_quorum(pre_votes_)) stand({highest_seen_.value + 1}, now, out);
}

// ------------------------------------------------------------------ standing and joining

void Election::stand(Term term, BootTime now, Output& out) {
    broadcast(StartJoin{term}, audience(), out);
    take(self_, StartJoin{term}, now, out);
    role_ = Role::candidate;
    // A vote that is split is tried again before anybody's patience ends; joins that come meanwhile
    // still count.
    act_at_ = now + settings_.patience / 2;
}

void Election::take(const NodeId& from, const StartJoin& message, BootTime now, Output& out) {
    const auto join = fsm_.start_join(message.term);
    if (!join) return;
    if (role_ == Role::leader) out.lost = true;
    follow(now);
    leader_.reset();
    joined_ = from;
    join_ = *join;
    out.gated.push_back({from, *join});
}

void Election::take(const NodeId& from, const Join& message, BootTime now, Output& out) {
    const bool was_elected = fsm_.elected();
    fsm_.join(from, message);
    if (!was_elected && fsm_.elected()) win(now, out);
}

void Election::see_term(Term term) {
    if (!fsm_.start_join(term)) return;
    joined_.reset();
    join_.reset();
}

void Election::take(const NodeId& from, const TakeLead& message, BootTime now, Output& out) {
    if (message.term != fsm_.term() || leader_ != from || !is_voter()) return;
    stand({fsm_.term().value + 1}, now, out);
}

// ------------------------------------------------------------------ leading

void Election::win(BootTime now, Output& out) {
    role_ = Role::leader;
    needed_ = false;
    led_ = false;
    leader_ = self_;
    failures_ = 0;
    rounds_.clear();
    confirmed_at_ = now;
    peers_.clear();
    for (const NodeId& node : audience()) peers_[node].heard = now;
    PH_ASSERT(durable().accepted.value != nullptr);
    publish(*durable().accepted.value, durable().accepted.configuration, now, out);
    beat(now, out);
}

bool Election::may_publish(const Configuration& configuration) const {
    return role_ == Role::leader && !in_flight_ && fsm_.may_propose(configuration);
}

void Election::publish(PoolState value, Configuration configuration, BootTime now, Output& out) {
    value.version = next_version();
    for (auto& member : value.members) {
        member.acknowledged = std::max(member.acknowledged, known_of(member.id));
    }
    auto published =
        fsm_.propose(std::make_shared<const PoolState>(std::move(value)), std::move(configuration));
    PH_ASSERT(published.has_value());
    send_published(*std::move(published), now, out);
}

// The leader accepts its own at once; what it says of that waits for its disk like any other's.
void Election::send_published(Published published, BootTime now, Output& out) {
    in_flight_ = published;
    in_flight_since_ = now;
    take(self_, published, now, out);
    // A leader whose term is not on its disk could be elected in it again, and publish twice.
    auto& way = term_is_written() ? out.now : out.gated;
    for (const NodeId& node : audience()) way.push_back({node, published});
}

void Election::tick_leader(BootTime now, Output& out) {
    const bool alone = now - confirmed_at_ > settings_.abdicate_after;
    const bool stuck = in_flight_ && now - in_flight_since_ > settings_.abdicate_after;
    if (alone || stuck) return abdicate(now, out);
    if (now >= next_beat_) beat(now, out);
}

void Election::beat(BootTime now, Output& out) {
    next_beat_ = now + settings_.heartbeat;
    round_ += 1;
    rounds_.push_back({round_, now});
    const auto& joined = fsm_.joined();
    for (const NodeId& node : audience()) {
        const bool has_join = std::binary_search(joined.begin(), joined.end(), node);
        out.now.push_back({node, Heartbeat{fsm_.term(), round_, committed_place_, has_join, {}}});
        peers_.try_emplace(node, Peer{.round = 0, .heard = now, .accepted = {}});
    }
    note_confirmation();
}

// Others may be elected meanwhile: nothing is said, so that they are not held up.
void Election::abdicate(BootTime now, Output& out) {
    follow(now);
    leader_.reset();
    act_at_ += settings_.patience;
    out.lost = true;
}

void Election::renew_term(BootTime now, Output& out) {
    stand({std::max(highest_seen_, fsm_.term()).value + 1}, now, out);
}

void Election::take(const NodeId& from, const HeartbeatReply& message, BootTime now, Output& out) {
    if (role_ != Role::leader) return;
    if (message.term > fsm_.term()) {
        // It can follow nobody in a lower term than its own.
        highest_seen_ = std::max(highest_seen_, message.term);
        if (led_) renew_term(now, out);
        return;
    }
    if (message.term < fsm_.term()) {
        out.now.push_back({from, StartJoin{fsm_.term()}});
        return;
    }
    auto& peer = peers_[from];
    peer.round = std::max(peer.round, message.round);
    peer.heard = now;
    peer.accepted = std::max(peer.accepted, message.accepted);
    peer.configuration_committed =
        message.accepted == fsm_.accepted() && message.configuration_committed;
    note_confirmation();
    take(from, Accepted{message.accepted}, now, out);  // its word for that may have been lost
    mend(from, now, out);
}

// Repeats what a node lacks, once its last message had time to arrive.
void Election::mend(const NodeId& node, BootTime now, Output& out) {
    if (now - in_flight_since_ < settings_.heartbeat || !term_is_written()) return;
    const auto& accepted = durable().accepted;
    if (accepted.term != fsm_.term() || peers_[node].accepted >= place_of(accepted)) return;
    out.now.push_back({node, accepted});
}

std::uint64_t Election::confirmed_round() const {
    std::vector<std::uint64_t> rounds{round_};
    for (const auto& [node, peer] : peers_) rounds.push_back(peer.round);
    std::sort(rounds.rbegin(), rounds.rend());
    rounds.erase(std::unique(rounds.begin(), rounds.end()), rounds.end());
    for (const auto round : rounds) {
        if (fsm_.is_quorum(answering(round))) return round;
    }
    return 0;
}

void Election::note_confirmation() {
    const auto confirmed = confirmed_round();
    for (const auto& round : rounds_) {
        if (round.number <= confirmed) confirmed_at_ = std::max(confirmed_at_, round.begun);
    }
    std::erase_if(rounds_, [&](const Round& round) { return round.number <= confirmed; });
}

// ------------------------------------------------------------------ publications

void Election::take(const NodeId& from, const Published& message, BootTime now, Output& out) {
    if (message.term > fsm_.term()) take(from, StartJoin{message.term}, now, out);
    if (message.term != fsm_.term()) return;
    if (from != self_) heard_leader(from, now);
    if (fsm_.accept(message)) out.accepted = true;
    if (place_of(message) == fsm_.accepted()) {
        out.gated.push_back({from, Accepted{fsm_.accepted()}});
    }
}

// A publication is over when it is committed and on the leader's own disk too: a leader whose disk
// hangs must not go on by the disks of others.
void Election::take(const NodeId& from, const Accepted& message, BootTime now, Output& out) {
    if (role_ != Role::leader) return;
    auto& peer = peers_[from];
    if (message.place > peer.accepted) {
        peer.accepted = message.place;
        peer.configuration_committed = false;  // that was said of an earlier one
    }
    peer.heard = now;
    if (!in_flight_ || message.place != place_of(*in_flight_)) return;
    if (fsm_.accepted_by(from, message.place) && committed_place_ != message.place) {
        commit(message.place, out);
        broadcast(Commit{message.place}, audience(), out);
    }
    if (committed_place_ != message.place || peers_[self_].accepted != message.place) return;
    in_flight_.reset();
    if (std::exchange(led_, true)) return;
    out.led = true;
}

void Election::take(const NodeId& from, const Commit& message, BootTime now, Output& out) {
    if (message.place.term != fsm_.term()) return;
    heard_leader(from, now);
    commit(message.place, out);
}

void Election::agreed_elsewhere() {
    committed_ = durable().accepted.value;
    committed_place_ = fsm_.accepted();
}

void Election::commit(const Place& place, Output& out) {
    if (place == committed_place_ || !fsm_.commit(place)) return;
    committed_ = durable().accepted.value;
    committed_place_ = place;
    out.committed = true;
}

void Election::take(const NodeId& from, const Heartbeat& message, BootTime now, Output& out) {
    if (message.term > fsm_.term()) take(from, StartJoin{message.term}, now, out);
    if (message.term == fsm_.term()) {
        heard_leader(from, now);
        commit(message.committed, out);
        if (!message.joined && joined_ == from && join_) out.gated.push_back({from, *join_});
    }
    out.now.push_back({from, HeartbeatReply{fsm_.term(), message.round, place_of(written_.accepted),
                                            is_settled(written_)}});
}

void Election::heard_leader(const NodeId& from, BootTime now) {
    if (role_ == Role::leader) return;
    leader_ = from;
    leader_heard_ = now;
    failures_ = 0;
    needed_ = false;
    follow(now);
}

// ------------------------------------------------------------------ what the leader knows

std::vector<NodeId> Election::away(BootTime now) const {
    std::vector<NodeId> nodes;
    for (const auto& [node, peer] : peers_) {
        if (node != self_ && now - peer.heard > settings_.abdicate_after) nodes.push_back(node);
    }
    return nodes;
}

std::vector<NodeId> Election::answering(std::uint64_t round) const {
    std::vector<NodeId> nodes{self_};
    for (const auto& [node, peer] : peers_) {
        if (node != self_ && peer.round >= round) nodes.push_back(node);
    }
    return nodes;
}

std::optional<BootTime> Election::heard(const NodeId& node) const {
    const auto peer = peers_.find(node);
    if (role_ != Role::leader || peer == peers_.end()) return std::nullopt;
    return peer->second.heard;
}

Place Election::known_of(const NodeId& node) const {
    if (node == self_) return place_of(written_.accepted);
    const auto peer = peers_.find(node);
    return peer == peers_.end() ? Place{} : peer->second.accepted;
}

bool Election::everywhere_committed() const {
    if (role_ != Role::leader || committed_place_ != fsm_.accepted()) return false;
    std::vector<NodeId> votes;
    if (place_of(written_.accepted) == committed_place_ && is_settled(written_))
        add_node(votes, self_);
    for (const auto& [node, peer] : peers_) {
        if (node != self_ && peer.accepted == committed_place_ && peer.configuration_committed)
            add_node(votes, node);
    }
    return durable().accepted.configuration.is_majority(votes);
}

std::optional<NodeId> Election::successor() const {
    std::optional<NodeId> best;
    for (const auto& [node, peer] : peers_) {
        const bool fit = node != self_ && durable().accepted.configuration.contains(node) &&
                         peer.accepted == fsm_.accepted();
        if (fit && (!best || peer.heard > peers_.at(*best).heard)) best = node;
    }
    return best;
}

}  // namespace posthorse::replication
