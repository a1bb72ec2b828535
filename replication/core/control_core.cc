#include "replication/core/control_core.h"

#include <algorithm>

#include "proto/types/assert.h"

namespace posthorse::replication {
namespace {

constexpr Duration ask_every = std::chrono::milliseconds{500};
constexpr Duration leave_every = std::chrono::milliseconds{200};
constexpr Duration patience_for_answers = std::chrono::seconds{10};
// A pool that was found and never answered is looked for again.
constexpr Duration patience_for_entry = std::chrono::seconds{15};

const PoolState nothing_committed;

Durable genesis(const Value& value) {
    Durable durable;
    for (const auto& member : value->members)
        durable.accepted.configuration.voters.push_back(member.id);
    durable.accepted.committed = durable.accepted.configuration;
    durable.accepted.value = value;
    return durable;
}

}  // namespace

ControlCore::ControlCore(ControlRecord record,
                         Settings settings,
                         UniqueFunction<std::uint64_t()> random)
    : settings_(std::move(settings)),
      random_(std::move(random)),
      record_(std::move(record)),
      gate_(record_),
      duties_(record_.self, settings_.pool.copies) {}

// ------------------------------------------------------------------ lifecycle

void ControlCore::start(BootTime now, Effects& out) {
    // A pool that was found before a restart and never entered is looked for anew.
    if (!record_.agreement.accepted.value) {
        record_.pool_id.clear();
        record_.pool_incarnation = 0;
        record_.agreement = {};
    }
    begin_incarnation();
    seek();
    if (record_.agreement.accepted.value) {
        inquiry_.emplace(record_, now);
        if (inquiry_->over(now)) enter(now);
    } else if (settings_.alone) {
        begin_pool(std::make_shared<const PoolState>(founding_->alone()), now);
    }
    if (election_) tick_member(now, out);  // alone it stands at once: one write less
    settle(now, out);
}

void ControlCore::go_on(const Lease& lease, BootTime now, Effects& out) {
    PH_ASSERT(record_.agreement.accepted.value);
    lease_ = lease;
    seek();
    enter(now);
    election_->agreed_elsewhere();
    judge_incarnation(out);
    refresh_acting(out);
    settle(now, out);
}

void ControlCore::seek() {
    founding_.emplace(record_.self, record_.incarnation, settings_.facts,
                      Founding::Settings{.expect = settings_.expect, .pool = settings_.pool},
                      record_.promise, [this] { return random_(); });
}

void ControlCore::begin_incarnation() {
    record_.incarnation = {record_.incarnation.counter + 1, random_()};
    lease_.begin(record_.incarnation);
    running_ = false;
}

void ControlCore::begin_pool(const Value& value, BootTime now) {
    record_.pool_id = value->pool_id;
    record_.pool_incarnation = value->incarnation;
    record_.promise.reset();
    record_.agreement = genesis(value);
    enter(now);
}

void ControlCore::join_pool(const Founding::Pool& pool, BootTime now) {
    record_.pool_id = pool.pool_id;
    record_.pool_incarnation = pool.incarnation;
    record_.agreement = {};
    enter(now);
}

void ControlCore::enter(BootTime now) {
    const auto term = inquiry_ ? inquiry_->term() : Term{};
    inquiry_.reset();
    election_.emplace(record_.self, record_.agreement, settings_.election,
                      [this] { return random_(); });
    election_->see_term(term);
    election_->written(gate_.on_disk().agreement);
    election_->begin(now);
    entered_ = now;
    next_ask_ = next_renewal_ = now;
}

bool ControlCore::is_member() const {
    const auto& value = election_->durable().accepted.value;
    return value && value->member(record_.self) != nullptr;
}

const PoolState& ControlCore::committed() const {
    return election_ && election_->committed() ? *election_->committed() : nothing_committed;
}

std::optional<PoolControl> ControlCore::gone_to() const {
    if (estranged_ || committed().control == PoolControl::embedded) return std::nullopt;
    return committed().control;
}

// After a committed value: is this incarnation over, or was it never this node's?
void ControlCore::judge_incarnation(Effects& out) {
    const auto* own = committed().member(record_.self);
    outsider_ = false;
    if (own == nullptr) {
        if (running_before_ && !leaving_) begin_incarnation();
        running_before_ = false;
        return;
    }
    if (own->incarnation == record_.incarnation) {
        running_before_ = true;
        if (own->live || leaving_) return;
        out.notices.push_back({"incarnation_ended", "the pool went on without this node"});
        return begin_incarnation();
    }
    if (own->incarnation.counter >= record_.incarnation.counter)
        estrange("the pool knows another start of this node, with the same number or a later one",
                 out);
}

void ControlCore::estrange(const std::string& why, Effects& out) {
    if (estranged_) return;
    estranged_ = true;
    running_ = false;
    refresh_acting(out);
    out.stranger = why;
}

// What this node may act on. It is recomputed before anything that was accepted is answered.
void ControlCore::refresh_acting(Effects& out) {
    Acting next;
    if (election_)
        next = acting_of(election_->committed(), election_->durable().accepted.value, record_.self,
                         record_.incarnation, estranged_ || leaving_);
    running_ = next.running;
    if (next.state == acting_) return;
    acting_ = std::move(next.state);
    out.changed = true;
}

bool ControlCore::lease_live(BootTime now, Duration margin) const {
    return running_ && may_act(lease_, election_->durable().accepted, record_.self, now, margin);
}

bool ControlCore::unevictable() const {
    return running_ && cannot_be_evicted(election_->durable().accepted, record_.self);
}

// ------------------------------------------------------------------ time

void ControlCore::tick(BootTime now, Effects& out) {
    if (estranged_) return;
    if (inquiry_) {
        tick_inquiry(now);
    } else if (election_) {
        tick_member(now, out);
    } else {
        tick_founding(now);
    }
    settle(now, out);
}

void ControlCore::tick_founding(BootTime now) {
    FoundingOutput output;
    founding_->greet(now, output);
    founding_->consider(now, output);
    absorb(std::move(output), now);
    if (election_ || founding_->promise()) return;
    if (const auto pool = founding_->pool(now)) {
        entry_address_ = pool->leader_address;
        join_pool(*pool, now);
    }
}

void ControlCore::tick_inquiry(BootTime now) {
    if (now >= next_ask_) {
        next_ask_ = now + leave_every;
        greet_members(now);
    }
    FoundingOutput output;
    founding_->greet(now, output);
    absorb(std::move(output), now);
    if (inquiry_->over(now)) enter(now);
}

// Members where they were last known, this node's own earlier address among them.
void ControlCore::greet_members(BootTime now) {
    const auto& value = record_.agreement.accepted.value;
    if (!value) return;
    for (const auto& member : value->members) {
        const auto address =
            member.id == record_.self ? member.facts.address : address_of(member.id);
        if (!address.empty() && address != settings_.facts.address)
            send(std::nullopt, address, Hello{address, founding_->known(now)});
    }
}

void ControlCore::tick_member(BootTime now, Effects& out) {
    ElectionOutput output;
    election_->tick(now, output);
    if (election_->leads() && duties_.blocked(now)) election_->renew_term(now, output);
    absorb(std::move(output), now, out);
    if (!election_->leader(now) || !is_member()) {
        FoundingOutput seeking;
        founding_->greet(now, seeking);
        absorb(std::move(seeking), now);
    }
    if (leaving_) return ask_to_leave(now);
    if (now >= next_renewal_) renew(now, out);
    tick_asked(now);
    const bool never_entered = !election_->durable().accepted.value && !election_->leader(now);
    if (never_entered && now - entered_ > patience_for_entry) look_again();
}

void ControlCore::look_again() {
    election_.reset();
    record_.pool_id.clear();
    record_.pool_incarnation = 0;
    record_.agreement = {};
}

// A renewal is preceded by a synced write of the store: a node whose disk hangs must not keep what
// it owns from others. A leader that does not know where this node is now cannot be heard: it is
// told, like by any other that comes.
void ControlCore::renew(BootTime now, Effects& out) {
    const auto leader = election_->leader(now);
    const auto address = leader ? address_of(*leader) : entry_address_;
    const bool comes = outsider_ || !is_member() || !leader;
    if (comes && address.empty()) return;  // as soon as there is somebody to ask
    next_renewal_ = now + ask_every;
    if (comes) return send(std::nullopt, address, AskToJoin{settings_.facts});
    if (std::exchange(probing_, true)) return;
    out.probe = true;
}

void ControlCore::probed(BootTime now, Effects& out) {
    probing_ = false;
    if (election_ && !estranged_ && !leaving_) {
        if (const auto leader = election_->leader(now))
            send(*leader, address_of(*leader), Renew{now, acted_on_, settings_.facts});
    }
    settle(now, out);
}

void ControlCore::tick_asked(BootTime now) {
    const auto leader = election_->leader(now);
    for (auto& asked : asked_) {
        if (!leader || now < asked.next_send) continue;
        asked.next_send = now + ask_every;
        send(*leader, address_of(*leader), Propose{asked.request, asked.change});
    }
    std::erase_if(asked_, [&](const Asked& asked) {
        if (now < asked.give_up) return false;
        answers_.push_back(
            {asked.request, Error{Errc::unknown, "the pool's leader did not answer in time"}});
        return true;
    });
}

void ControlCore::found(std::vector<std::string> addresses, bool complete) {
    founding_->found(std::move(addresses), complete);
}

std::uint64_t ControlCore::propose(Change change, BootTime now, Effects& out) {
    const auto request = ++last_request_;
    asked_.push_back({request, std::move(change), now + patience_for_answers, now});
    if (election_) tick_asked(now);
    settle(now, out);
    return request;
}

// ------------------------------------------------------------------ leaving

void ControlCore::leave(BootTime now, Effects& out) {
    leaving_ = true;
    refresh_acting(out);  // it stops owning before it asks
    next_ask_ = now;
    const bool asks_who_it_is = inquiry_.has_value();  // a member, then: it asks to leave later
    if (!asks_who_it_is && (!election_ || !is_member())) finish_leaving(now);
    settle(now, out);
}

void ControlCore::ask_to_leave(BootTime now) {
    if (left_ || now < next_ask_) return;
    next_ask_ = now + leave_every;
    const auto& accepted = election_->durable().accepted;
    const auto& members = accepted.value->members;
    const bool others = std::any_of(members.begin(), members.end(), [&](const Member& member) {
        return member.live && member.id != record_.self;
    });
    if (!others && votes_alone(accepted, record_.self)) return finish_leaving(now);
    // Whoever leads now: this node may be out of its hearing already.
    std::set<NodeId> asked{record_.self};
    for (const auto& member : members) asked.insert(member.id);
    for (const NodeId& node : asked) send(node, address_of(node), LeaveRequest{});
    if (election_->leader(now)) return;
    // Those who came since may be all that is left of the pool.
    for (const auto& address : founding_->known(now)) send(std::nullopt, address, LeaveRequest{});
}

void ControlCore::finish_leaving(BootTime now) {
    if (std::exchange(left_, true)) return;
    left_now_ = true;
    if (!election_ || !election_->leads()) return;
    if (const auto next = election_->successor())
        send(*next, address_of(*next), TakeLead{election_->agreement().term()});
    ElectionOutput output;
    election_->abdicate(now, output);
    LeaderDuties::Sends sends;
    duties_.lost(sends);
    absorb(std::move(sends));
}

Result<void> ControlCore::begin_without(const std::vector<NodeId>& others,
                                        BootTime now,
                                        Effects& out) {
    // Also a node that still asks who it is: nobody is there to answer it.
    const auto& value = record_.agreement.accepted.value;
    if (!value || value->member(record_.self) == nullptr)
        return Error{Errc::conflict, "this node is no member of a pool"};
    if (election_ && election_->leader(now))
        return Error{Errc::conflict, "the pool has a leader: remove nodes without --force"};
    auto begun = begun_without(*value, record_.self, others);
    if (!begun) return begun.error();
    auto state = *std::move(begun);
    state.control = PoolControl::embedded;
    record_.pool_incarnation = state.incarnation;
    auto& agreement = record_.agreement;
    agreement.current_term.value += 1;
    const Configuration self{{record_.self}};
    agreement.accepted = {agreement.current_term, state.version,
                          std::make_shared<const PoolState>(std::move(state)), self, self};
    begin_incarnation();
    enter(now);
    settle(now, out);
    return {};
}

// ------------------------------------------------------------------ effects

// Until nothing more follows from this event: messages to itself are taken at once.
void ControlCore::settle(BootTime now, Effects& out) {
    for (;;) {
        lead_on(now, out);
        if (election_) record_.agreement = election_->durable();
        if (founding_ && !election_) record_.promise = founding_->promise();
        std::vector<Outgoing> released = std::exchange(sends_, {});
        auto write = gate_.step(record_, std::exchange(gated_, {}), released);
        if (write) out.write = std::move(write);
        route(std::move(released), out);
        if (loop_.empty() || estranged_) break;
        const auto next = std::move(loop_.front());
        loop_.pop_front();
        if (check(next.header, next.message, now) == Refusal::none)
            dispatch(next.header, next.message, now, out);
    }
    std::move(answers_.begin(), answers_.end(), std::back_inserter(out.answers));
    answers_.clear();
    out.left = out.left || std::exchange(left_now_, false);
}

void ControlCore::lead_on(BootTime now, Effects& out) {
    if (!election_ || !election_->leads() || estranged_) return;
    ElectionOutput published;
    LeaderDuties::Sends sends;
    duties_.act(*election_, now, published, sends);
    absorb(std::move(published), now, out);
    absorb(std::move(sends));
}

void ControlCore::written(BootTime now, Effects& out) {
    std::vector<Outgoing> released;
    if (auto next = gate_.written(released)) out.write = std::move(next);
    if (election_) election_->written(gate_.on_disk().agreement);
    route(std::move(released), out);
    settle(now, out);
}

void ControlCore::absorb(ElectionOutput output, BootTime now, Effects& out) {
    LeaderDuties::Sends sends;
    if (output.lost) duties_.lost(sends);
    for (auto& one : output.now) {
        if (auto* heartbeat = std::get_if<Heartbeat>(&one.message)) fill_leases(*heartbeat, now);
        send(one.to, address_of(one.to), std::move(one.message));
    }
    for (auto& one : output.gated) send_gated(one.to, address_of(one.to), std::move(one.message));
    if (output.committed && duties_.leases().leads()) duties_.committed(*election_, now, sends);
    if (output.led) duties_.led(*election_, now);
    if (output.committed) judge_incarnation(out);
    if (output.accepted || output.committed) refresh_acting(out);
    absorb(std::move(sends));
}

void ControlCore::absorb(FoundingOutput output, BootTime now) {
    look_ = look_ || output.look;
    for (auto& one : output.now) send(one.to, one.address, std::move(one.message));
    for (auto& one : output.gated) send_gated(one.to, one.address, std::move(one.message));
    if (!output.begun || election_) return;
    const auto begun = output.begun;
    begin_pool(begun, now);
    for (const auto& member : begun->members) {
        if (member.id != record_.self)
            send_gated(member.id, member.facts.address, Begun{begun->pool_id});
    }
}

void ControlCore::absorb(LeaderDuties::Sends sends) {
    for (auto& one : sends) {
        const auto address = one.address.empty() ? address_of(one.to) : one.address;
        send(one.to, address, std::move(one.message));
    }
}

void ControlCore::fill_leases(Heartbeat& heartbeat, BootTime now) const {
    if (!committed().members.empty()) {
        for (const auto& member : committed().members) {
            const auto until = duties_.leases().expires(member.id);
            if (until) heartbeat.leases.emplace_back(member.id, std::max(*until - now, Duration{}));
        }
    }
}

// Messages to this node itself come back in, the others leave: also to another process that runs in
// its name, at another address.
void ControlCore::route(std::vector<Outgoing> messages, Effects& out) {
    for (auto& one : messages) {
        const bool own = one.address.empty() || one.address == settings_.facts.address;
        if (one.header.to == record_.self && own)
            loop_.push_back({std::move(one.header), std::move(one.message)});
        else if (!one.address.empty())
            out.sends.push_back(std::move(one));
    }
    out.look = out.look || std::exchange(look_, false);
}

// A crash must not make this node forget what it said of itself. What it becomes with the next
// write, it says after it.
Header ControlCore::header(std::optional<NodeId> to) const {
    return header_of(gate_.on_disk(), settings_.facts, to);
}

Outgoing ControlCore::outgoing(std::optional<NodeId> to,
                               const std::string& address,
                               Message message) const {
    return {address, header_of(record_, settings_.facts, to), std::move(message)};
}

// Nothing leaves in the name of an incarnation or a pool that a crash could make the disk forget.
void ControlCore::send(std::optional<NodeId> to, const std::string& address, Message message) {
    const auto& on_disk = gate_.on_disk();
    if (on_disk.incarnation != record_.incarnation || on_disk.pool_id != record_.pool_id)
        return send_gated(to, address, std::move(message));
    sends_.push_back(outgoing(to, address, std::move(message)));
}

void ControlCore::send_gated(std::optional<NodeId> to,
                             const std::string& address,
                             Message message) {
    gated_.push_back(outgoing(to, address, std::move(message)));
}

std::string ControlCore::address_of(const NodeId& node) const {
    if (node == record_.self) return settings_.facts.address;
    const auto heard = addresses_.find(node);
    if (heard != addresses_.end()) return heard->second;
    const auto& value =
        election_ ? election_->durable().accepted.value : record_.agreement.accepted.value;
    const auto* member = value ? value->member(node) : nullptr;
    return member == nullptr ? std::string{} : member->facts.address;
}

}  // namespace posthorse::replication
