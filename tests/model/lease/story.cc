// What a reader gets to see of the model.
#include <algorithm>

#include "tests/model/lease/model.h"

namespace posthorse::model::lease {

using namespace replication;
using Kind = Message::Kind;

namespace {

std::string node_text(std::uint8_t node) {
    return std::string(1, static_cast<char>('A' + node));
}

std::string place_text(std::uint64_t term, std::uint64_t version) {
    return std::to_string(term) + "." + std::to_string(version);
}

std::string incarnation_text(std::uint8_t node, std::uint64_t counter) {
    return node_text(node) + "(" + std::to_string(counter) + ")";
}

std::string voters_text(const Configuration& configuration) {
    std::string names = "{";
    for (const auto& voter : configuration.voters) names += node_text(node_of(voter));
    return names + "}";
}

// As units since the beginning, on the sender's clock.
std::string time_text(std::int64_t time) {
    return std::to_string(time % 1000 - 500);
}

std::string time_text(BootTime time) {
    return time_text(time.time_since_epoch().count());
}

}  // namespace

std::string Model::describe(const Published& published) const {
    const auto& value = *published.value;
    const auto& partition = value.partitions.front();
    std::string text = place_text(published.term.value, published.version.value) + " (lives:";
    for (const auto& member : value.members) {
        if (member.live)
            text += " " + incarnation_text(node_of(member.id), member.incarnation.counter);
    }
    text += ", owner: " + (partition.owner ? node_text(node_of(*partition.owner)) : "none");
    text += " in epoch " + std::to_string(partition.epoch.value);
    text += ", voters " + voters_text(published.configuration);
    if (published.configuration != published.committed)
        text += " after " + voters_text(published.committed);
    return text + ")";
}

std::string Model::describe(const Message& message) const {
    const auto incarnation = incarnation_text(message.from, message.counter);
    switch (message.kind) {
        case Kind::start_join:
            return "StartJoin of term " + std::to_string(message.term);
        case Kind::join:
            return "Join of " + node_text(message.from) + " in term " +
                   std::to_string(message.join_term) + ", having " +
                   place_text(message.term, message.version);
        case Kind::publish:
            return "Publish " + describe(machines_.published(message.published));
        case Kind::accepted:
            return "Accepted " + place_text(message.term, message.version) + " of " +
                   node_text(message.from);
        case Kind::commit:
            return "Commit " + place_text(message.term, message.version);
        case Kind::beat:
            return "Heartbeat " + std::to_string(message.round) + " of " + node_text(message.from) +
                   " in term " + std::to_string(message.term);
        case Kind::beat_reply:
            return "answer of " + node_text(message.from) + " to Heartbeat " +
                   std::to_string(message.round) + " in term " + std::to_string(message.term);
        case Kind::renew:
            return "Renew of " + incarnation + " sent at " + time_text(message.sent) + " to " +
                   node_text(message.to) + ", acted on version " + std::to_string(message.version);
        case Kind::renewed:
            return "Renewed for " + incarnation_text(message.to, message.counter) + ", sent at " +
                   time_text(message.sent);
        case Kind::leave:
            return "LeaveRequest of " + incarnation;
    }
    return {};
}

std::string Model::describe(const State& state, Slot slot) const {
    const auto& process = machines_.process(state.processes[slot]);
    const auto now = Machines::clocks(slot, time_of(state, slot));
    std::string text = incarnation_text(process.node(), process.incarnation().counter);
    const auto& processes = scope_.processes;
    if (std::count(processes.begin(), processes.end(), process.node()) > 1)
        text += " process " + std::to_string(slot);
    text += " at " + time_text(now.boot) + ": term " + std::to_string(process.term()) +
            ", accepted " + describe(process.fsm().durable().accepted);
    const auto known = process.committed_place();
    text += ", knows " + place_text(known.term.value, known.version.value) + " committed";
    const auto expires = process.lease().expires();
    text += expires ? ", lease to " + time_text(*expires) : ", no lease";
    if (process.fsm().elected()) text += ", elected";
    if (process.book().leads()) {
        text += ", leads:";
        for (std::uint8_t node = 0; node < nodes_max; ++node) {
            if (const auto until = process.book().expires(id_of(node)))
                text += " " + node_text(node) + " to " + time_text(*until);
        }
    }
    if (process.leaving()) text += ", leaving";
    if (entitled(state, slot)) text += ", ENTITLED";
    return text;
}

std::string Model::tell(const State& state, std::uint32_t step) {
    if (step == wall_step) return "the owner's wall clock is put back by a TTL";
    if (step >= time_step) {
        std::string text = "time goes on to " + std::to_string(state.time + scope_.tick);
        for (Slot slot = 0; slot < slots(); ++slot) {
            if (step >> slot & 1)
                text += ", a unit less for process " + std::to_string(slot) + " of " +
                        node_text(scope_.processes[slot]);
        }
        return text;
    }
    const auto slot = static_cast<Slot>(step >> 20);
    const Action action{static_cast<std::uint16_t>(step & 0xFFFF)};
    State next = state;
    apply(next, slot, action);
    deliver_at_once(next);
    std::string text = node_text(scope_.processes[slot]) + " ";
    if (action.code >= Action::deliver)
        text +=
            "gets " +
            describe(machines_.message(static_cast<MessageNumber>(action.code - Action::deliver)));
    else if (action.code >= Action::stand)
        text += "stands for term " + std::to_string(action.code - Action::stand);
    else if (action.code >= Action::publish_extra)
        text +=
            "publishes: " +
            std::string(
                scope_.extras[static_cast<std::size_t>(action.code - Action::publish_extra)].what);
    else if (action.code == Action::publish)
        text += "publishes what is due";
    else if (action.code == Action::renew)
        text += "renews";
    else if (action.code == Action::beat)
        text += "begins a round of heartbeats";
    else
        text += action.code == Action::leave ? "stops, to leave" : "restarts";
    for (const auto sent : machines_.call(state.processes[slot], action, time_of(state, slot)).sent)
        text += "; sends " + describe(machines_.message(sent));
    for (Slot changed = 0; changed < slots(); ++changed) {
        if (next.processes[changed] != state.processes[changed])
            text += "\n          " + describe(next, changed);
    }
    return text;
}

}  // namespace posthorse::model::lease
