#include "storage/queue_record.h"

#include <algorithm>
#include <concepts>
#include <limits>
#include <utility>

#include "posthorse/v1/queue_record.pb.h"
#include "storage/big_endian.h"
#include "storage/crc32c.h"

namespace posthorse::storage {
namespace {

constexpr auto record_format_newest = record_format_with_times;
constexpr std::size_t header_length = 1 + 4;
constexpr std::size_t number_length = 8;
constexpr std::size_t domain_head_length = 4 + 1;  // in a due key: recipients, length of the name
constexpr std::size_t name_max = 255;
constexpr std::size_t old_mark_length = 2 * number_length;  // fence, last sequence in its epoch
constexpr std::size_t mark_length = 3 * number_length;
constexpr std::size_t copying_mark_length = 5 * number_length;

std::string seal(std::string_view payload, std::uint8_t format = record_format) {
    std::string record;
    record.reserve(header_length + payload.size());
    record.push_back(static_cast<char>(format));
    append_big_endian(record, crc32c(payload));
    return record.append(payload);
}

template <class Message>
    requires std::derived_from<Message, google::protobuf::MessageLite>
std::string seal(const Message& message, std::uint8_t format = record_format) {
    std::string record(header_length + message.ByteSizeLong(), '\0');
    auto* const payload = record.data() + header_length;
    message.SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(payload));
    std::string header(1, static_cast<char>(format));
    append_big_endian(header, crc32c(std::string_view(record).substr(header_length)));
    return record.replace(0, header_length, header);
}

Error corrupt(std::string why) {
    return {.code = Errc::corrupt, .what = "queue record: " + std::move(why)};
}

Result<std::string_view> unseal(std::string_view record) {
    if (record.size() < header_length)
        return corrupt(std::to_string(record.size()) + " bytes are too short for any record");
    const auto version = static_cast<std::uint8_t>(record[0]);
    if (version != record_format && version != record_format_with_wishes &&
        version != record_format_newest)
        return corrupt("format " + std::to_string(version) + ", this release reads up to " +
                       std::to_string(record_format_newest));
    const std::string_view payload = record.substr(header_length);
    if (read_big_endian<std::uint32_t>(record, 1) != crc32c(payload))
        return corrupt("the checksum does not match");
    return payload;
}

template <class Message>
Result<Message> parse(std::string_view record) {
    const Result<std::string_view> payload = unseal(record);
    if (!payload) return payload.error();
    Message message;
    if (payload->size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
        !message.ParseFromArray(payload->data(), static_cast<int>(payload->size())))
        return corrupt("the payload is no message of its kind");
    return message;
}

std::int64_t to_ms(WallTime time) {
    return time.time_since_epoch().count();
}

WallTime from_ms(std::int64_t ms) {
    return WallTime{std::chrono::milliseconds{ms}};
}

void append_position(std::string& out, const Position& position) {
    append_big_endian(out, position.epoch.value);
    append_big_endian(out, position.last.value);
}

Position read_position(std::string_view bytes, std::size_t at) {
    return {.epoch = Epoch{read_big_endian<std::uint64_t>(bytes, at)},
            .last = Sequence{read_big_endian<std::uint64_t>(bytes, at + number_length)}};
}

// None is the empty string: most records that an older release wrote name no node.
std::string to_bytes(const NodeId& node) {
    if (node == NodeId{}) return {};
    return {node.bytes.begin(), node.bytes.end()};
}

bool names_node(const std::string& bytes) {
    return bytes.empty() || bytes.size() == NodeId{}.bytes.size();
}

NodeId to_node(const std::string& bytes) {
    NodeId node;
    std::ranges::copy(bytes, node.bytes.begin());
    return node;
}

void write_status(const DeliveryStatus& status, v1::EnvelopeRecord::Status& out) {
    v1::EnvelopeRecord::Reply& reply = *out.mutable_reply();
    reply.set_code(static_cast<std::uint32_t>(status.reply.code));
    reply.set_enhanced_class(static_cast<std::uint32_t>(status.reply.enhanced.klass));
    reply.set_enhanced_subject(static_cast<std::uint32_t>(status.reply.enhanced.subject));
    reply.set_enhanced_detail(static_cast<std::uint32_t>(status.reply.enhanced.detail));
    reply.set_text(status.reply.text);
    out.set_remote(status.remote);
    out.set_tls(status.tls);
    out.set_at_ms(to_ms(status.at));
    out.set_notices_passed_on(status.notices_passed_on);
    out.set_final_delivery(status.final_delivery);
    out.set_tell_relay(status.tell_relay);
    out.set_reply_lost(status.reply_lost);
}

DeliveryStatus read_status(const v1::EnvelopeRecord::Status& in) {
    return {
        .reply = {.code = static_cast<int>(in.reply().code()),
                  .enhanced = {.klass = static_cast<int>(in.reply().enhanced_class()),
                               .subject = static_cast<int>(in.reply().enhanced_subject()),
                               .detail = static_cast<int>(in.reply().enhanced_detail())},
                  .text = in.reply().text()},
        .remote = in.remote(),
        .tls = in.tls(),
        .at = from_ms(in.at_ms()),
        .notices_passed_on = in.notices_passed_on(),
        .final_delivery = in.final_delivery(),
        .tell_relay = in.tell_relay(),
        .reply_lost = in.reply_lost(),
    };
}

Notify read_notify(const v1::EnvelopeRecord::Notify& in) {
    return {.said = true, .success = in.success(), .failure = in.failure(), .delay = in.delay()};
}

void write_recipient(const Recipient& recipient, v1::EnvelopeRecord::Recipient& out) {
    out.set_address(recipient.address);
    out.set_state(static_cast<v1::EnvelopeRecord::State>(recipient.state));
    out.set_attempts(recipient.attempts);
    if (recipient.last != DeliveryStatus{}) write_status(recipient.last, *out.mutable_last());
    out.set_original(recipient.wishes.original);
    if (!recipient.wishes.notify.said) return;
    out.mutable_notify()->set_success(recipient.wishes.notify.success);
    out.mutable_notify()->set_failure(recipient.wishes.notify.failure);
    out.mutable_notify()->set_delay(recipient.wishes.notify.delay);
}

Recipient read_recipient(const v1::EnvelopeRecord::Recipient& in) {
    return {
        .address = in.address(),
        .state = static_cast<RecipientState>(in.state()),
        .attempts = in.attempts(),
        .last = in.has_last() ? read_status(in.last()) : DeliveryStatus{},
        .wishes = {.notify = in.has_notify() ? read_notify(in.notify()) : Notify{},
                   .original = in.original()},
    };
}

void write_wishes(const MailWishes& wishes, v1::EnvelopeRecord::Wishes& out) {
    out.set_utf8(wishes.utf8);
    out.set_require_tls(wishes.require_tls);
    out.set_tls_optional(wishes.tls_optional);
    out.set_ret(static_cast<v1::EnvelopeRecord::ReturnContent>(wishes.ret));
    out.set_envelope_id(wishes.envelope_id);
    out.set_release_after_s(static_cast<std::uint32_t>(wishes.release.after.count()));
    out.set_release_at_ms(to_ms(wishes.release.at));
    const auto& by = wishes.deliver_by;
    out.set_deliver_by(static_cast<v1::EnvelopeRecord::Otherwise>(by.otherwise));
    out.set_trace(by.trace);
    out.set_deliver_by_left_s(static_cast<std::int32_t>(by.left.count()));
    out.set_deliver_by_at_ms(to_ms(by.at));
    out.set_priority(wishes.priority);
}

MailWishes read_wishes(const v1::EnvelopeRecord::Wishes& in) {
    return {
        .utf8 = in.utf8(),
        .require_tls = in.require_tls(),
        .tls_optional = in.tls_optional(),
        .ret = static_cast<ReturnContent>(in.ret()),
        .envelope_id = in.envelope_id(),
        .release = {.after = std::chrono::seconds{in.release_after_s()},
                    .at = from_ms(in.release_at_ms())},
        .deliver_by = {.otherwise = static_cast<DeliverBy::Otherwise>(in.deliver_by()),
                       .trace = in.trace(),
                       .left = std::chrono::seconds{in.deliver_by_left_s()},
                       .at = from_ms(in.deliver_by_at_ms())},
        .priority = in.priority(),
    };
}

// An older release would lose what the first format has no room for.
bool has_wishes(const Envelope& envelope) {
    MailWishes forgettable;
    forgettable.priority = envelope.wishes.priority;
    return envelope.wishes != forgettable || envelope.utf8_header ||
           std::ranges::any_of(envelope.recipients, [](const Recipient& one) {
               return one.wishes.notify.said || !one.wishes.original.empty() ||
                      one.last.notices_passed_on;
           });
}

bool has_wishes(const AttemptOutcome& outcome) {
    return std::ranges::any_of(
        outcome.outcomes, [](const RecipientOutcome& one) { return one.status.notices_passed_on; });
}

bool has_times(const Envelope& envelope) {
    return envelope.wishes.release.asked() || envelope.release_at != WallTime{} ||
           envelope.wishes.deliver_by.asked() ||
           std::ranges::any_of(envelope.recipients,
                               [](const Recipient& one) { return one.last.tell_relay; });
}

bool has_times(const AttemptOutcome& outcome) {
    return std::ranges::any_of(outcome.outcomes,
                               [](const RecipientOutcome& one) { return one.status.tell_relay; });
}

template <class Value>
std::uint8_t format_of(const Value& value) {
    if (has_times(value)) return record_format_with_times;
    return has_wishes(value) ? record_format_with_wishes : record_format;
}

void write_origin(const Origin& origin, v1::EnvelopeRecord::Origin& out) {
    out.set_listener(origin.listener);
    out.set_client_address(origin.client_address);
    out.set_helo(origin.helo);
    out.set_login(origin.login);
    out.set_protocol(origin.protocol);
    out.set_tls(origin.tls);
}

Origin read_origin(const v1::EnvelopeRecord::Origin& in) {
    return {
        .listener = in.listener(),
        .client_address = in.client_address(),
        .helo = in.helo(),
        .login = in.login(),
        .protocol = in.protocol(),
        .tls = in.tls(),
    };
}

void write_doubt(const Doubt& doubt, v1::EnvelopeRecord::Doubt& out) {
    out.set_attempt(doubt.attempt);
    out.mutable_recipients()->Add(doubt.recipients.begin(), doubt.recipients.end());
    out.set_remote(doubt.remote);
    out.set_started_ms(to_ms(doubt.started));
    out.set_by(to_bytes(doubt.by));
}

Doubt read_doubt(const v1::EnvelopeRecord::Doubt& in) {
    return {
        .attempt = in.attempt(),
        .recipients = {in.recipients().begin(), in.recipients().end()},
        .remote = in.remote(),
        .started = from_ms(in.started_ms()),
        .by = to_node(in.by()),
    };
}

void write_event(const HistoryEvent& event, v1::EnvelopeRecord::HistoryEvent& out) {
    out.set_at_ms(to_ms(event.at));
    out.set_node(to_bytes(event.node));
    out.set_what(event.what);
}

HistoryEvent read_event(const v1::EnvelopeRecord::HistoryEvent& in) {
    return {.at = from_ms(in.at_ms()), .node = to_node(in.node()), .what = in.what()};
}

bool valid(const v1::EnvelopeRecord& record) {
    if (record.id().size() != QueueId::byte_length) return false;
    if (!v1::EnvelopeRecord::BodyKind_IsValid(record.body())) return false;
    if (!v1::EnvelopeRecord::ReturnContent_IsValid(record.wishes().ret())) return false;
    if (!v1::EnvelopeRecord::Otherwise_IsValid(record.wishes().deliver_by())) return false;
    for (const auto& recipient : record.recipients())
        if (!v1::EnvelopeRecord::State_IsValid(recipient.state())) return false;
    for (const auto& doubt : record.doubts())
        if (!names_node(doubt.by())) return false;
    for (const auto& event : record.history())
        if (!names_node(event.node())) return false;
    return true;
}

bool valid(const v1::OutcomeRecord& record) {
    if (record.id().size() != QueueId::byte_length) return false;
    return std::ranges::all_of(record.outcomes(), [](const auto& outcome) {
        return v1::OutcomeRecord::Kind_IsValid(outcome.kind());
    });
}

static_assert(static_cast<int>(RecipientState::delivered) == v1::EnvelopeRecord::DELIVERED);
static_assert(static_cast<int>(RecipientState::failed) == v1::EnvelopeRecord::FAILED);
static_assert(static_cast<int>(BodyKind::eight_bit) == v1::EnvelopeRecord::EIGHT_BIT);
static_assert(static_cast<int>(ReturnContent::headers) == v1::EnvelopeRecord::HEADERS);
static_assert(static_cast<int>(ReturnContent::full) == v1::EnvelopeRecord::FULL);
static_assert(static_cast<int>(DeliverBy::Otherwise::notify) == v1::EnvelopeRecord::NOTIFY);
static_assert(static_cast<int>(DeliverBy::Otherwise::give_back) == v1::EnvelopeRecord::GIVE_BACK);
static_assert(static_cast<int>(OutcomeKind::deferred) == v1::OutcomeRecord::DEFERRED);
static_assert(static_cast<int>(OutcomeKind::failed) == v1::OutcomeRecord::FAILED);

}  // namespace

std::string encode(const Envelope& envelope) {
    thread_local v1::EnvelopeRecord record;  // for the memory that it has already
    record.Clear();
    record.set_id(envelope.id.to_bytes());
    record.set_version(envelope.version);
    record.set_sender(envelope.sender);
    for (const Recipient& recipient : envelope.recipients)
        write_recipient(recipient, *record.add_recipients());
    record.set_body(static_cast<v1::EnvelopeRecord::BodyKind>(envelope.body));
    write_origin(envelope.origin, *record.mutable_origin());
    record.set_accepted_at_ms(to_ms(envelope.accepted_at));
    record.set_expires_at_ms(to_ms(envelope.expires_at));
    record.set_warn_at_ms(to_ms(envelope.warn_at));
    record.set_due_at_ms(to_ms(envelope.due_at));
    record.set_release_at_ms(to_ms(envelope.release_at));
    record.set_held(envelope.held);
    record.set_held_why(envelope.held_why);
    record.set_in_doubt(envelope.in_doubt);
    record.set_cut_off(envelope.cut_off);
    record.set_size_bytes(envelope.size_bytes);
    record.set_chunk_count(envelope.chunk_count);
    record.set_message_id(envelope.message_id);
    for (const Doubt& doubt : envelope.doubts) write_doubt(doubt, *record.add_doubts());
    for (const HistoryEvent& event : envelope.history) write_event(event, *record.add_history());
    if (envelope.wishes != MailWishes{}) write_wishes(envelope.wishes, *record.mutable_wishes());
    record.set_utf8_header(envelope.utf8_header);
    return seal(record, format_of(envelope));
}

std::string encode(const Intent& intent) {
    v1::IntentRecord record;
    record.set_id(intent.id.to_bytes());
    record.set_attempt(intent.attempt);
    record.mutable_recipients()->Add(intent.recipients.begin(), intent.recipients.end());
    record.set_remote(intent.remote);
    record.set_started_ms(to_ms(intent.started));
    record.set_by(to_bytes(intent.by));
    return seal(record);
}

std::string encode(const AttemptOutcome& outcome) {
    v1::OutcomeRecord record;
    record.set_id(outcome.id.to_bytes());
    record.set_attempt(outcome.attempt);
    for (const RecipientOutcome& one : outcome.outcomes) {
        v1::OutcomeRecord::Outcome& out = *record.add_outcomes();
        out.set_recipient(one.recipient);
        out.set_kind(static_cast<v1::OutcomeRecord::Kind>(one.kind));
        if (one.status != DeliveryStatus{}) write_status(one.status, *out.mutable_status());
    }
    return seal(record, format_of(outcome));
}

std::string encode(const PartitionMark& mark) {
    std::string payload;
    append_big_endian(payload, mark.fence.value);
    append_position(payload, mark.at);
    if (mark.before) append_position(payload, *mark.before);
    return seal(payload);
}

std::uint64_t digest(const Envelope& envelope) {
    const auto checksum = read_big_endian<std::uint32_t>(encode(envelope), 1);
    return envelope.version << 32 | checksum;
}

std::string encode_due(const Envelope& envelope) {
    std::string value;
    append_big_endian(value, envelope.size_bytes);
    const auto domains = pending_domains(envelope);
    const auto fits = [](const PendingDomain& domain) { return domain.name.size() <= name_max; };
    if (domains.size() > indexed_domains_max || !std::ranges::all_of(domains, fits)) return value;
    append_big_endian(value, static_cast<std::uint64_t>(to_ms(envelope.accepted_at)));
    for (const auto& [name, recipients] : domains) {
        append_big_endian(value, recipients);
        append_big_endian(value, static_cast<std::uint8_t>(name.size()));
        value += name;
    }
    return value;
}

std::optional<std::uint64_t> size_in_due(std::string_view value) {
    if (value.size() < number_length) return std::nullopt;
    return read_big_endian<std::uint64_t>(value, 0);
}

bool read_waiting(std::string_view due_value, Waiting& out) {
    if (due_value.size() < 2 * number_length) return false;
    const auto accepted_ms = read_big_endian<std::uint64_t>(due_value, number_length);
    out.accepted_at = from_ms(static_cast<std::int64_t>(accepted_ms));
    std::size_t count = 0;
    for (auto rest = due_value.substr(2 * number_length); !rest.empty(); ++count) {
        if (rest.size() < domain_head_length) return false;
        const auto length = read_big_endian<std::uint8_t>(rest, domain_head_length - 1);
        if (rest.size() < domain_head_length + length) return false;
        if (out.domains.size() <= count) out.domains.emplace_back();
        out.domains[count].recipients = read_big_endian<std::uint32_t>(rest, 0);
        out.domains[count].name.assign(rest, domain_head_length, length);
        rest.remove_prefix(domain_head_length + length);
    }
    out.domains.resize(count);
    return true;
}

Result<Envelope> decode_envelope(std::string_view record) {
    const Result<v1::EnvelopeRecord> parsed = parse<v1::EnvelopeRecord>(record);
    if (!parsed) return parsed.error();
    if (!valid(*parsed)) return corrupt("the envelope holds a value that no release writes");
    Envelope envelope{
        .id = QueueId::from_bytes(parsed->id()),
        .version = parsed->version(),
        .sender = parsed->sender(),
        .recipients = {},
        .body = static_cast<BodyKind>(parsed->body()),
        .utf8_header = parsed->utf8_header(),
        .wishes = read_wishes(parsed->wishes()),
        .origin = read_origin(parsed->origin()),
        .accepted_at = from_ms(parsed->accepted_at_ms()),
        .expires_at = from_ms(parsed->expires_at_ms()),
        .warn_at = from_ms(parsed->warn_at_ms()),
        .due_at = from_ms(parsed->due_at_ms()),
        .release_at = from_ms(parsed->release_at_ms()),
        .held = parsed->held(),
        .held_why = parsed->held_why(),
        .in_doubt = parsed->in_doubt(),
        .doubts = {},
        .cut_off = parsed->cut_off(),
        .size_bytes = parsed->size_bytes(),
        .chunk_count = parsed->chunk_count(),
        .message_id = parsed->message_id(),
        .history = {},
    };
    envelope.recipients.reserve(static_cast<std::size_t>(parsed->recipients_size()));
    for (const auto& recipient : parsed->recipients())
        envelope.recipients.push_back(read_recipient(recipient));
    for (const auto& doubt : parsed->doubts()) envelope.doubts.push_back(read_doubt(doubt));
    for (const auto& event : parsed->history()) envelope.history.push_back(read_event(event));
    return envelope;
}

Result<Intent> decode_intent(std::string_view record) {
    const Result<v1::IntentRecord> parsed = parse<v1::IntentRecord>(record);
    if (!parsed) return parsed.error();
    if (parsed->id().size() != QueueId::byte_length) return corrupt("the intent names no message");
    if (!names_node(parsed->by())) return corrupt("the intent names no node");
    return Intent{
        .id = QueueId::from_bytes(parsed->id()),
        .attempt = parsed->attempt(),
        .recipients = {parsed->recipients().begin(), parsed->recipients().end()},
        .remote = parsed->remote(),
        .started = from_ms(parsed->started_ms()),
        .by = to_node(parsed->by()),
    };
}

Result<AttemptOutcome> decode_outcome(std::string_view record) {
    const Result<v1::OutcomeRecord> parsed = parse<v1::OutcomeRecord>(record);
    if (!parsed) return parsed.error();
    if (!valid(*parsed)) return corrupt("the outcome holds a value that no release writes");
    AttemptOutcome outcome{
        .id = QueueId::from_bytes(parsed->id()), .attempt = parsed->attempt(), .outcomes = {}};
    for (const auto& one : parsed->outcomes())
        outcome.outcomes.push_back({
            .recipient = one.recipient(),
            .kind = static_cast<OutcomeKind>(one.kind()),
            .status = one.has_status() ? read_status(one.status()) : DeliveryStatus{},
        });
    return outcome;
}

Result<PartitionMark> decode_mark(std::string_view record) {
    const Result<std::string_view> payload = unseal(record);
    if (!payload) return payload.error();
    const bool old = payload->size() == old_mark_length;
    if (!old && payload->size() != mark_length && payload->size() != copying_mark_length)
        return corrupt("a partition's mark has 16, 24 or 40 bytes");
    const Epoch fence{read_big_endian<std::uint64_t>(*payload, 0)};
    if (old) {
        const Sequence last{read_big_endian<std::uint64_t>(*payload, 8)};
        return PartitionMark{
            .fence = fence, .at = {.epoch = fence, .last = last}, .before = std::nullopt};
    }
    PartitionMark mark{.fence = fence, .at = read_position(*payload, 8), .before = std::nullopt};
    if (payload->size() == copying_mark_length) mark.before = read_position(*payload, mark_length);
    return mark;
}

}  // namespace posthorse::storage
