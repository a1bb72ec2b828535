#include "daemon/admin/admin_messages.h"

#include <algorithm>

#include "daemon/admin/member_name.h"
#include "proto/smtp/parameters.h"
#include "proto/types/reply.h"
#include "proto/types/utf8.h"

namespace posthorse::admin {
namespace {

constexpr std::size_t text_bytes_max = 1024;

std::string safe(const std::string& text) {
    return sanitise_utf8(text, text_bytes_max);
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

// As a client says it (RFC 3461 section 4).
std::vector<std::string> parameters(const RecipientWishes& wishes) {
    std::vector<std::string> said;
    if (wishes.notify.said) said.push_back(smtp::notify_parameter(wishes.notify));
    if (!wishes.original.empty()) said.push_back("ORCPT=" + safe(wishes.original));
    return said;
}

std::vector<std::string> parameters(const MailWishes& wishes) {
    std::vector<std::string> said;
    if (wishes.utf8) said.emplace_back("SMTPUTF8");
    if (wishes.require_tls) said.emplace_back("REQUIRETLS");
    if (wishes.ret != ReturnContent::unsaid)
        said.emplace_back(wishes.ret == ReturnContent::full ? "RET=FULL" : "RET=HDRS");
    if (!wishes.envelope_id.empty()) said.push_back("ENVID=" + safe(wishes.envelope_id));
    if (wishes.release.asked()) said.push_back(smtp::release_parameter(wishes.release));
    if (wishes.priority != 0) said.push_back("MT-PRIORITY=" + std::to_string(wishes.priority));
    if (wishes.deliver_by.asked()) said.push_back(smtp::deliver_by_parameter(wishes.deliver_by));
    return said;
}

void fill(v1::Recipient& out, const Recipient& recipient) {
    for (auto& one : parameters(recipient.wishes)) out.add_parameters(std::move(one));
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

void fill(v1::UndecidedAttempt& out, const Doubt& doubt, const replication::PoolState& pool) {
    out.set_attempt(doubt.attempt);
    out.set_remote(safe(doubt.remote));
    *out.mutable_start_time() = to_timestamp(doubt.started);
    out.set_recipients(static_cast<std::uint32_t>(doubt.recipients.size()));
    out.set_node_id(doubt.by.to_string());
    out.set_node_name(name_of(pool, doubt.by));
}

void fill(v1::Event& out, const HistoryEvent& event, const replication::PoolState& pool) {
    *out.mutable_time() = to_timestamp(event.at);
    out.set_node_id(event.node.to_string());
    out.set_node_name(name_of(pool, event.node));
    out.set_what(safe(event.what));
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

v1::Message to_message(const Envelope& envelope,
                       bool delivering,
                       const replication::PoolState& pool) {
    v1::Message out;
    out.set_id(envelope.id.to_string());
    out.set_state(to_proto(state_of(envelope, delivering)));
    out.set_sender(safe(envelope.sender));
    out.set_size_bytes(envelope.size_bytes);
    *out.mutable_accept_time() = to_timestamp(envelope.accepted_at);
    if (envelope.due_at < never) *out.mutable_due_time() = to_timestamp(envelope.due_at);
    if (envelope.release_at != WallTime{})
        *out.mutable_release_time() = to_timestamp(envelope.release_at);
    *out.mutable_expire_time() = to_timestamp(envelope.expires_at);
    out.set_held_reason(safe(envelope.held_why));
    out.set_attempts_in_doubt(envelope.in_doubt);
    out.set_message_id(safe(envelope.message_id));
    fill(*out.mutable_origin(), envelope.origin);
    for (auto& one : parameters(envelope.wishes)) out.add_parameters(std::move(one));
    for (const auto& recipient : envelope.recipients) fill(*out.add_recipients(), recipient);
    for (const auto& doubt : envelope.doubts) fill(*out.add_undecided(), doubt, pool);
    return out;
}

v1::Message to_full_message(const Envelope& envelope,
                            bool delivering,
                            const replication::PoolState& pool) {
    auto out = to_message(envelope, delivering, pool);
    for (const auto& event : envelope.history) fill(*out.add_history(), event, pool);
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

v1::DomainSummary to_row(const storage::SummaryRow& row) {
    v1::DomainSummary out;
    out.set_domain(safe(row.domain));
    out.set_messages(row.messages);
    out.set_recipients(row.recipients);
    for (const auto count : row.by_age) out.add_messages_by_age(count);
    return out;
}

storage::SummaryRow from_row(const v1::DomainSummary& row) {
    storage::SummaryRow out{
        .domain = row.domain(), .messages = row.messages(), .recipients = row.recipients()};
    const auto ages =
        std::min(out.by_age.size(), static_cast<std::size_t>(row.messages_by_age_size()));
    std::copy_n(row.messages_by_age().begin(), ages, out.by_age.begin());
    return out;
}

v1::SummarizeResponse to_summary(const storage::QueueSummary& summary, std::size_t domains) {
    v1::SummarizeResponse out;
    for (const auto bound : storage::age_bounds) {
        out.add_age_bounds()->set_seconds(std::chrono::seconds{bound}.count());
    }
    *out.mutable_total() = to_row(summary.total());
    const auto rows = summary.largest(domains);
    for (const auto& row : rows) *out.add_domains() = to_row(row);
    out.set_domains_left_out(summary.domain_count() - rows.size());
    return out;
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
