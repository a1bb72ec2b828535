#include "daemon/admin/admin_messages.h"

#include <algorithm>

#include "proto/types/reply.h"

namespace posthorse::admin {
namespace {

constexpr std::size_t text_bytes_max = 1024;

std::string safe(const std::string& text) {
    return sanitise(text, text_bytes_max);
}

v1::MessageState to_proto(MessageState state) {
    switch (state) {
        case MessageState::deferred:
            return v1::MESSAGE_STATE_DEFERRED;
        case MessageState::active:
            return v1::MESSAGE_STATE_ACTIVE;
        case MessageState::held:
            return v1::MESSAGE_STATE_HELD;
        case MessageState::in_doubt:
            return v1::MESSAGE_STATE_IN_DOUBT;
    }
    return v1::MESSAGE_STATE_UNSPECIFIED;
}

v1::RecipientState to_proto(RecipientState state) {
    switch (state) {
        case RecipientState::pending:
            return v1::RECIPIENT_STATE_PENDING;
        case RecipientState::delivered:
            return v1::RECIPIENT_STATE_DELIVERED;
        case RecipientState::failed:
            return v1::RECIPIENT_STATE_FAILED;
    }
    return v1::RECIPIENT_STATE_UNSPECIFIED;
}

void fill(v1::Recipient& out, const Recipient& recipient) {
    out.set_address(safe(recipient.address));
    out.set_state(to_proto(recipient.state));
    out.set_attempts(recipient.attempts);
    if (recipient.last.at == WallTime{}) return;
    out.set_last_reply(safe(recipient.last.reply.to_line()));
    out.set_last_remote(safe(recipient.last.remote));
    out.set_last_tls(safe(recipient.last.tls));
    *out.mutable_last_attempt_time() = to_timestamp(recipient.last.at);
}

void fill(v1::Origin& out, const Origin& origin) {
    out.set_listener(safe(origin.listener));
    out.set_client_address(safe(origin.client_address));
    out.set_helo(safe(origin.helo));
    out.set_login(safe(origin.login));
    out.set_protocol(safe(origin.protocol));
    out.set_tls(safe(origin.tls));
}

void fill(v1::DomainSummary& out, const SummaryRow& row) {
    out.set_domain(safe(row.domain));
    out.set_messages(row.messages);
    out.set_recipients(row.recipients);
    for (const auto count : row.by_age) out.add_messages_by_age(count);
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

Result<std::vector<QueueId>> parse_ids(const v1::QueueIds& ids) {
    if (ids.ids_size() == 0 || ids.ids_size() > act_ids_max) {
        return invalid("ids: give 1 to " + std::to_string(act_ids_max) + " ids, not " +
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

Result<void> parse_target(const v1::ActRequest& request, ActOrder& order) {
    switch (request.target_case()) {
        case v1::ActRequest::kIds: {
            auto ids = parse_ids(request.ids());
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

grpc::Status to_status(const Error& error) {
    const auto code = [&] {
        switch (error.code) {
            case Errc::unavailable:
            case Errc::fenced:
            case Errc::cancelled:
                return grpc::StatusCode::UNAVAILABLE;
            case Errc::unknown:
                return grpc::StatusCode::UNKNOWN;
            case Errc::full:
                return grpc::StatusCode::RESOURCE_EXHAUSTED;
            case Errc::not_found:
                return grpc::StatusCode::NOT_FOUND;
            case Errc::conflict:
                return grpc::StatusCode::FAILED_PRECONDITION;
            case Errc::invalid:
                return grpc::StatusCode::INVALID_ARGUMENT;
            case Errc::corrupt:
                return grpc::StatusCode::DATA_LOSS;
            case Errc::io:
                return grpc::StatusCode::INTERNAL;
        }
        return grpc::StatusCode::INTERNAL;
    }();
    return {code, safe(error.what)};
}

google::protobuf::Timestamp to_timestamp(WallTime time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    google::protobuf::Timestamp stamp;
    stamp.set_seconds(seconds.time_since_epoch().count());
    stamp.set_nanos(static_cast<std::int32_t>(std::chrono::nanoseconds{time - seconds}.count()));
    return stamp;
}

v1::Message to_message(const Envelope& envelope, bool delivering) {
    v1::Message out;
    out.set_id(envelope.id.to_string());
    out.set_state(to_proto(state_of(envelope, delivering)));
    out.set_sender(safe(envelope.sender));
    out.set_size_bytes(envelope.size_bytes);
    *out.mutable_accept_time() = to_timestamp(envelope.accepted_at);
    if (envelope.due_at < never) *out.mutable_due_time() = to_timestamp(envelope.due_at);
    *out.mutable_expire_time() = to_timestamp(envelope.expires_at);
    out.set_held_reason(safe(envelope.held_why));
    out.set_attempts_in_doubt(envelope.in_doubt);
    out.set_message_id(safe(envelope.message_id));
    fill(*out.mutable_origin(), envelope.origin);
    for (const auto& recipient : envelope.recipients) fill(*out.add_recipients(), recipient);
    return out;
}

v1::ActResult to_act_result(QueueId id, const Result<void>& result) {
    v1::ActResult out;
    out.set_id(id.to_string());
    if (result) {
        out.set_outcome(v1::ActResult::OUTCOME_DONE);
        return out;
    }
    switch (result.error().code) {
        case Errc::not_found:
            out.set_outcome(v1::ActResult::OUTCOME_NOT_FOUND);
            break;
        case Errc::unknown:
            out.set_outcome(v1::ActResult::OUTCOME_UNKNOWN);
            break;
        default:
            out.set_outcome(v1::ActResult::OUTCOME_REFUSED);
            break;
    }
    out.set_detail(safe(result.error().what));
    return out;
}

v1::SummarizeResponse to_summary(const QueueSummary& summary, std::size_t domains) {
    v1::SummarizeResponse out;
    for (const auto bound : age_bounds) {
        out.add_age_bounds()->set_seconds(std::chrono::seconds{bound}.count());
    }
    fill(*out.mutable_total(), summary.total());
    const auto rows = summary.largest(domains);
    for (const auto& row : rows) fill(*out.add_domains(), row);
    out.set_domains_left_out(summary.domain_count() - rows.size());
    return out;
}

Result<QueueId> parse_id(const std::string& text) {
    const auto id = QueueId::parse(text);
    if (!id) {
        return invalid("id '" + sanitise(text, 64) +
                       "' is not a queue id: 26 letters and digits, as `queue ls` prints them");
    }
    return *id;
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
    return QueueFilter{.sender = std::move(*sender),
                       .recipient = std::move(*recipient),
                       .domain = filter.domain().empty() ? "" : domain_of(filter.domain()),
                       .state = *state,
                       .older_than = *older,
                       .newer_than = *newer,
                       .id_prefix = std::move(*prefix)};
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
    if (request.action() == v1::ACTION_UNSPECIFIED || !v1::Action_IsValid(request.action())) {
        return invalid("action: give one of RETRY, HOLD, RESUME, REMOVE, BOUNCE");
    }
    ActOrder order{.action = request.action(),
                   .ids = {},
                   .filter = {},
                   .dry_run = request.dry_run(),
                   .reason = safe(request.reason()),
                   .operator_name = safe(request.operator_name())};
    const auto target = parse_target(request, order);
    if (!target) return target.error();
    return order;
}

const char* name_of(v1::Action action) {
    switch (action) {
        case v1::ACTION_RETRY:
            return "retry";
        case v1::ACTION_HOLD:
            return "hold";
        case v1::ACTION_RESUME:
            return "resume";
        case v1::ACTION_REMOVE:
            return "remove";
        case v1::ACTION_BOUNCE:
            return "bounce";
        default:
            return "unspecified";
    }
}

}  // namespace posthorse::admin
