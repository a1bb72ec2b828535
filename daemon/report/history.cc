#include "daemon/report/history.h"

#include <algorithm>
#include <string>

namespace posthorse::report {
namespace {

std::string counted(std::size_t count, const char* noun) {
    return std::to_string(count) + ' ' + noun + (count == 1 ? "" : "s");
}

// `middle` is what a stranger may have made long: it is cut for the sake of the rest.
std::string joined(const std::string& begin, const std::string& middle, const std::string& end) {
    const auto others = begin.size() + end.size();
    const auto room = others < history_text_max ? history_text_max - others : 0;
    return sanitise(begin + sanitise(middle, room) + end, history_text_max);
}

// Recipients that one line is about.
struct Group {
    std::uint32_t attempt;
    const DeliveryStatus* status;
    std::size_t recipients = 1;

    bool takes(std::uint32_t other_attempt, const DeliveryStatus& other) const {
        return attempt == other_attempt && status->remote == other.remote &&
               status->tls == other.tls && status->reply == other.reply;
    }
    std::string text() const {
        auto begin = "attempt " + std::to_string(attempt);
        if (status->remote.empty()) {
            begin += ", no server was asked: ";
        } else {
            const auto& tls = status->tls;
            begin += " at " + sanitise(status->remote, 80) + ", " +
                     (tls.empty() ? "in clear" : sanitise(tls, 50)) + ": ";
        }
        return joined(begin, status->reply.to_line(),
                      " (" + counted(recipients, "recipient") + ")");
    }
};

}  // namespace

std::vector<HistoryEvent> attempt_events(const Envelope& before,
                                         std::span<const RecipientOutcome> outcomes,
                                         const NodeId& node) {
    std::vector<Group> groups;
    std::size_t left_out = 0;
    for (const auto& outcome : outcomes) {
        const auto attempt = before.recipients.at(outcome.recipient).attempts + 1;
        const auto same = std::ranges::find_if(
            groups, [&](const Group& group) { return group.takes(attempt, outcome.status); });
        if (same != groups.end()) {
            ++same->recipients;
        } else if (groups.size() < attempt_events_max) {
            groups.push_back({attempt, &outcome.status});
        } else {
            ++left_out;
        }
    }
    std::vector<HistoryEvent> events;
    for (const auto& group : groups) events.push_back({group.status->at, node, group.text()});
    if (left_out > 0) {
        const auto others = "; other replies to " + counted(left_out, "recipient");
        events.back().what = joined("", events.back().what, others);
    }
    return events;
}

std::vector<HistoryEvent> notice_events(const Decision& decision,
                                        const NodeId& node,
                                        WallTime now) {
    std::vector<HistoryEvent> events;
    if (!decision.bounced.empty()) {
        const auto failed = counted(decision.bounced.size(), "recipient");
        events.push_back({now, node, "its sender is told: failed for " + failed});
    }
    if (!decision.delayed.empty()) {
        const auto delayed = counted(decision.delayed.size(), "recipient");
        events.push_back({now, node, "its sender is told: delayed for " + delayed});
    }
    if (!decision.relayed.empty()) {
        const auto relayed = counted(decision.relayed.size(), "recipient");
        events.push_back({now, node, "its sender is told: handed on for " + relayed});
    }
    if (!decision.delivered.empty()) {
        const auto delivered = counted(decision.delivered.size(), "recipient");
        events.push_back({now, node, "its sender is told: delivered for " + delivered});
    }
    return events;
}

}  // namespace posthorse::report
