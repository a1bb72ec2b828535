#include "tests/model/lease/process.h"

#include <algorithm>
#include <functional>

#include "proto/types/assert.h"

namespace posthorse::model::lease {

using namespace replication;
using Kind = Message::Kind;

namespace {

std::uint8_t small(std::uint64_t number) {
    PH_ASSERT(number < 256);
    return static_cast<std::uint8_t>(number);
}

Incarnation incarnation_of(const Message& message) {
    return {message.counter, message.random};
}

Place place_of(const Message& message) {
    return {Term{message.term}, PoolVersion{message.version}};
}

std::int16_t as_sent(BootTime time) {
    return static_cast<std::int16_t>(time.time_since_epoch().count());
}

BootTime sent_of(const Message& message) {
    return BootTime{Duration{message.sent}};
}

// A change that was computed from `state` itself.
void apply(PoolState& state, const Change& change) {
    if (auto next = changed(state, change)) state = *std::move(next);
}

}  // namespace

Process::Process(const Scope& scope, Values& values, Slot slot)
    : scope_(&scope),
      values_(&values),
      slot_(slot),
      node_(scope.processes[slot]),
      self_(id_of(node_)),
      fsm_(Durable{}),
      renewals_left_(scope.renewals[slot]),
      restarts_left_(scope.restarts[slot]) {}

// A clone begins as a later start of its node: the copy was made of a disk in use.
void Process::found(const Published& first, Clocks now, bool leads) {
    const auto first_slot =
        static_cast<Slot>(std::find(scope_->processes.begin(), scope_->processes.end(), node_) -
                          scope_->processes.begin());
    const bool is_clone = first_slot != slot_;
    incarnation_ = {is_clone ? 2u : 1u, slot_};
    lease_.begin(incarnation_);
    fsm_ = CoordinationFsm({{}, first});
    fsm_.start_join(first.term);
    if (is_clone) fsm_ = CoordinationFsm(fsm_.durable());
    if (is_clone) return;
    committed_ = first.value;
    committed_place_ = {first.term, first.version};
    ran_ = true;
    lease_.granted(incarnation_, lease_clock(now), ttl);
    if (!leads) return;
    // It was elected by all, and its first value is this one.
    for (const auto& voter : first.configuration.voters)
        fsm_.join(voter, {first.term, first.term, first.version});
    led_ = true;
    book_.lead(*first.value, now.boot);
    for (const auto& member : first.value->members)
        book_.arrived({member.id, member.incarnation, now.boot, first.version}, 0, now.boot);
    book_.confirmed(1, *first.value, now.boot);
}

BootTime Process::lease_clock(Clocks now) const {
    return scope_->driver == Driver::wall_clock ? now.wall : now.boot;
}

// ------------------------------------------------------------------ the agreement

void Process::stand(std::uint8_t term, Clocks now, Effects& out) {
    if (term <= this->term() || estranged_ || !votes(node_)) return;
    out.sent.push_back({.kind = Kind::start_join, .from = node_, .term = term});
    join_term(term, node_, now, out);
}

void Process::join_term(std::uint8_t term, std::uint8_t candidate, Clocks now, Effects& out) {
    const auto join = fsm_.start_join(Term{term});
    if (!join) return;
    lose();
    if (candidate == node_) return take_join(node_, *join, now, out);
    out.sent.push_back({.kind = Kind::join,
                        .from = node_,
                        .to = candidate,
                        .term = small(join->accepted_term.value),
                        .version = small(join->accepted_version.value),
                        .join_term = term});
}

void Process::lose() {
    book_.stop();
    led_ = false;
    in_flight_ = false;
    round_ = 0;
    peer_rounds_ = {};
    waiting_ = {};
    leavers_ = {};
}

void Process::take_join(std::uint8_t from, const Join& join, Clocks now, Effects& out) {
    const bool was_elected = fsm_.elected();
    fsm_.join(id_of(from), join);
    if (was_elected || !fsm_.elected()) return;
    const auto accepted = fsm_.durable().accepted;
    if (scope_->driver == Driver::lead_at_election) book_.lead(*accepted.value, now.boot);
    publish(*accepted.value, accepted.configuration, now, out);
}

void Process::publish(PoolState value, Configuration configuration, Clocks now, Effects& out) {
    value.version = {fsm_.accepted().version.value + 1};
    if (value.version.value > scope_->versions) return;
    const auto published = fsm_.propose(values_->keep(std::move(value)), std::move(configuration));
    PH_ASSERT(published.has_value());
    in_flight_ = true;
    fsm_.accept(*published);
    out.sent.push_back({.kind = Kind::publish,
                        .from = node_,
                        .term = small(published->term.value),
                        .version = small(published->version.value),
                        .published = values_->number_of(*published)});
    take_acceptance(node_, fsm_.accepted(), now, out);
}

void Process::take_acceptance(std::uint8_t from, const Place& place, Clocks now, Effects& out) {
    if (!fsm_.elected() || !in_flight_) return;
    const auto published = values_->number_of(fsm_.durable().accepted);
    if (!fsm_.accepted_by(id_of(from), place)) return;
    commit(place, now);
    out.committed = published;
    out.sent.push_back({.kind = Kind::commit,
                        .from = node_,
                        .term = small(place.term.value),
                        .version = small(place.version.value)});
    in_flight_ = false;
    if (std::exchange(led_, true) || scope_->driver == Driver::lead_at_election) return;
    book_.lead(newest(), now.boot);
}

void Process::commit(const Place& place, Clocks now) {
    if (place == committed_place_ || !fsm_.commit(place)) return;
    committed_ = fsm_.durable().accepted.value;
    committed_place_ = place;
    book_.committed(*committed_, now.boot);
    judge_incarnation();
}

// ------------------------------------------------------------------ incarnations

void Process::begin_incarnation() {
    incarnation_ = {incarnation_.counter + 1, slot_};
    lease_.begin(incarnation_);
}

void Process::judge_incarnation() {
    const auto* own = committed_->member(self_);
    if (own == nullptr) {
        if (ran_ && !leaving_) begin_incarnation();
        ran_ = false;
        return;
    }
    if (own->incarnation == incarnation_) {
        ran_ = true;
        if (!own->live && !leaving_) begin_incarnation();
        return;
    }
    estranged_ = own->incarnation.counter >= incarnation_.counter;
}

void Process::restart() {
    if (restarts_left_ == 0 || estranged_) return;
    restarts_left_ -= 1;
    begin_incarnation();
    lose();
    fsm_ = CoordinationFsm(fsm_.durable());
    committed_ = nullptr;
    committed_place_ = {};
    ran_ = leaving_ = false;
}

void Process::leave(Clocks, Effects& out) {
    if (leaving_ || estranged_ || !(scope_->leaves >> slot_ & 1)) return;
    leaving_ = true;
    for (std::uint8_t node = 0; node < nodes_max; ++node) {
        if (!((scope_->leaders | 1u << scope_->leader) >> node & 1)) continue;
        out.sent.push_back({.kind = Kind::leave,
                            .from = node_,
                            .to = node,
                            .counter = small(incarnation_.counter),
                            .random = small(incarnation_.random)});
    }
}

// ------------------------------------------------------------------ leases

void Process::renew(Clocks now, Effects& out) {
    const bool is_member = newest().member(self_) != nullptr;
    if (renewals_left_ == 0 || leaving_ || estranged_ || !is_member) return;
    renewals_left_ -= 1;
    const auto acted_on = committed_ ? committed_->version.value : 0;
    for (std::uint8_t node = 0; node < nodes_max; ++node) {
        if (!((scope_->leaders | 1u << scope_->leader) >> node & 1)) continue;
        out.sent.push_back({.kind = Kind::renew,
                            .from = node_,
                            .to = node,
                            .version = small(acted_on),
                            .sent = as_sent(lease_clock(now)),
                            .counter = small(incarnation_.counter),
                            .random = small(incarnation_.random)});
    }
}

void Process::take_renewal(const Message& message, Clocks now) {
    if (!book_.leads()) return;
    const auto node = id_of(message.from);
    const auto* member = newest().member(node);
    if (member == nullptr) return;
    const auto incarnation = incarnation_of(message);
    if (member->incarnation == incarnation)
        return book_.arrived({node, incarnation, sent_of(message), PoolVersion{message.version}},
                             round_, now.boot);
    auto& waiting = waiting_[message.from];
    if (incarnation.counter > std::max(waiting.counter, member->incarnation.counter))
        waiting = incarnation;
}

void Process::beat(Clocks now, Effects& out) {
    if (!fsm_.elected() || round_ == scope_->rounds) return;
    round_ += 1;
    out.sent.push_back({.kind = Kind::beat, .from = node_, .term = term(), .round = round_});
    grant(now, out);
}

std::uint64_t Process::confirmed_round() const {
    for (std::uint8_t round = round_; round > 0; --round) {
        std::vector<NodeId> votes;
        for (std::uint8_t node = 0; node < nodes_max; ++node) {
            if (node == node_ || peer_rounds_[node] >= round) votes.push_back(id_of(node));
        }
        if (fsm_.is_quorum(votes)) return round;
    }
    return 0;
}

void Process::grant(Clocks now, Effects& out) {
    if (!fsm_.elected() || !book_.leads()) return;
    for (const auto& grant : book_.confirmed(confirmed_round(), newest(), now.boot)) {
        const auto& renewal = grant.renewal;
        out.sent.push_back({.kind = Kind::renewed,
                            .from = node_,
                            .to = node_of(renewal.node),
                            .sent = as_sent(renewal.sent),
                            .counter = small(renewal.incarnation.counter),
                            .random = small(renewal.incarnation.random)});
    }
}

// ------------------------------------------------------------------ the leader's next value

bool Process::votes(std::uint8_t node) const {
    const auto& accepted = fsm_.durable().accepted;
    return accepted.configuration.contains(id_of(node)) || accepted.committed.contains(id_of(node));
}

std::optional<Start> Process::waiting_of(const PoolState& state, const NodeId& node) const {
    const auto& waiting = waiting_[node_of(node)];
    const auto* member = state.member(node);
    if (member == nullptr || waiting.counter <= member->incarnation.counter) return std::nullopt;
    return Start{node, waiting, {}};
}

void Process::end_and_begin(PoolState& next, Clocks now) const {
    Evict evict{book_.lapsed(now.boot), {}};
    std::erase_if(evict.ended, [&](const Ended& one) {
        return is_steady(one.node) || !next.is_live(one.node, one.incarnation);
    });
    for (const auto& ended : evict.ended) {
        if (auto start = waiting_of(next, ended.node)) evict.starts.push_back(*start);
    }
    if (!evict.ended.empty()) apply(next, evict);
    for (std::uint8_t node = 0; node < nodes_max; ++node) {
        if (auto start = waiting_of(next, id_of(node))) apply(next, *start);
    }
}

void Process::publish(const Extra* extra, Clocks now, Effects& out) {
    const auto& accepted = fsm_.durable().accepted;
    auto configuration = accepted.configuration;
    if (extra != nullptr && extra->voters) configuration = configuration_of(*extra->voters);
    if (!leads() || in_flight_ || !fsm_.may_propose(configuration)) return;
    if (accepted.version.value >= scope_->versions) return;
    auto next = newest();
    if (extra != nullptr && extra->change) {
        apply(next, *extra->change);
        if (next == newest()) return;
    }
    end_and_begin(next, now);
    for (std::uint8_t node = 0; node < nodes_max; ++node) {
        const Ended leaver{id_of(node), leavers_[node]};
        if (next.is_live(leaver.node, leaver.incarnation) && !votes(node))
            apply(next, Leave{leaver});
    }
    if (next == newest() && configuration == accepted.configuration) return;
    book_.proposed(next);
    publish(std::move(next), std::move(configuration), now, out);
}

// ------------------------------------------------------------------ messages

void Process::deliver(const Message& message, Clocks now, Effects& out) {
    if (estranged_) return;
    switch (message.kind) {
        case Kind::start_join:
            join_term(message.term, message.from, now, out);
            break;
        case Kind::join:
            take_join(message.from,
                      {Term{message.join_term}, Term{message.term}, PoolVersion{message.version}},
                      now, out);
            break;
        case Kind::publish:
            join_term(message.term, message.from, now, out);
            if (fsm_.accept(values_->published(message.published)) ||
                fsm_.accepted() == place_of(message))
                out.sent.push_back({.kind = Kind::accepted,
                                    .from = node_,
                                    .to = message.from,
                                    .term = message.term,
                                    .version = message.version});
            break;
        case Kind::accepted:
            take_acceptance(message.from, place_of(message), now, out);
            break;
        case Kind::commit:
            commit(place_of(message), now);
            break;
        case Kind::beat:
            join_term(message.term, message.from, now, out);
            if (message.term == term())
                out.sent.push_back({.kind = Kind::beat_reply,
                                    .from = node_,
                                    .to = message.from,
                                    .term = message.term,
                                    .round = message.round});
            break;
        case Kind::beat_reply:
            if (fsm_.elected() && message.term == term())
                peer_rounds_[message.from] = std::max(peer_rounds_[message.from], message.round);
            break;
        case Kind::renew:
            take_renewal(message, now);
            break;
        case Kind::renewed: {
            const bool late = scope_->driver == Driver::count_from_arrival;
            lease_.granted(incarnation_of(message), late ? now.boot : sent_of(message), ttl);
            break;
        }
        case Kind::leave:
            if (book_.leads() && newest().is_live(id_of(message.from), incarnation_of(message)))
                leavers_[message.from] = incarnation_of(message);
            break;
    }
    grant(now, out);
}

// ------------------------------------------------------------------ what it may do

std::optional<Epoch> Process::owned_epoch() const {
    const bool stopped = leaving_ && scope_->driver != Driver::leave_then_stop;
    if (!committed_ || estranged_ || stopped) return std::nullopt;
    const auto acting = acting_state(*committed_, newest(), self_, incarnation_);
    for (const auto& partition : acting.partitions) {
        if (partition.owner == self_) return partition.epoch;
    }
    return std::nullopt;
}

bool Process::may_act(Clocks now) const {
    return is_steady(self_) || replication::may_act(lease_, fsm_.durable().accepted, self_,
                                                    lease_clock(now), Duration{});
}

bool Process::is_steady(const NodeId& node) const {
    return scope_->steady >> node_of(node) & 1;
}

bool Process::operator==(const Process& other) const {
    const auto rest = [](const Process& p) {
        return std::tie(p.slot_, p.incarnation_, p.committed_, p.committed_place_, p.lease_, p.ran_,
                        p.leaving_, p.estranged_, p.renewals_left_, p.restarts_left_, p.led_,
                        p.in_flight_, p.round_, p.peer_rounds_, p.waiting_, p.leavers_);
    };
    return rest(*this) == rest(other) && fsm_.durable() == other.fsm_.durable() &&
           fsm_.unsaved() == other.fsm_.unsaved() && book_ == other.book_;
}

// Equal processes have equal ones; what the book hides makes no difference.
std::size_t Process::hash() const {
    std::size_t sum = 0;
    const auto add = [&](std::uint64_t word) { sum = (sum ^ word) * 0x9E3779B97F4A7C15u + 1; };
    const auto add_time = [&](const std::optional<BootTime>& time) {
        add(time ? static_cast<std::uint64_t>(time->time_since_epoch().count()) : 0);
    };
    const auto& durable = fsm_.durable();
    add(slot_);
    add(incarnation_.counter << 32 | durable.current_term.value);
    add(durable.accepted.term.value << 32 | durable.accepted.version.value);
    add(std::hash<const void*>{}(durable.accepted.value.get()));
    add(std::hash<const void*>{}(committed_.get()));
    add(fsm_.unsaved().joins.size() << 8 | fsm_.unsaved().accepted_by.size());
    add_time(lease_.expires());
    for (std::uint8_t node = 0; node < nodes_max; ++node) {
        add_time(book_.expires(id_of(node)));
        add(peer_rounds_[node]);
        add(waiting_[node].counter << 8 | leavers_[node].counter);
    }
    for (const auto& waiting : book_.waiting()) {
        add_time(waiting.arrived);
        add_time(waiting.renewal.sent);
        add(waiting.round << 8 | waiting.renewal.node.bytes[0]);
    }
    add(renewals_left_ * 64u + restarts_left_ * 16u + round_);
    add(led_ * 8u + in_flight_ * 4u + leaving_ * 2u + ran_);
    return sum ^ sum >> 29;
}

}  // namespace posthorse::model::lease
