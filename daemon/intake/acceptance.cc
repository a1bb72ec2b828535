#include "daemon/intake/acceptance.h"

#include <algorithm>

#include "daemon/runtime/await.h"
#include "daemon/runtime/idn.h"
#include "daemon/runtime/log.h"
#include "daemon/runtime/system_clock.h"
#include "proto/mail/address_list.h"
#include "proto/mail/header_fix.h"
#include "proto/mail/trace_header.h"
#include "proto/types/assert.h"
#include "proto/types/date_time.h"
#include "proto/types/sender_times.h"
#include "proto/types/utf8.h"

namespace posthorse::intake {
namespace {

// 1970: at once.
WallTime release_time(const Envelope& envelope) {
    const auto& asked = envelope.wishes.release;
    return asked.after.count() == 0 ? asked.at : envelope.accepted_at + asked.after;
}

// A time that was over when it came has been told of by the server before.
LateNotice late_notice(const Envelope& envelope) {
    const bool ahead = envelope.wishes.deliver_by.left.count() > 0;
    return ahead && !envelope.sender.empty() ? LateNotice::owed : LateNotice::not_owed;
}

Reply reply_to(const Error& error) {
    if (error.code == Errc::invalid)
        return {554, {5, 6, 0}, "the message is malformed: it cannot be signed"};
    if (error.code == Errc::full)
        return {452, {4, 3, 1}, "the queue's disk is nearly full; try later"};
    return {451, {4, 3, 0}, "the message cannot be queued now; try later"};
}

}  // namespace

Acceptance::Acceptance(IntakeContext& context,
                       Client client,
                       Origin origin,
                       smtp::Transaction transaction)
    : context_(context),
      client_(std::move(client)),
      origin_(std::move(origin)),
      transaction_(std::move(transaction)) {
    if (client_.verified && !is_submission(client_)) begin_verification();
}

Acceptance::~Acceptance() {
    abort();
}

// ------------------------------------------------------------------ bytes in

bool Acceptance::take(std::string_view bytes) {
    PH_ASSERT(!finished_);
    if (refusal_) return false;
    if (in_header_) {
        take_header_end(bytes);
    } else {
        add_body(bytes);
    }
    return has_chunk();
}

asio::awaitable<void> Acceptance::store() {
    while (has_chunk()) co_await flush_chunk();
}

bool Acceptance::has_chunk() const {
    return !refusal_ && !in_header_ && buffer_.size() >= chunk_bytes;
}

// Collects the header section until the empty line that ends it.
void Acceptance::take_header_end(std::string_view bytes) {
    const auto seen = buffer_.size();
    buffer_ += bytes;
    if (mail::find_body(buffer_, seen) != std::string::npos) return end_header();
    if (buffer_.size() > context_.config.limits.header_bytes_max) {
        refuse({552, {5, 3, 4}, "the header section is too large"});
    }
}

// `buffer_` holds the header section; an empty line and some of the body may follow.
void Acceptance::end_header() {
    in_header_ = false;
    const auto whole = std::exchange(buffer_, {});
    const auto& limits = context_.config.limits;
    auto header = mail::parse_header(whole, {limits.header_bytes_max, limits.header_fields_max});
    if (header.end == mail::HeaderEnd::limit) {
        return refuse({552, {5, 3, 4}, "the header section is too large"});
    }
    if (mail::count_received(header) >= limits.received_max) {
        return refuse({554, {5, 4, 6}, "too many hops: this message loops"});
    }
    const auto body_at = header.length + (header.end == mail::HeaderEnd::empty_line ? 2 : 0);
    std::string section = whole.substr(0, header.length);
    if (is_submission(client_) && !fix_and_sign(header, section)) return;
    if (verification_) {
        verification_->header(header);
        section = context_.verifier->without_forged(header);
    }
    note_header(section);
    buffer_ = std::move(section);
    buffer_ += "\r\n";
    size_bytes_ = buffer_.size();
    add_body(std::string_view(whole).substr(body_at));
}

// What of the header concerns the envelope.
void Acceptance::note_header(std::string_view section) {
    const auto header = mail::parse_header(section);
    message_id_ = mail::message_id(header);
    utf8_header_ = eight_bit_ = !is_ascii(section);
    // RFC 8689 section 3: REQUIRETLS outweighs the field.
    const auto* tls_required = header.find("TLS-Required");
    auto& wishes = transaction_.wishes;
    wishes.tls_optional = !wishes.require_tls && tls_required != nullptr &&
                          mail::equal_ignoring_case(mail::unfold(tls_required->value), "no");
    note_priority(header);
}

// A client that cannot say it in MAIL may say it in the header (RFC 6758), if it may say it at all.
void Acceptance::note_priority(const mail::Header& header) {
    const auto* field = header.find("MT-Priority");
    if (field == nullptr || !is_submission(client_)) return;
    if (transaction_.priority != smtp::PriorityGiven::unasked) return;
    const auto value = mail::unfold(field->value);
    const auto priority = smtp::parse_priority(value.substr(0, value.find_first_of(" \t(")));
    const auto most = static_cast<int>(context_.config.intake.priority_max);
    transaction_.wishes.priority = std::min(priority.value_or(0), most);
}

// False: refused.
bool Acceptance::fix_and_sign(const mail::Header& header, std::string& section) {
    const auto senders = context_.senders.get();
    if (senders) transaction_.sender = senders->address(transaction_.sender);
    const bool adds_fields = context_.config.intake.add_missing_headers;
    if (adds_fields) {
        const auto unique = std::to_string(runtime::random_u64());
        section = mail::fix_header(header, {.sender = transaction_.sender,
                                            .host_name = context_.config.host_name,
                                            .unique = unique,
                                            .now = context_.clock.wall()});
    }
    // A From field that is added names the sender of the envelope, which was judged.
    if (context_.config.auth.check_from && (header.find("From") != nullptr || !adds_fields)) {
        auto judged = admit_author(*context_.sender_policy.get(), client_, header);
        if (!judged.positive()) {
            refuse(std::move(judged));
            return false;
        }
    }
    if (senders) section = senders->header(section);
    auto signing = context_.signer.begin(author(section));
    if (!signing) {
        refuse({451, {4, 7, 5}, "the message cannot be signed now; try later"});
        log_refusal(signing.error(), "the signing key cannot be used");
        return false;
    }
    signing_ = std::move(*signing);
    if (!signing_) return true;
    if (auto fed = signing_->header(section); !fed) {
        refuse(fed.error(), "the header cannot be signed");
        return false;
    }
    return true;
}

// Whose signature the message wants: the From field decides, the envelope when there is none. Keys
// go by domains as the DNS knows them (RFC 8616).
std::string Acceptance::author(std::string_view section) const {
    const auto header = mail::parse_header(section);
    const auto* from = header.find("From");
    if (from == nullptr) return runtime::with_a_labels(transaction_.sender);
    const auto addresses = mail::addresses_of(from->value);
    return runtime::with_a_labels(addresses.empty() ? transaction_.sender : addresses.front());
}

void Acceptance::add_body(std::string_view bytes) {
    buffer_ += bytes;
    size_bytes_ += bytes.size();
    eight_bit_ = eight_bit_ || !is_ascii(bytes);
    if (verification_) verification_->body(bytes);
    if (!signing_) return;
    if (auto fed = signing_->body(bytes); !fed) refuse(fed.error(), "the body cannot be signed");
}

// The front of `buffer_`, where it is; the little that may be behind it moves.
std::string Acceptance::cut_chunk() {
    std::string rest;
    if (buffer_.size() >= chunk_bytes) {
        rest.reserve(buffer_.size());  // as much again may come
        rest.append(buffer_, chunk_bytes);
        buffer_.resize(chunk_bytes);
    }
    return std::exchange(buffer_, std::move(rest));
}

asio::awaitable<void> Acceptance::flush_chunk() {
    co_await ensure_begun();
    if (refusal_) co_return;
    auto chunk = make_chunk(cut_chunk());
    auto appended = co_await runtime::completed_on<void>(
        context_.home, [&queue = context_.queue, id = id_, index = ++chunk_count_,
                        chunk = std::move(chunk)](Completion<> done) mutable {
            queue.append(id, index, std::move(chunk), std::move(done));
        });
    if (!appended) refuse(appended.error(), "the body cannot be stored");
}

asio::awaitable<void> Acceptance::ensure_begun() {
    if (begun_ || refusal_) co_return;
    auto id = co_await runtime::completed_on<QueueId>(
        context_.home,
        [&queue = context_.queue, size = transaction_.declared_bytes, copies = client_.copies](
            Completion<QueueId> done) { queue.begin(size, copies, std::move(done)); });
    if (!id) {
        refuse(id.error(), "the queue takes no message");
        co_return;
    }
    id_ = *id;
    begun_ = true;
}

// ------------------------------------------------------------------ the end of data

asio::awaitable<Reply> Acceptance::finish() {
    PH_ASSERT(!finished_);
    if (in_header_ && !refusal_) end_header();
    auto head = co_await make_head();
    if (!head) {
        abort();
        co_return *refusal_;
    }
    auto envelope = make_envelope(head->text.size());
    size_bytes_ = envelope.size_bytes;
    const auto release_at = envelope.release_at;
    finished_ = true;
    const auto id = co_await commit(std::move(envelope), *std::move(head));
    if (!id) {
        refuse(id.error(), "the queue does not take the message");
        co_return *refusal_;
    }
    id_ = *id;
    log_accepted(release_at);
    co_return Reply{250, {2, 0, 0}, "ok: queued as " + id_.to_string()};
}

// One way to home and back: what came in one piece begins there, too.
asio::awaitable<Result<QueueId>> Acceptance::commit(Envelope envelope, Head head) {
    return runtime::completed_on<QueueId>(
        context_.home, [&context = context_, begun = begun_, size = transaction_.declared_bytes,
                        copies = client_.copies, envelope = std::move(envelope),
                        head = std::move(head)](Completion<QueueId> done) mutable {
            auto commit = [&context, envelope = std::move(envelope), head = std::move(head),
                           done = std::move(done)](Result<QueueId> id) mutable {
                if (!id) return done(id.error());
                envelope.id = *id;
                head.text.replace(head.id_at, QueueId::text_length, id->to_string());
                envelope.due_at = context.first_due(envelope);
                auto hand_on = [&context, envelope,
                                done = std::move(done)](Result<void> result) mutable {
                    if (!result) return done(result.error());
                    const auto id = envelope.id;
                    context.accepted(std::move(envelope));
                    done(id);
                };
                context.queue.commit(std::move(envelope), make_chunk(std::move(head.text)),
                                     std::move(hand_on));
            };
            if (begun) return commit(envelope.id);
            context.queue.begin(size, copies, std::move(commit));
        });
}

// Chunk 0: trace fields, signatures, and the whole message when it is small. nullopt: refused.
asio::awaitable<std::optional<Acceptance::Head>> Acceptance::make_head() {
    const bool streamed = chunk_count_ > 0;
    while (streamed && !buffer_.empty() && !refusal_) co_await flush_chunk();
    if (refusal_) co_return std::nullopt;
    Head head{co_await verified(), 0};
    if (refusal_) co_return std::nullopt;
    const auto trace = trace_field();
    head.id_at = head.text.size() + trace.queue_id_at;
    head.text += trace.text;
    if (signing_) {
        auto fields = co_await sign();
        if (!fields) {
            refuse(fields.error(), "the message cannot be signed");
            co_return std::nullopt;
        }
        head.text += *fields;
    }
    if (!streamed) head.text += buffer_;
    co_return head;
}

// A signature of RSA takes a third of a millisecond: not on an event loop.
asio::awaitable<Result<std::string>> Acceptance::sign() {
    if (signing_->is_brief()) co_return signing_->finish();
    co_return co_await runtime::completed<std::string>([this](Completion<std::string> done) {
        auto shared = std::make_shared<Completion<std::string>>(std::move(done));
        auto job = [signing = &*signing_, shared] { (*shared)(signing->finish()); };
        if (!context_.signing_workers.submit(std::move(job))) {
            (*shared)(Error{Errc::unavailable, "too many messages wait for a signature"});
        }
    });
}

void Acceptance::begin_verification() {
    auto begun =
        context_.verifier->begin({origin_.client_address, origin_.helo, transaction_.sender});
    if (!begun) return refuse_unverified(begun.error());
    verification_ = std::move(*begun);
}

// The field that tells what was found; empty: nothing was looked for, or it was refused.
asio::awaitable<std::string> Acceptance::verified() {
    if (!verification_) co_return std::string();
    auto findings = co_await verification_->finish();
    if (!findings) {
        refuse_unverified(findings.error());
        co_return std::string();
    }
    findings_ = std::move(*findings);
    auto field = context_.verifier->field(*findings_);
    const bool beyond_ascii = !is_ascii(field);
    utf8_header_ = utf8_header_ || beyond_ascii;
    eight_bit_ = eight_bit_ || beyond_ascii;
    co_return field;
}

void Acceptance::refuse_unverified(const Error& error) {
    context_.verifier->count_unavailable();
    log_refusal(error, "the message cannot be verified");
    refuse(Reply{451, {4, 7, 0}, "the message cannot be verified now; try later"});
}

void Acceptance::abort() {
    if (std::exchange(finished_, true) || !begun_) return;
    context_.home.post([&queue = context_.queue, id = id_] { queue.abort(id); });
}

void Acceptance::refuse(Reply why) {
    if (!refusal_) refusal_ = std::move(why);
    buffer_ = {};
    signing_.reset();
    verification_.reset();
}

void Acceptance::refuse(const Error& error, const char* what) {
    log_refusal(error, what);
    refuse(reply_to(error));
}

void Acceptance::log_refusal(const Error& error, const char* what) const {
    runtime::log::warning("not_accepted", {{"why", what},
                                           {"error", error.what},
                                           {"client", origin_.client_address},
                                           {"listener", origin_.listener}});
}

void Acceptance::log_accepted(WallTime release_at) const {
    runtime::log::info("accepted", {{"id", id_.to_string()},
                                    {"sender", transaction_.sender},
                                    {"recipients", transaction_.recipients.size()},
                                    {"size", size_bytes_},
                                    {"client", origin_.client_address},
                                    {"login", origin_.login},
                                    {"listener", origin_.listener},
                                    {"message_id", message_id_}});
    if (const auto priority = transaction_.wishes.priority; priority != 0)
        runtime::log::info("priority_given", {{"id", id_.to_string()}, {"priority", priority}});
    if (release_at != WallTime{}) {
        runtime::log::info("release_awaited",
                           {{"id", id_.to_string()}, {"release", format_date_time(release_at)}});
    }
    if (findings_) log_verified();
}

void Acceptance::log_verified() const {
    const auto& dmarc = findings_->dmarc;
    runtime::log::info("verified", {{"id", id_.to_string()},
                                    {"spf", to_string(findings_->spf.result)},
                                    {"dkim", verify::dkim_words(findings_->dkim)},
                                    {"dmarc", to_string(dmarc.result)},
                                    {"policy", dmarc.policy ? to_string(*dmarc.policy) : ""},
                                    {"from", dmarc.from_domain},
                                    {"client", origin_.client_address}});
}

Envelope Acceptance::make_envelope(std::uint64_t head_bytes) const {
    const auto& queue = context_.config.queue;
    Envelope envelope;
    envelope.id = id_;
    envelope.sender = transaction_.sender;
    for (const auto& recipient : transaction_.recipients) {
        Recipient entry;
        entry.address = qualified(context_.config, recipient.address);
        entry.wishes = recipient.wishes;
        envelope.recipients.push_back(std::move(entry));
    }
    envelope.body = eight_bit_ ? BodyKind::eight_bit : BodyKind::seven_bit;
    envelope.utf8_header = utf8_header_;
    envelope.wishes = transaction_.wishes;
    envelope.origin = origin_;
    envelope.accepted_at = context_.clock.wall();
    envelope.release_at = release_time(envelope);
    envelope.due_at = std::max(envelope.accepted_at, envelope.release_at);
    envelope.expires_at =
        envelope.due_at + (transaction_.sender.empty() ? queue.bounce_lifetime : queue.lifetime);
    const bool warns = queue.delay_warning > Duration::zero() && !transaction_.sender.empty();
    envelope.warn_at = warns ? envelope.due_at + queue.delay_warning : never;
    apply_sender_times(envelope, late_notice(envelope));
    // Without chunks the head holds everything; with them size_bytes_ went into the chunks.
    envelope.size_bytes = chunk_count_ == 0 ? head_bytes : head_bytes + size_bytes_;
    envelope.chunk_count = chunk_count_;
    envelope.message_id = message_id_;
    envelope.history = {{envelope.accepted_at, context_.node, acceptance_event()}};
    return envelope;
}

std::string Acceptance::acceptance_event() const {
    auto what = "accepted from " + origin_.client_address + " on " + origin_.listener;
    if (!origin_.login.empty()) what += " as " + origin_.login;
    return sanitise(what, history_text_max);
}

mail::ReceivedField Acceptance::trace_field() const {
    const auto& recipients = transaction_.recipients;
    return mail::received_field(
        {.origin = origin_,
         .host_name = context_.config.host_name,
         .queue_id = id_.to_string(),
         .recipient = recipients.size() == 1 ? recipients.front().address : "",
         .at = context_.clock.wall(),
         .priority = transaction_.wishes.priority});
}

}  // namespace posthorse::intake
