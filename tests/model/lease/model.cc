#include "tests/model/lease/model.h"

#include <algorithm>

#include "proto/types/assert.h"

namespace posthorse::model::lease {

using namespace replication;
using Kind = Message::Kind;

namespace {

Place place_of(const Message& message) {
    return {Term{message.term}, PoolVersion{message.version}};
}

}  // namespace

bool Model::State::contains(MessageNumber message) const {
    const auto* const end = messages.data() + message_count;
    return std::find(messages.data(), end, message) != end;
}

void Model::State::add(MessageNumber message) {
    if (contains(message)) return;
    PH_ASSERT(message_count < message_count_max);
    messages[message_count++] = message;
}

Model::Model(const Scope& scope) : scope_(scope), machines_(scope) {
    const auto processes = machines_.found();
    std::copy(processes.begin(), processes.end(), initial_.processes.begin());
    if (!scope.evict_proposed) return;
    initial_.time = static_cast<std::uint8_t>(ttl.count());
    for (Slot slot = 0; slot < slots(); ++slot) {
        if (scope.processes[slot] == scope.leader) apply(initial_, slot, {Action::publish});
    }
}

Time Model::time_of(const State& state, Slot slot) const {
    const auto boot = static_cast<std::uint8_t>(state.time - state.lost[slot]);
    const bool is_owner = scope_.processes[slot] == scope_.owner;
    return {boot, is_owner ? state.put_back : std::uint8_t{0}};
}

// ------------------------------------------------------------------ steps

void Model::collect(const State& state) {
    steps_.clear();
    for (Slot slot = 0; slot < slots(); ++slot) {
        collect(state, slot, {Action::renew});
        collect(state, slot, {Action::beat});
        collect(state, slot, {Action::leave});
        collect(state, slot, {Action::restart});
        collect(state, slot, {Action::publish});
        for (std::size_t at = 0; at < scope_.extras.size(); ++at)
            collect(state, slot, {static_cast<std::uint16_t>(Action::publish_extra + at)});
        if (scope_.leaders >> scope_.processes[slot] & 1) {
            for (std::uint16_t term = 2; term <= scope_.terms; ++term)
                collect(state, slot, {static_cast<std::uint16_t>(Action::stand + term)});
        }
        for (std::size_t at = 0; at < state.message_count; ++at) {
            const auto number = state.messages[at];
            const auto& message = machines_.message(number);
            if (!is_receiver(slot, message) || is_spent(state, slot, message)) continue;
            collect(state, slot, {static_cast<std::uint16_t>(Action::deliver + number)});
        }
    }
    collect_time(state);
}

void Model::collect(const State& state, Slot slot, Action action) {
    const auto& outcome = machines_.call(state.processes[slot], action, time_of(state, slot));
    const bool is_news = outcome.process != state.processes[slot] ||
                         std::any_of(outcome.sent.begin(), outcome.sent.end(),
                                     [&](MessageNumber sent) { return !state.contains(sent); });
    if (!is_news) return;
    State next = state;
    apply(next, slot, action);
    add_step(static_cast<std::uint32_t>(slot) << 20 | action.code, next);
}

void Model::collect_time(const State& state) {
    if (state.time + scope_.tick <= scope_.ticks * scope_.tick) {
        for (Mask slow = 0; slow < 1u << slots(); ++slow) {
            State next = state;
            next.time = static_cast<std::uint8_t>(state.time + scope_.tick);
            bool may = true;
            for (Slot slot = 0; slot < slots(); ++slot) {
                if (!(slow >> slot & 1)) continue;
                may = may && (scope_.drifting >> slot & 1) && state.lost[slot] == 0;
                next.lost[slot] += 1;
            }
            if (may) add_step(time_step | slow, next);
        }
    }
    if (scope_.driver == Driver::wall_clock && state.put_back == 0) {
        State next = state;
        next.put_back = static_cast<std::uint8_t>(ttl.count());
        add_step(wall_step, next);
    }
}

void Model::add_step(std::uint32_t number, State next) {
    deliver_at_once(next);
    forget(next);
    auto fault = check(next);
    steps_.push_back({number, next, std::move(fault)});
}

void Model::deliver_at_once(State& state) {
    while (deliver_one(state)) {
    }
}

bool Model::deliver_one(State& state) {
    for (std::size_t at = 0; at < state.message_count; ++at) {
        const auto number = state.messages[at];
        const auto& message = machines_.message(number);
        const bool counts_late = scope_.driver == Driver::count_from_arrival;
        if (message.kind != Kind::beat_reply && (message.kind != Kind::renewed || counts_late))
            continue;
        state.remove(at);
        for (Slot slot = 0; slot < slots(); ++slot) {
            if (is_receiver(slot, message))
                apply(state, slot, {static_cast<std::uint16_t>(Action::deliver + number)});
        }
        return true;
    }
    return false;
}

void Model::apply(State& state, Slot slot, Action action) {
    const auto& outcome = machines_.call(state.processes[slot], action, time_of(state, slot));
    state.processes[slot] = outcome.process;
    if (action.code >= Action::deliver) {
        const auto number = static_cast<MessageNumber>(action.code - Action::deliver);
        if (machines_.message(number).kind == Kind::renew) {
            for (std::size_t at = state.message_count; at-- > 0;) {
                if (state.messages[at] == number) state.remove(at);
            }
        }
    }
    for (const auto sent : outcome.sent) {
        reached_.grants += machines_.message(sent).kind == Kind::renewed;
        state.add(sent);
    }
    if (outcome.committed) commit(state, *outcome.committed);
}

void Model::commit(State& state, std::uint8_t published) {
    const auto& before = machines_.published(state.committed);
    const auto& now = machines_.published(published);
    if (Place{now.term, now.version} <= Place{before.term, before.version}) return;
    const auto epoch = [](const Published& one) { return one.value->partitions.front().epoch; };
    if (epoch(now) != epoch(before)) state.epoch_begun = state.time;
    state.committed = published;
    reached_.newest = std::max(reached_.newest, static_cast<std::uint8_t>(now.version.value));
}

// ------------------------------------------------------------------ messages

bool Model::is_receiver(Slot slot, const Message& message) const {
    const auto node = scope_.processes[slot];
    return message.to == Message::everybody ? node != message.from : node == message.to;
}

bool Model::is_spent(const State& state, Slot slot, const Message& message) const {
    const auto& process = machines_.process(state.processes[slot]);
    const auto& fsm = process.fsm();
    const auto now = Machines::clocks(slot, time_of(state, slot)).boot.time_since_epoch();
    const Duration sent{message.sent};
    switch (message.kind) {
        case Kind::start_join:
            return message.term <= process.term();
        case Kind::join:
            return message.join_term < process.term() || !fsm.unsaved().entered_term ||
                   std::binary_search(fsm.joined().begin(), fsm.joined().end(),
                                      id_of(message.from));
        case Kind::publish:
            return message.term < process.term() || place_of(message) <= fsm.accepted();
        case Kind::accepted:
            return message.term < process.term() || !process.in_flight() ||
                   place_of(message) < fsm.accepted() ||
                   std::binary_search(fsm.unsaved().accepted_by.begin(),
                                      fsm.unsaved().accepted_by.end(), id_of(message.from));
        case Kind::commit:
            return message.term < process.term() || place_of(message) < fsm.accepted() ||
                   place_of(message) <= process.committed_place();
        case Kind::beat:
            return message.term < process.term();
        case Kind::beat_reply:
            return message.term < process.term() || !fsm.elected() ||
                   message.round <= process.round_of(message.from);
        case Kind::renew:
            // Of whom it comes from, the first slot's clock: a clone's renewals are its own.
            return sent + ttl <=
                   Machines::clocks(static_cast<Slot>(message.sent / 1000), {state.time, 0})
                       .boot.time_since_epoch();
        case Kind::renewed: {
            const auto expires = process.lease().expires();
            const bool extends = !expires || *expires < BootTime{sent} + ttl - drift_margin(ttl);
            return !extends || (message.sent / 1000 == slot && sent + ttl <= now);
        }
        case Kind::leave:
            return false;
    }
    return false;
}

void Model::forget(State& state) const {
    for (std::size_t at = state.message_count; at-- > 0;) {
        const auto& message = machines_.message(state.messages[at]);
        bool spent = true;
        for (Slot slot = 0; slot < slots() && spent; ++slot)
            spent = !is_receiver(slot, message) || is_spent(state, slot, message);
        if (spent) state.remove(at);
    }
}

// ------------------------------------------------------------------ what must hold

bool Model::entitled(const State& state, Slot slot) const {
    const auto number = state.processes[slot];
    return machines_.owned_epoch(number) &&
           machines_.process(number).may_act(Machines::clocks(slot, time_of(state, slot)));
}

Model::Fault Model::check(const State& state) {
    std::vector<Slot> all;
    for (Slot slot = 0; slot < slots(); ++slot) {
        if (!entitled(state, slot)) continue;
        all.push_back(slot);
        const auto& process = machines_.process(state.processes[slot]);
        const auto now = Machines::clocks(slot, time_of(state, slot)).boot;
        reached_.takeovers += process.node() != scope_.owner || process.incarnation().counter > 1;
        reached_.exceptions +=
            !process.lease().live(now, Duration{}) && !(scope_.steady >> process.node() & 1);
    }
    if (all.size() > 1)
        return "two are entitled to the partition:\n          " + describe(state, all[0]) +
               "\n          " + describe(state, all[1]);
    return all.empty() ? Fault{} : check(state, all.front());
}

Model::Fault Model::check(const State& state, Slot slot) const {
    const auto& process = machines_.process(state.processes[slot]);
    const auto& newest = machines_.published(state.committed);
    const auto& partition = newest.value->partitions.front();
    const auto node = id_of(process.node());
    if (partition.owner != node || !newest.value->is_live(node, process.incarnation()))
        return "entitled, and " + describe(newest) + " is committed:\n          " +
               describe(state, slot);
    const bool is_old = machines_.owned_epoch(state.processes[slot]) != partition.epoch;
    if (is_old && state.time >= state.epoch_begun + 2 * ttl.count())
        return "entitled in an epoch that ended two TTLs ago:\n          " + describe(state, slot);
    return {};
}

// ------------------------------------------------------------------ as words

Fingerprint Model::fingerprint(const State& state) const {
    Fingerprint print;
    const auto add = [&](std::uint64_t kind, std::uint64_t word) {
        const auto mixed = mix(word ^ kind << 56);
        print += {mixed, mix(mixed ^ 0x5851F42D4C957F2Du)};
    };
    for (Slot slot = 0; slot < slots(); ++slot)
        add(1u + slot, std::uint64_t{state.processes[slot]} << 8 | state.lost[slot]);
    add(8, std::uint64_t{state.time} << 24 | std::uint64_t{state.put_back} << 16 |
               std::uint64_t{state.committed} << 8 | state.epoch_begun);
    for (std::size_t at = 0; at < state.message_count; ++at) add(9, state.messages[at]);
    return print;
}

void Model::pack(const State& state, std::vector<std::uint16_t>& out) const {
    for (Slot slot = 0; slot < slots(); ++slot) {
        out.push_back(static_cast<std::uint16_t>(state.processes[slot]));
        out.push_back(static_cast<std::uint16_t>(state.processes[slot] >> 16));
        out.push_back(state.lost[slot]);
    }
    out.push_back(static_cast<std::uint16_t>(state.time << 8 | state.put_back));
    out.push_back(static_cast<std::uint16_t>(state.committed << 8 | state.epoch_begun));
    out.push_back(state.message_count);
    out.insert(out.end(), state.messages.data(), state.messages.data() + state.message_count);
}

Model::State Model::unpack(const std::uint16_t*& at) const {
    State state;
    for (Slot slot = 0; slot < slots(); ++slot) {
        state.processes[slot] = at[0] | static_cast<ProcessNumber>(at[1]) << 16;
        state.lost[slot] = static_cast<std::uint8_t>(at[2]);
        at += 3;
    }
    state.time = static_cast<std::uint8_t>(*at >> 8);
    state.put_back = static_cast<std::uint8_t>(*at++);
    state.committed = static_cast<std::uint8_t>(*at >> 8);
    state.epoch_begun = static_cast<std::uint8_t>(*at++);
    state.message_count = static_cast<std::uint8_t>(*at++);
    std::copy(at, at + state.message_count, state.messages.begin());
    at += state.message_count;
    return state;
}

}  // namespace posthorse::model::lease
