#include "replication/core/leader_duties.h"

#include <algorithm>

#include "replication/core/placement.h"

namespace posthorse::replication {
namespace {

// A waiting incarnation that was not heard for this long starts when it is heard again.
constexpr Duration heard_lately = std::chrono::seconds{3};
constexpr Duration blocked_for_long = std::chrono::seconds{5};
// Whoever answered no heartbeat for this long may be dead before its lease says so.
constexpr Duration silent_after = std::chrono::seconds{1};

const PoolState& newest(const Election& election) {
    return *election.durable().accepted.value;
}

bool votes(const Election& election, const NodeId& node) {
    const auto& accepted = election.durable().accepted;
    return accepted.configuration.contains(node) || accepted.committed.contains(node);
}

// Applies a change that was computed from `state` itself.
void apply(PoolState& state, const Change& change) {
    if (auto next = changed(state, change)) state = *std::move(next);
}

bool same_but_for_version(PoolState one, const PoolState& other) {
    one.version = other.version;
    return one == other;
}

}  // namespace

// ------------------------------------------------------------------ coming and going

void LeaderDuties::led(const Election& election, BootTime now) {
    book_.lead(newest(election), now);
    wish_.reset();
    rest_.reset();
    blocked_since_.reset();
}

void LeaderDuties::lost(Sends& out) {
    book_.stop();
    waiting_.clear();
    leaving_.clear();
    for (const auto& asked : asked_) {
        const auto code = asked.published ? Errc::unknown : Errc::unavailable;
        answer(asked, Error{code, "the pool's leader changed meanwhile"}, out);
    }
    asked_.clear();
}

void LeaderDuties::committed(const Election& election, BootTime now, Sends& out) {
    book_.committed(*election.committed(), now);
    answer_published(out);
}

void LeaderDuties::answer_published(Sends& out) {
    std::erase_if(asked_, [&](const Asked& asked) {
        if (asked.published) answer(asked, std::nullopt, out);
        return asked.published;
    });
}

void LeaderDuties::act(Election& election, BootTime now, ElectionOutput& published, Sends& out) {
    if (!election.leads() || !book_.leads()) return;
    if (newest(election).control != PoolControl::embedded) return refuse_all(out);
    for (const auto& grant : book_.confirmed(election.confirmed_round(), newest(election), now)) {
        const auto& renewal = grant.renewal;
        out.push_back({renewal.node, {}, Renewed{renewal.sent, renewal.incarnation, grant.ttl}});
    }
    const auto& before = election.durable().accepted;
    if (!election.may_publish(before.configuration) || rests(election, now)) return;
    auto next = newest(election);
    carry_out_asked(next, out);
    end_and_begin(next, election, now, out);
    let_go(next, election);
    place(next, election, now);
    auto configuration = choose_voters(next, election, now);
    if (configuration == before.configuration && same_but_for_version(next, *before.value)) {
        rest_ = {election.agreement().accepted(), election.away(now)};
        return answer_published(out);  // asked for what is so already
    }
    book_.proposed(next);
    election.publish(std::move(next), std::move(configuration), now, published);
}

// The pool goes on elsewhere from the value that was accepted, committed or not. Whoever leads may
// still commit it, and does nothing more: a lease that was renewed here could be ended there.
void LeaderDuties::refuse_all(Sends& out) {
    std::erase_if(asked_, [&](const Asked& asked) {
        if (!asked.published)
            answer(asked, Error{Errc::unavailable, "the pool moves to another control plane"}, out);
        return !asked.published;
    });
}

// A wish for other voters waits for answers, which any event may bring.
bool LeaderDuties::rests(const Election& election, BootTime now) const {
    return rest_ && !wish_ && *rest_ == Rest{election.agreement().accepted(), election.away(now)} &&
           due_to_end(newest(election), election, now).empty();
}

// ------------------------------------------------------------------ what nodes ask for

void LeaderDuties::answer(const Asked& asked, std::optional<Error> error, Sends& out) const {
    out.push_back({asked.from.node, asked.from.address, Proposed{asked.request, std::move(error)}});
}

void LeaderDuties::take(const From& from, const Propose& propose, Sends& out) {
    Asked asked{from, propose.request, propose.change};
    if (!book_.leads()) {
        return answer(asked, Error{Errc::unavailable, "this node does not lead the pool"}, out);
    }
    const auto again = [&](const Asked& other) {
        return other.from.node == from.node && other.from.incarnation == from.incarnation &&
               other.request == propose.request;
    };
    if (std::any_of(asked_.begin(), asked_.end(), again)) return;
    rest_.reset();
    asked_.push_back(std::move(asked));
}

void LeaderDuties::carry_out_asked(PoolState& next, Sends& out) {
    std::erase_if(asked_, [&](Asked& asked) {
        auto allowed = may_ask(next, asked.change, asked.from.node, asked.from.incarnation);
        auto changed_state =
            allowed ? changed(next, asked.change) : Result<PoolState>(allowed.error());
        if (!changed_state) {
            answer(asked, changed_state.error(), out);
            return true;
        }
        next = *std::move(changed_state);
        asked.published = true;
        return false;
    });
}

// ------------------------------------------------------------------ who lives

void LeaderDuties::hear(const From& from, const Facts& facts, BootTime now) {
    auto& waiting = waiting_[from.node];
    if (from.incarnation.counter < waiting.incarnation.counter) return;
    const bool known = waiting.incarnation == from.incarnation && waiting.facts == facts &&
                       now - waiting.heard <= heard_lately;
    if (!known) rest_.reset();
    waiting = {from.incarnation, facts, now};
}

void LeaderDuties::take(const From& from, const AskToJoin& ask, BootTime now) {
    if (book_.leads()) hear(from, ask.facts, now);
}

void LeaderDuties::take(const From& from,
                        const Renew& renew,
                        const Election& election,
                        BootTime now) {
    if (!book_.leads()) return;
    const auto* member = newest(election).member(from.node);
    if (member == nullptr) return;
    if (member->incarnation != from.incarnation) return hear(from, renew.facts, now);
    book_.arrived({from.node, from.incarnation, renew.sent, renew.acted_on},
                  election.newest_round(), now);
}

std::optional<Start> LeaderDuties::waiting_of(const PoolState& state,
                                              const NodeId& node,
                                              BootTime now) const {
    const auto found = waiting_.find(node);
    if (found == waiting_.end() || now - found->second.heard > heard_lately) return std::nullopt;
    const auto* member = state.member(node);
    if (member != nullptr && found->second.incarnation.counter <= member->incarnation.counter)
        return std::nullopt;
    return Start{node, found->second.incarnation, found->second.facts};
}

// A number that the pool knows, or a lower one, with another random part: the disk went back, or
// two nodes run on copies of one.
void LeaderDuties::estrange(const PoolState& state, Sends& out) {
    std::erase_if(waiting_, [&](const auto& entry) {
        const auto& [node, waiting] = entry;
        const auto* member = state.member(node);
        if (member == nullptr) return false;
        if (waiting.incarnation == member->incarnation) return true;
        if (waiting.incarnation.counter > member->incarnation.counter) return false;
        out.push_back({node, waiting.facts.address,
                       Estranged{"the pool knows a later start of this node, or another one with "
                                 "the same number",
                                 waiting.incarnation}});
        return true;
    });
}

std::vector<Ended> LeaderDuties::due_to_end(const PoolState& state,
                                            const Election& election,
                                            BootTime now) const {
    auto ended = book_.lapsed(now);
    const auto* own = state.member(self_);
    if (votes_alone(election.durable().accepted, self_) && own != nullptr && own->live &&
        waiting_of(state, self_, now)) {
        ended.push_back({self_, own->incarnation});
    }
    std::erase_if(ended,
                  [&](const Ended& one) { return !state.is_live(one.node, one.incarnation); });
    std::sort(ended.begin(), ended.end(),
              [](const Ended& one, const Ended& other) { return one.node < other.node; });
    ended.erase(std::unique(ended.begin(), ended.end()), ended.end());
    return ended;
}

std::vector<NodeId> LeaderDuties::silent(const PoolState& state,
                                         const Election& election,
                                         BootTime now) const {
    std::vector<NodeId> nodes;
    for (const auto& member : state.members) {
        const auto heard = election.heard(member.id);
        if (member.id != self_ && heard && now - *heard > silent_after) nodes.push_back(member.id);
    }
    return nodes;
}

void LeaderDuties::end_and_begin(PoolState& next,
                                 const Election& election,
                                 BootTime now,
                                 Sends& out) {
    estrange(next, out);
    Evict evict{due_to_end(next, election, now), {}, silent(next, election, now)};
    for (const auto& ended : evict.ended) {
        if (auto start = waiting_of(next, ended.node, now)) evict.starts.push_back(*start);
    }
    if (!evict.ended.empty()) apply(next, evict);
    for (const auto& [node, waiting] : waiting_) {
        const auto start = waiting_of(next, node, now);
        if (start && !next.is_live(node)) apply(next, *start);
    }
}

// ------------------------------------------------------------------ leaving

// Answered when the pool no longer needs the node: it has no vote, owns nothing, and a majority of
// those who stay have that on their disks.
void LeaderDuties::take(const From& from,
                        const LeaveRequest&,
                        const Election& election,
                        Sends& out) {
    if (!book_.leads()) return;
    const auto* member = newest(election).member(from.node);
    const bool known = member != nullptr && member->incarnation.counter <= from.incarnation.counter;
    if (known) {
        rest_.reset();
        leaving_[from.node] = from.incarnation;
    }
    if ((known && member->live) || votes(election, from.node) || !election.everywhere_committed())
        return;
    leaving_.erase(from.node);
    LeaveDone done{from.incarnation, {}};
    for (const auto& partition : newest(election).partitions) {
        if (partition.holds(from.node)) done.holds.push_back(partition.id);
    }
    out.push_back({from.node, from.address, std::move(done)});
}

// An earlier start of a node that leaves is not ended by the later one: it lapses first.
void LeaderDuties::let_go(PoolState& next, const Election& election) {
    for (const auto& [node, incarnation] : leaving_) {
        const auto* member = next.member(node);
        if (member == nullptr || member->incarnation.counter > incarnation.counter) continue;
        const Ended newest{node, member->incarnation};
        const bool earlier_lives = member->live && newest.incarnation != incarnation;
        if (!member->draining) apply(next, SetDraining{node, true});
        if (!votes(election, node) && !earlier_lives) apply(next, Leave{newest});
    }
}

// ------------------------------------------------------------------ placement

void LeaderDuties::place(PoolState& next, const Election& election, BootTime now) const {
    if (next.settings.copies != copies_) apply(next, SetCopies{copies_});
    for (const auto& change : tend(next, election.away(now))) apply(next, change);
}

Configuration LeaderDuties::choose_voters(const PoolState& next,
                                          const Election& election,
                                          BootTime now) {
    const auto& before = election.durable().accepted.configuration;
    const auto wanted = next_voters(before, next, election.away(now));
    if (!wanted) {
        wish_.reset();
    } else if (!wish_ || wish_->voters != *wanted) {
        wish_ = {*wanted, election.newest_round() + 1};
    }
    const bool ripe = wanted && answer_still(before, election);
    if (!ripe || election.may_publish(*wanted)) {
        blocked_since_.reset();
        return ripe ? *wanted : before;
    }
    if (!blocked_since_) blocked_since_ = now;
    return before;
}

// What voters accepted binds them, and one of those who must decide from then on may have died a
// moment ago with its disk: nothing could be decided any more. So who counts answers a round that
// began after the wish: most of them, and all when it takes more of them than before.
bool LeaderDuties::answer_still(const Configuration& before, const Election& election) const {
    const auto& voters = wish_->voters.voters;
    const auto answering = election.answering(wish_->round);
    if (voters.size() <= before.voters.size()) return wish_->voters.is_majority(answering);
    return std::all_of(voters.begin(), voters.end(), [&](const NodeId& voter) {
        return std::find(answering.begin(), answering.end(), voter) != answering.end();
    });
}

bool LeaderDuties::blocked(BootTime now) const {
    return blocked_since_ && now - *blocked_since_ > blocked_for_long;
}

}  // namespace posthorse::replication
