// The messages of control_core.h: who may say what, and where each goes.
#include "replication/core/control_core.h"

#include <algorithm>

namespace posthorse::replication {
namespace {

template <class M, class... Ms>
constexpr bool is_one_of = (std::is_same_v<M, Ms> || ...);

// What the election machine takes as it is.
template <class M>
constexpr bool is_election_message = is_one_of<M,
                                               StartJoin,
                                               Join,
                                               Published,
                                               Accepted,
                                               Commit,
                                               PreVote,
                                               PreVoteReply,
                                               Heartbeat,
                                               TakeLead>;

// What only a leader says, or who would lead.
bool is_of_leader(const Message& message) {
    return std::visit(
        []<class M>(const M&) {
            return is_one_of<M, PreVote, StartJoin, Published, Commit, Heartbeat, Renewed,
                             Proposed>;
        },
        message);
}

}  // namespace

Refusal ControlCore::check(const Header& header, const Message& message, BootTime now) const {
    const bool greeting =
        std::holds_alternative<Hello>(message) || std::holds_alternative<HelloReply>(message);
    if (header.to && *header.to != record_.self) return Refusal::wrong_node;
    if (header.from == record_.self && header.incarnation != record_.incarnation && !greeting)
        return Refusal::stale_incarnation;
    if (is_of_another_pool(record_, header)) return Refusal::other_pool;
    const bool founding = std::holds_alternative<Promise>(message) ||
                          std::holds_alternative<Promised>(message) ||
                          std::holds_alternative<Begun>(message);
    if (greeting || founding) return Refusal::none;
    if (!election_) return Refusal::not_ready;
    if (header.pool_id.empty()) return Refusal::not_a_member;
    return check_member(header, message, now);
}

Refusal ControlCore::check_member(const Header& header,
                                  const Message& message,
                                  BootTime now) const {
    const bool coming = std::holds_alternative<AskToJoin>(message);
    const bool going = std::holds_alternative<LeaveRequest>(message) ||
                       std::holds_alternative<LeaveDone>(message) ||
                       std::holds_alternative<Estranged>(message);
    const auto& accepted = election_->durable().accepted;
    // This node may have been away since before the leader became a member: as long as it hears no
    // other, only that leader can tell it, or needs its vote to become one.
    const auto leader = election_->leader(now).value_or(header.from);
    const bool news = is_of_leader(message) && leader == header.from;
    const bool known = news || !accepted.value || accepted.value->member(header.from) != nullptr ||
                       accepted.configuration.contains(header.from) ||
                       accepted.committed.contains(header.from);
    if (!known && !coming && !going) return Refusal::not_a_member;
    return is_stale(header) && !coming ? Refusal::stale_incarnation : Refusal::none;
}

// A later start of the sender was heard, or another one with the same number.
bool ControlCore::is_stale(const Header& header) const {
    const auto heard = heard_.find(header.from);
    return heard != heard_.end() && header.incarnation != heard->second &&
           header.incarnation.counter <= heard->second.counter;
}

Refusal ControlCore::judge(const Header& header, BootTime now) const {
    if (estranged_) return Refusal::not_ready;
    if (!header.to) return Refusal::wrong_node;
    const auto refusal = check(header, Renew{}, now);  // as any member may send
    const bool knows_members = election_ && election_->durable().accepted.value;
    return refusal == Refusal::none && !knows_members ? Refusal::not_ready : refusal;
}

Refusal ControlCore::receive(const Header& header,
                             const Message& message,
                             BootTime now,
                             Effects& out) {
    if (estranged_) return Refusal::not_ready;
    const auto refusal = check(header, message, now);
    if (refusal != Refusal::none) {
        refused_ += 1;
        if (refusal == Refusal::other_pool && header.pool_id == record_.pool_id)
            part(header, now, out);
        return refusal;
    }
    learn(header, message);
    dispatch(header, message, now, out);
    settle(now, out);
    return Refusal::none;
}

// One of the two is of an earlier incarnation of the pool: a later one has begun without it.
void ControlCore::part(const Header& header, BootTime now, Effects& out) {
    const std::string why = "the pool began anew without this node";
    if (header.pool_incarnation > record_.pool_incarnation) return estrange(why, out);
    send(header.from, header.address, Estranged{why, header.incarnation});
    settle(now, out);
}

void ControlCore::learn(const Header& header, const Message& message) {
    if (header.from == record_.self || header.address.empty() || is_stale(header)) return;
    if (std::holds_alternative<Hello>(message)) return;  // it may be a copy that asks who it is
    if (header.pool_id == record_.pool_id) addresses_[header.from] = header.address;
    if (!std::holds_alternative<HelloReply>(message)) heard_[header.from] = header.incarnation;
}

void ControlCore::dispatch(const Header& header,
                           const Message& message,
                           BootTime now,
                           Effects& out) {
    std::visit([&](const auto& one) { on(header, one, now, out); }, message);
}

template <class M>
void ControlCore::on(const Header& header, const M& message, BootTime now, Effects& out) {
    const LeaderDuties::From from{header.from, header.incarnation, header.address};
    LeaderDuties::Sends sends;
    FoundingOutput founding;
    if constexpr (is_election_message<M>) {
        ElectionOutput output;
        election_->take(header.from, message, now, output);
        if constexpr (std::is_same_v<M, Heartbeat>) note_leases(message, now);
        absorb(std::move(output), now, out);
    } else if constexpr (std::is_same_v<M, HeartbeatReply>) {
        note_another(header, message);
        ElectionOutput output;
        election_->take(header.from, message, now, output);
        absorb(std::move(output), now, out);
    } else if constexpr (std::is_same_v<M, Renew>) {
        duties_.take(from, message, *election_, now);
    } else if constexpr (std::is_same_v<M, AskToJoin>) {
        duties_.take(from, message, now);
    } else if constexpr (std::is_same_v<M, Propose>) {
        duties_.take(from, message, sends);
    } else if constexpr (std::is_same_v<M, LeaveRequest>) {
        duties_.take(from, message, *election_, sends);
    } else if constexpr (std::is_same_v<M, Hello>) {
        founding_->take(header, message, now);
        greet_back(header, message, now);
    } else if constexpr (std::is_same_v<M, HelloReply>) {
        take_hello_reply(header, message, now, out);
    } else if constexpr (is_one_of<M, Promise, Begun>) {
        if (seeks_pool()) founding_->take(header, message, founding);
    } else if constexpr (std::is_same_v<M, Promised>) {
        if (seeks_pool())
            founding_->take(header, message, founding);
        else if (message.pool_id == record_.pool_id)
            send_gated(header.from, header.address, Begun{message.pool_id});
        else
            send_gated(header.from, header.address, Promise{message.attempt, nullptr});
    } else {
        take_answer(header, message, now, out);
    }
    absorb(std::move(sends));
    absorb(std::move(founding), now);
}

void ControlCore::take_answer(const Header&, const Renewed& renewed, BootTime, Effects&) {
    if (!lease_.granted(renewed.incarnation, renewed.sent, renewed.ttl)) return;
    next_renewal_ = std::max(next_renewal_, renewed.sent + renewed.ttl / 4);
}

void ControlCore::take_answer(const Header&, const Proposed& proposed, BootTime, Effects&) {
    // Another node may lead by now: it is asked again.
    if (proposed.error && proposed.error->code == Errc::unavailable) return;
    const auto erased = std::erase_if(
        asked_, [&](const Asked& asked) { return asked.request == proposed.request; });
    if (erased > 0) answers_.push_back({proposed.request, proposed.error});
}

void ControlCore::take_answer(const Header&, const LeaveDone& done, BootTime now, Effects&) {
    if (!leaving_ || done.incarnation != record_.incarnation) return;
    if (!left_) left_with_ = done.holds;
    finish_leaving(now);
}

void ControlCore::take_answer(const Header&, const Estranged& estranged, BootTime, Effects& out) {
    if (estranged.incarnation == record_.incarnation) estrange(estranged.why, out);
}

void ControlCore::take_hello_reply(const Header& header,
                                   const HelloReply& reply,
                                   BootTime now,
                                   Effects& out) {
    founding_->take(header, reply, now);
    if (inquiry_) {
        if (const auto why = inquiry_->take(header, reply)) estrange(*why, out);
        return;
    }
    if (election_) {
        if (header.pool_id != record_.pool_id) return;
        if (const auto why = later_start(record_.incarnation, reply)) return estrange(*why, out);
        const bool twin = header.from == record_.self && header.incarnation != record_.incarnation;
        if (twin && !running_) return estrange(another_process(header.address), out);
        if (reply.leader_address.empty()) return;
        entry_address_ = reply.leader_address;
        outsider_ = !reply.is_member;
        return;
    }
    const auto& promise = founding_->promise();
    const bool promised_began = promise && reply.standing == PoolStanding::member &&
                                header.pool_id == promise->genesis->pool_id;
    if (promised_began) begin_pool(Value(promise->genesis), now);
}

void ControlCore::note_leases(const Heartbeat& heartbeat, BootTime now) {
    leases_until_.clear();
    for (const auto& [node, left] : heartbeat.leases) leases_until_[node] = now + left;
}

// ------------------------------------------------------------------ greetings

void ControlCore::greet_back(const Header& header, const Hello& hello, BootTime now) {
    // Of two that begin at the same time on copies of one directory, the lower gives way.
    const bool twin = header.from == record_.self;
    if (twin && header.incarnation == record_.incarnation) return;
    if (twin && inquiry_ && header.incarnation > record_.incarnation) return;
    auto reply = hello_reply(header, now);
    reply.asked_at = hello.asked_at;
    send(header.from, header.address, std::move(reply));
}

HelloReply ControlCore::hello_reply(const Header& header, BootTime now) {
    HelloReply reply;
    reply.known = founding_->known(now);
    if (founding_->promise()) reply.standing = PoolStanding::promised;
    if (!record_.agreement.accepted.value) return reply;
    reply.standing = PoolStanding::member;
    reply.term = record_.agreement.current_term;
    // Also one that asks who it is itself says what its disk knows of others: when all begin at
    // once, nobody else can.
    if (const auto* member = record_.agreement.accepted.value->member(header.from)) {
        reply.is_member = true;
        reply.acknowledged = member->acknowledged;
        reply.incarnation = member->incarnation;
    }
    if (!election_) return reply;
    if (const auto leader = election_->leader(now)) {
        reply.leader = leader;
        reply.leader_address =
            *leader == record_.self ? settings_.facts.address : address_of(*leader);
    }
    if (!reply.is_member) return reply;
    reply.acknowledged = std::max(reply.acknowledged, election_->known_of(header.from));
    const auto heard = heard_.find(header.from);
    if (heard != heard_.end() && heard->second.counter >= reply.incarnation.counter)
        reply.incarnation = heard->second;
    auto& greeted = greeted_[header.from];
    if (greeted.incarnation != header.incarnation)
        greeted = {header.incarnation, election_->newest_round(), false};
    reply.another_lives = greeted.another_lives;
    return reply;
}

// An answer to a heartbeat that left after the greeting: whoever greeted is not the only one.
void ControlCore::note_another(const Header& header, const HeartbeatReply& reply) {
    const auto greeted = greeted_.find(header.from);
    if (greeted == greeted_.end()) return;
    auto& newcomer = greeted->second;
    // Of this leadership: a leader that was restarted may still be in the term of its last one.
    const auto& agreement = election_->agreement();
    const bool of_now = agreement.elected() && reply.term == agreement.term();
    if (of_now && header.incarnation != newcomer.incarnation && reply.round > newcomer.round)
        newcomer.another_lives = true;
}

const char* to_string(Refusal refusal) noexcept {
    switch (refusal) {
        case Refusal::none:
            return "none";
        case Refusal::other_pool:
            return "other_pool";
        case Refusal::not_a_member:
            return "not_a_member";
        case Refusal::stale_incarnation:
            return "stale_incarnation";
        case Refusal::wrong_node:
            return "wrong_node";
        case Refusal::not_ready:
            return "not_ready";
    }
    return "?";
}

}  // namespace posthorse::replication
