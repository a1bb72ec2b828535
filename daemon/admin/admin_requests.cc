#include "daemon/admin/admin_requests.h"

#include <algorithm>

#include "daemon/config/table.h"
#include "proto/types/reply.h"
#include "storage/queue_summary.h"

namespace posthorse::admin {
namespace {

// What was given, made safe for messages and logs, and cut.
std::string safe(const std::string& text) {
    return sanitise(text, 256);
}

Error invalid(std::string what) {
    return {Errc::invalid, std::move(what)};
}

Result<std::optional<AddressPattern>> parse_pattern(const char* field, const std::string& text) {
    if (text.empty()) return std::optional<AddressPattern>{};
    auto pattern = AddressPattern::parse(text);
    if (!pattern) {
        return invalid(std::string("filter: ") + field + " '" + safe(text) +
                       "' must be an address, *@domain or <>");
    }
    return pattern;
}

Result<std::optional<Duration>> parse_age(const char* field,
                                          bool given,
                                          const google::protobuf::Duration& age) {
    // Beyond 100,000 days no message is meant, and milliseconds stay far from overflow.
    constexpr std::int64_t seconds_max = 100'000LL * 86'400;
    if (!given) return std::optional<Duration>{};
    if (age.seconds() < 0 || age.nanos() < 0 || age.seconds() > seconds_max) {
        return invalid(std::string("filter: ") + field + " must be between 0 and 100000 days");
    }
    return std::optional<Duration>{std::chrono::seconds{age.seconds()} +
                                   std::chrono::milliseconds{age.nanos() / 1'000'000}};
}

Result<std::optional<MessageState>> parse_state(v1::MessageState state) {
    using State = std::optional<MessageState>;
    switch (state) {
        case v1::MESSAGE_STATE_UNSPECIFIED:
            return State{};
        case v1::MESSAGE_STATE_DEFERRED:
            return State{MessageState::deferred};
        case v1::MESSAGE_STATE_ACTIVE:
            return State{MessageState::active};
        case v1::MESSAGE_STATE_HELD:
            return State{MessageState::held};
        case v1::MESSAGE_STATE_IN_DOUBT:
            return State{MessageState::in_doubt};
        default:
            return invalid("filter: state " + std::to_string(state) + " is not known");
    }
}

// As ids are printed: upper case, and Crockford's look-alikes resolved.
Result<std::string> parse_id_prefix(const std::string& text) {
    if (text.empty()) return std::string();
    std::string whole = text;
    if (whole.size() <= QueueId::text_length) whole.resize(QueueId::text_length, '0');
    const auto id = QueueId::parse(whole);
    if (!id) {
        return invalid("filter: id_prefix '" + safe(text) + "' is not the beginning of a queue id");
    }
    return id->to_string().substr(0, text.size());
}

// A text that is looked for.
Result<std::string> parse_text(const char* field, const std::string& text) {
    constexpr std::size_t bytes_max = 256;
    if (text.size() <= bytes_max) return config::lower(text);
    return invalid(std::string("filter: ") + field + " must have at most " +
                   std::to_string(bytes_max) + " octets");
}

// Without its angle brackets.
Result<std::string> parse_message_id(const std::string& text) {
    auto parsed = parse_text("message_id", text);
    if (!parsed || text.empty()) return parsed;
    if (parsed->starts_with('<')) parsed->erase(0, 1);
    if (parsed->ends_with('>')) parsed->pop_back();
    if (parsed->empty()) return invalid("filter: message_id is empty between its brackets");
    return parsed;
}

// All of an order but its target. `Request` is ActRequest or NodeActRequest.
template <class Request>
Result<ActOrder> parse_action(const Request& request) {
    if (request.action() == v1::ACTION_UNSPECIFIED || !v1::Action_IsValid(request.action())) {
        return invalid("action: give one of RETRY, HOLD, RESUME, REMOVE, BOUNCE");
    }
    return ActOrder{.action = request.action(),
                    .ids = {},
                    .filter = {},
                    .dry_run = request.dry_run(),
                    .reason = safe(request.reason()),
                    .operator_name = safe(request.operator_name())};
}

Result<void> parse_target(const v1::ActRequest& request, ActOrder& order) {
    switch (request.target_case()) {
        case v1::ActRequest::kIds: {
            auto ids = parse_ids(request.ids(), act_ids_max);
            if (!ids) return ids.error();
            order.ids = std::move(*ids);
            return {};
        }
        case v1::ActRequest::kFilter: {
            auto filter = parse_filter(request.filter());
            if (!filter) return filter.error();
            order.filter = std::move(*filter);
            if (order.filter.empty()) {
                return invalid("filter: it is empty; set `all` to act on the whole queue");
            }
            return {};
        }
        case v1::ActRequest::kAll:
            if (request.all()) return {};
            break;
        case v1::ActRequest::TARGET_NOT_SET:
            break;
    }
    return invalid("target: give ids, a filter or all=true");
}

}  // namespace

Result<QueueId> parse_id(const std::string& text) {
    const auto id = QueueId::parse(text);
    if (!id) {
        return invalid("id '" + sanitise(text, 64) +
                       "' is not a queue id: 26 letters and digits, as `queue ls` prints them");
    }
    return *id;
}

Result<std::vector<QueueId>> parse_ids(const v1::QueueIds& ids, int most) {
    if (ids.ids_size() == 0 || ids.ids_size() > most) {
        return invalid("ids: give 1 to " + std::to_string(most) + " ids, not " +
                       std::to_string(ids.ids_size()));
    }
    std::vector<QueueId> parsed;
    for (const auto& text : ids.ids()) {
        const auto id = parse_id(text);
        if (!id) return id.error();
        parsed.push_back(*id);
    }
    std::ranges::sort(parsed);
    const auto repeated = std::ranges::unique(parsed);
    parsed.erase(repeated.begin(), repeated.end());
    return parsed;
}

Result<QueueId> parse_after(const char* field, const std::string& text) {
    if (text.empty()) return QueueId{};
    const auto after = QueueId::parse(text);
    if (!after) return invalid(std::string(field) + " is not one that an answer gave");
    return *after;
}

std::string parse_operator(const std::string& name) {
    return safe(name);
}

Result<QueueFilter> parse_filter(const v1::MessageFilter& filter) {
    auto sender = parse_pattern("sender", filter.sender());
    if (!sender) return sender.error();
    auto recipient = parse_pattern("recipient", filter.recipient());
    if (!recipient) return recipient.error();
    const auto state = parse_state(filter.state());
    if (!state) return state.error();
    const auto older = parse_age("older_than", filter.has_older_than(), filter.older_than());
    if (!older) return older.error();
    const auto newer = parse_age("newer_than", filter.has_newer_than(), filter.newer_than());
    if (!newer) return newer.error();
    auto prefix = parse_id_prefix(filter.id_prefix());
    if (!prefix) return prefix.error();
    auto message_id = parse_message_id(filter.message_id());
    if (!message_id) return message_id.error();
    auto reply = parse_text("reply", filter.reply());
    if (!reply) return reply.error();
    auto text = parse_text("text", filter.text());
    if (!text) return text.error();
    return QueueFilter{.sender = std::move(*sender),
                       .recipient = std::move(*recipient),
                       .domain = filter.domain().empty() ? "" : storage::domain_of(filter.domain()),
                       .state = *state,
                       .older_than = *older,
                       .newer_than = *newer,
                       .id_prefix = std::move(*prefix),
                       .in_doubt = filter.in_doubt(),
                       .message_id = std::move(*message_id),
                       .reply = std::move(*reply),
                       .text = std::move(*text)};
}

Result<std::size_t> parse_count(const char* field,
                                std::int32_t given,
                                std::size_t standard,
                                std::size_t most) {
    if (given == 0) return standard;
    if (given < 0 || static_cast<std::size_t>(given) > most) {
        return invalid(std::string(field) + " must be 1 to " + std::to_string(most) +
                       ", or 0 for " + std::to_string(standard));
    }
    return static_cast<std::size_t>(given);
}

Result<ActOrder> parse_act(const v1::ActRequest& request) {
    auto order = parse_action(request);
    if (!order) return order;
    const auto target = parse_target(request, *order);
    if (!target) return target.error();
    return order;
}

Result<ActOrder> parse_act(const v1::NodeActRequest& request) {
    auto order = parse_action(request);
    if (!order) return order;
    if (request.has_ids()) {
        auto ids = parse_ids(request.ids(), node_act_ids_max);
        if (!ids) return ids.error();
        order->ids = std::move(*ids);
        return order;
    }
    if (!request.has_filter()) return invalid("target: give ids or a filter");
    auto filter = parse_filter(request.filter());
    if (!filter) return filter.error();
    order->filter = std::move(*filter);
    return order;
}

}  // namespace posthorse::admin
