// What a reader gets to see of the model, and the check of its reductions.
#include <algorithm>

#include "tests/model/coordination_model.h"

namespace posthorse::model {

using Kind = Message::Kind;

namespace {

std::string told(const Nodes& nodes, Action action) {
    if (action.code == Action::restart_code) return "restarts";
    if (action.code == Action::written_code) return "has written";
    if (action.code < Action::start_join_code) return "proposes";
    if (action.code >= Action::deliver_code) {
        const auto number = static_cast<MessageNumber>(action.code - Action::deliver_code);
        return "gets " + nodes.describe(nodes.message(number));
    }
    const unsigned code = action.code - Action::start_join_code;
    return "gets StartJoin of " + std::string(1, static_cast<char>('A' + code % 4)) + " for term " +
           std::to_string(code / 4);
}

}  // namespace

std::string CoordinationModel::tell(const State& state, std::uint32_t step) {
    const auto self = static_cast<Self>(step >> 20);
    const auto at = step >> 16 & 15u;
    const Action action{static_cast<std::uint16_t>(step & 0xFFFF)};
    std::vector<std::string> lines;
    State next = state;
    const Outcome outcome = nodes_.outcomes(state.nodes[self], action)[at];
    story_ = &lines;
    const auto fault = apply(next, self, outcome);
    if (!fault && scope_.reduction == Reduction::eager) count_votes(next);
    story_ = nullptr;
    std::string text = std::string(1, static_cast<char>('A' + self)) + " " + told(nodes_, action);
    if (at > 0) text += ", and crashes before that is written";
    for (std::size_t sent = 0; sent < outcome.sent_count; ++sent) {
        const auto& message = nodes_.message(outcome.sent[sent]);
        text += (is_sent(message) ? "; sends " : "; ") + nodes_.describe(message);
    }
    for (const auto& line : lines) text += "; " + line;
    for (Self node = 0; node < node_count; ++node) {
        if (next.nodes[node] != state.nodes[node])
            text += "\n          " + nodes_.describe(next.nodes[node]);
    }
    return text;
}

bool CoordinationModel::is_noop(NodeNumber node, MessageNumber message) {
    const Outcome outcome = *nodes_.outcomes(node, Action::deliver(message));
    return outcome.is_last && outcome.node == node && outcome.sent_count == 0;
}

std::string CoordinationModel::verify() {
    const std::size_t nodes = nodes_.state_count(), messages = nodes_.message_count();
    std::string fault;
    nodes_.for_each_call([&](NodeNumber before, const Outcome& outcome) {
        if (nodes_.info(outcome.node).term < nodes_.info(before).term)
            fault = "a term falls: " + nodes_.describe(before);
        for (std::size_t m = 0; m < messages && fault.empty(); ++m) {
            const auto& message = nodes_.message(static_cast<MessageNumber>(m));
            const bool is_for = !for_one(message) || message.to == nodes_.info(before).self;
            if (is_sent(message) && is_for && is_dead(before, message) &&
                !is_dead(outcome.node, message))
                fault = "comes to life again: " + nodes_.describe(message) + " at " +
                        nodes_.describe(outcome.node);
        }
    });
    for (NodeNumber node = 0; node < nodes && fault.empty(); ++node) {
        for (std::size_t m = 0; m < messages && fault.empty(); ++m) {
            const auto number = static_cast<MessageNumber>(m);
            const Message message = nodes_.message(number);
            const bool is_for = !for_one(message) || message.to == nodes_.info(node).self;
            if (is_sent(message) && is_for && is_dead(node, message) && !is_noop(node, number))
                fault =
                    "has an effect: " + nodes_.describe(message) + " at " + nodes_.describe(node);
        }
    }
    return fault;
}

}  // namespace posthorse::model
