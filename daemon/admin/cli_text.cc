#include "daemon/admin/cli_text.h"

#include <algorithm>

#include <fmt/format.h>

#include "proto/types/date_time.h"

namespace posthorse::admin {
namespace {

constexpr int row_recipients_max = 10;
constexpr std::size_t sender_width = 30;

WallTime to_wall(const google::protobuf::Timestamp& time) {
    return WallTime{std::chrono::seconds{time.seconds()} +
                    std::chrono::milliseconds{time.nanos() / 1'000'000}};
}

std::string address_or_null(const std::string& address) {
    return address.empty() ? "<>" : address;
}

std::string state_name(v1::MessageState state) {
    const auto* value = v1::MessageState_descriptor()->FindValueByNumber(state);
    return value == nullptr ? "unknown" : short_name(*value);
}

// "450 4.2.0 try later; mx1.example.net[192.0.2.1]:25"; empty: no attempt yet.
std::string last_attempt(const v1::Recipient& recipient) {
    if (recipient.last_remote().empty()) return recipient.last_reply();
    return recipient.last_reply() + "; " + recipient.last_remote();
}

std::string bound_name(const google::protobuf::Duration& bound) {
    return fmt::format("<{}m", bound.seconds() / 60);
}

// "2 attempts, 1 undecided".
std::string in_doubt_text(const v1::Message& message) {
    std::string text = counted(message.attempts_in_doubt(), "attempt");
    if (message.undecided_size() > 0) {
        text += fmt::format(", {} undecided", message.undecided_size());
    }
    return text;
}

std::string node_title(const std::string& name, const std::string& id) {
    return name.empty() ? id.substr(0, 8) : name;
}

std::string undecided_text(const v1::UndecidedAttempt& attempt) {
    return fmt::format("{}  attempt {} at {}, by {}, {}: its end is not known yet",
                       format_time(attempt.start_time()), attempt.attempt(), attempt.remote(),
                       node_title(attempt.node_name(), attempt.node_id()),
                       counted(attempt.recipients(), "recipient"));
}

std::string joined(const google::protobuf::RepeatedPtrField<std::string>& words) {
    return fmt::format("{}", fmt::join(words, " "));
}

std::string history_text(const v1::Message& message) {
    std::size_t width = 0;
    for (const auto& event : message.history()) {
        width = std::max(width, node_title(event.node_name(), event.node_id()).size());
    }
    std::string text;
    for (const auto& event : message.history()) {
        text +=
            field(text.empty() ? "history" : "",
                  fmt::format("{}  {:<{}}  {}", format_time(event.time()),
                              node_title(event.node_name(), event.node_id()), width, event.what()));
    }
    return text;
}

std::string summary_row(const v1::DomainSummary& row, std::string_view name, int width) {
    std::string text =
        fmt::format("{:>{}} {:>7} {:>7}", name, width, row.messages(), row.recipients());
    for (const auto count : row.messages_by_age()) text += fmt::format(" {:>6}", count);
    return text + '\n';
}

}  // namespace

std::string format_time(const google::protobuf::Timestamp& time) {
    return format_date_time(to_wall(time));
}

std::string format_age(Duration age) {
    const auto seconds = std::max<std::int64_t>(0, age / std::chrono::seconds{1});
    if (seconds < 60) return fmt::format("{}s", seconds);
    if (seconds < 3600) return fmt::format("{}m", seconds / 60);
    if (seconds < 86'400) return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
    return fmt::format("{}d{:02}h", seconds / 86'400, seconds / 3600 % 24);
}

std::string format_size(std::uint64_t bytes) {
    constexpr std::string_view units = "KMGTPE";
    if (bytes < 1000) return std::to_string(bytes);
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    while (value >= 999.5 && unit + 1 < units.size()) {
        value /= 1024;
        ++unit;
    }
    const int digits = value < 9.95 ? 1 : 0;
    return fmt::format("{:.{}f}{}", value, digits, units[unit]);
}

std::string counted(std::uint64_t count, const char* noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string field(const char* name, const std::string& value) {
    return value.empty() ? "" : fmt::format("{:<13}{}\n", name, value);
}

std::string short_name(const google::protobuf::EnumValueDescriptor& value) {
    const std::string& type = value.type()->name();
    std::string prefix;
    for (const char c : type) {
        const bool upper = c >= 'A' && c <= 'Z';
        if (upper && !prefix.empty()) prefix += '_';
        prefix += upper ? c : static_cast<char>(c - 'a' + 'A');
    }
    std::string name = value.name();
    if (name.starts_with(prefix + '_')) name.erase(0, prefix.size() + 1);
    for (char& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return name;
}

std::string QueueTable::header() const {
    return fmt::format("{:<26} {:>6} {:>5} {:<9}{:<{}} {}\n", "QUEUE ID", "AGE", "SIZE", "STATE",
                       "SENDER", sender_width, "RECIPIENT (LAST ERROR)");
}

std::string QueueTable::row(const v1::Message& message) {
    ++messages_;
    bytes_ += message.size_bytes();
    if (v1::MessageState_IsValid(message.state())) {
        ++by_state_[static_cast<std::size_t>(message.state())];
    }
    std::string text = fmt::format("{:<26} {:>6} {:>5} {:<9}{:<{}} ", message.id(),
                                   format_age(now_ - to_wall(message.accept_time())),
                                   format_size(message.size_bytes()), state_name(message.state()),
                                   address_or_null(message.sender()), sender_width);
    const std::string indent(26 + 1 + 6 + 1 + 5 + 1 + 9 + sender_width + 1, ' ');
    int shown = 0;
    int left_out = 0;
    for (const auto& recipient : message.recipients()) {
        if (recipient.state() != v1::RECIPIENT_STATE_PENDING) continue;
        if (shown == row_recipients_max) {
            ++left_out;
            continue;
        }
        text += fmt::format("{}{}\n", shown++ == 0 ? "" : indent, recipient.address());
        const auto error = last_attempt(recipient);
        if (!error.empty()) text += fmt::format("{}  ({})\n", indent, error);
    }
    if (shown == 0) text += "-\n";
    if (left_out > 0) text += fmt::format("{}(and {} more: see queue show)\n", indent, left_out);
    if (!message.held_reason().empty()) {
        text += fmt::format("{:>27}held: {}\n", "", message.held_reason());
    }
    if (message.has_release_time() && to_wall(message.release_time()) > now_) {
        text += fmt::format("{:>27}waits for its release: {}\n", "",
                            format_time(message.release_time()));
    }
    if (message.attempts_in_doubt() > 0) {
        text += fmt::format("{:>27}in doubt: {}\n", "", in_doubt_text(message));
    }
    return text;
}

std::string QueueTable::footer(bool filtered) const {
    if (empty()) return filtered ? "No message matches.\n" : "The queue is empty.\n";
    std::string text =
        fmt::format("-- {}, {}:", counted(messages_, "message"), format_size(bytes_));
    bool first = true;
    for (std::size_t state = 1; state < by_state_.size(); ++state) {
        if (by_state_[state] == 0) continue;
        text += fmt::format("{} {} {}", first ? "" : ",", by_state_[state],
                            state_name(static_cast<v1::MessageState>(state)));
        first = false;
    }
    return text + '\n';
}

std::string message_text(const v1::Message& message) {
    const auto& origin = message.origin();
    std::string text = field("id", message.id()) + field("state", state_name(message.state())) +
                       field("held", message.held_reason()) +
                       field("sender", address_or_null(message.sender())) +
                       field("asks", joined(message.parameters())) +
                       field("size", std::to_string(message.size_bytes())) +
                       field("message-id", message.message_id()) +
                       field("accepted", format_time(message.accept_time()));
    if (message.has_due_time()) text += field("next attempt", format_time(message.due_time()));
    if (message.has_release_time()) text += field("release", format_time(message.release_time()));
    text += field("expires", format_time(message.expire_time()));
    text += field("listener", origin.listener()) + field("client", origin.client_address()) +
            field("helo", origin.helo()) + field("login", origin.login()) +
            field("protocol", origin.protocol()) + field("tls", origin.tls());
    if (message.attempts_in_doubt() > 0) {
        text += field("in doubt", in_doubt_text(message));
    }
    for (const auto& attempt : message.undecided()) text += field("", undecided_text(attempt));
    for (const auto& recipient : message.recipients()) {
        const auto state =
            short_name(*v1::RecipientState_descriptor()->FindValueByNumber(recipient.state()));
        text += field("recipient", fmt::format("{}  {}, {}", recipient.address(), state,
                                               counted(recipient.attempts(), "attempt"))) +
                field("", joined(recipient.parameters()));
        if (!recipient.has_last_attempt_time()) continue;
        text +=
            field("", format_time(recipient.last_attempt_time()) + "  " + last_attempt(recipient));
    }
    return text + history_text(message);
}

std::string summary_text(const v1::SummarizeResponse& summary) {
    int width = 8;
    for (const auto& row : summary.domains()) {
        width = std::max(width, static_cast<int>(row.domain().size()));
    }
    std::string text = fmt::format("{:>{}} {:>7} {:>7}", "DOMAIN", width, "MSGS", "RCPTS");
    for (const auto& bound : summary.age_bounds()) text += fmt::format(" {:>6}", bound_name(bound));
    text += fmt::format(" {:>6}\n", "older");
    text += summary_row(summary.total(), "TOTAL", width);
    for (const auto& row : summary.domains()) text += summary_row(row, row.domain(), width);
    if (summary.domains_left_out() > 0) {
        text +=
            fmt::format("-- {} more: raise --top\n", counted(summary.domains_left_out(), "domain"));
    }
    return text;
}

std::string status_text(const v1::GetStatusResponse& status) {
    return field("node", status.node_id()) + field("host", status.host_name()) +
           field("release", status.release()) + field("started", format_time(status.start_time())) +
           field("ready", status.ready() ? "yes" : "no: " + status.not_ready_reason()) +
           field("accepting", status.accepting() ? "yes" : "no") +
           field("messages", fmt::format("{}, {} active", status.messages(), status.active())) +
           field("in doubt", counted(status.attempts_in_doubt(), "attempt")) +
           field("copies", counted(status.under_replicated(), "message") + " with too few") +
           field("set aside", counted(status.set_aside(), "record")) +
           field("disk free", format_size(status.disk_free_bytes())) +
           field("sessions", fmt::format("{} in, {} out", status.incoming_sessions(),
                                         status.outgoing_connections()));
}

std::string missing_text(const v1::MissingPart& part) {
    const bool owned = !part.node_id().empty();
    std::string whose = owned ? node_title(part.node_name(), part.node_id()) : "";
    if (part.partitions_size() > 0) {
        whose +=
            fmt::format("{}partition{} {}", owned ? " with " : "",
                        part.partitions_size() == 1 ? "" : "s", fmt::join(part.partitions(), ", "));
    }
    std::string holders;
    if (part.held_by_size() > 0) {
        holders =
            fmt::format("; {}held by {}", owned ? "also " : "", fmt::join(part.held_by(), ", "));
    }
    return fmt::format("missing: {}{}{}{}", whose, whose.empty() ? "" : ": ", part.reason(),
                       holders);
}

std::string act_result_text(v1::Action action, const v1::ActResult& result) {
    const auto verb = short_name(*v1::Action_descriptor()->FindValueByNumber(action));
    const auto outcome = [&]() -> std::string {
        switch (result.outcome()) {
            case v1::ActResult::OUTCOME_DONE:
                return verb + ": done";
            case v1::ActResult::OUTCOME_WOULD_ACT:
                return verb + ": would be done";
            case v1::ActResult::OUTCOME_NOT_FOUND:
                return "not found";
            case v1::ActResult::OUTCOME_REFUSED:
                return verb + ": refused";
            default:
                return verb + ": unknown, it may have happened";
        }
    }();
    const auto& detail = result.detail();
    return fmt::format("{}  {}{}{}\n", result.id(), outcome, detail.empty() ? "" : ": ", detail);
}

}  // namespace posthorse::admin
