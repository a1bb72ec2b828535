#include "daemon/deliver/connection.h"

#include <algorithm>

#include <boost/asio/ip/address.hpp>

#include "daemon/runtime/await.h"
#include "proto/types/assert.h"

namespace posthorse::deliver {
namespace {

namespace asio = runtime::asio;
using runtime::IoEnd;
using smtp::ClientEnd;
using tcp = runtime::tcp;

// What goes out together with the final dot: about a first window of TCP (RFC 6928), so that the
// dot leaves with it and does not wait in the kernel.
constexpr std::size_t tail_bytes_max = 14 * 1024;
constexpr auto* stopping = "the node stops";
constexpr Duration farewell = std::chrono::seconds{2};
constexpr Duration last_words = std::chrono::seconds{1};

std::string name_of(const Candidate& candidate) {
    if (candidate.local) return candidate.address;
    const auto port = ':' + std::to_string(candidate.port);
    if (candidate.host == candidate.address) return '[' + candidate.address + ']' + port;
    return candidate.host + '[' + candidate.address + ']' + port;
}

// A reply line that is not followed by others of the same reply (RFC 5321 section 4.2.1).
bool ends_reply(std::string_view lines) {
    while (!lines.empty()) {
        const auto end = std::min(lines.find('\n'), lines.size() - 1);
        if (end < 3 || lines[3] != '-') return true;
        lines.remove_prefix(end + 1);
    }
    return false;
}

}  // namespace

Connection::Connection(runtime::Shard& shard,
                       const Settings& settings,
                       std::shared_ptr<asio::ssl::context> tls,
                       const MessagePort& messages,
                       const Clock& clock)
    : shard_(shard),
      settings_(settings),
      tls_context_(std::move(tls)),
      messages_(messages),
      clock_(clock) {}

Connection::~Connection() = default;

// --- opening

asio::awaitable<std::optional<Refusal>> Connection::open(std::vector<Candidate> candidates) {
    for (auto& candidate : candidates) {
        // What stays on this machine has nobody to hide from.
        const auto tls = candidate.local ? smtp::TlsUse::never : settings_.tls;
        if (co_await open_one(candidate, tls)) co_return std::nullopt;
        const bool in_clear = tls_failed_ && settings_.tls == smtp::TlsUse::when_offered;
        if (in_clear && co_await open_one(candidate, smtp::TlsUse::never)) co_return std::nullopt;
        if (aborted_) break;
    }
    co_return Refusal{OutcomeKind::deferred, failure_};
}

asio::awaitable<bool> Connection::open_one(Candidate candidate, smtp::TlsUse tls) {
    remote_ = name_of(candidate);
    host_ = candidate.host;
    stream_ = std::make_unique<runtime::Stream>(tcp::socket(shard_.context()));
    session_.reset();
    effects_.clear();
    input_.clear();
    tls_failed_ = false;
    jobs_done_ = 0;
    auto trouble = co_await connect(candidate);
    if (aborted_) trouble = aborted_why_;
    if (trouble) {
        failure_ = {0, {4, 4, 1}, "connect to " + remote_ + ": " + *trouble};
        co_return false;
    }
    session_.emplace(smtp::ClientProfile{.helo = settings_.helo,
                                         .tls = tls,
                                         .protocol = candidate.protocol,
                                         .limits = settings_.limits});
    smtp::ClientEffects out;
    session_->start(out);
    effects_.assign(out.begin(), out.end());
    co_await converse();
    if (session_->state() == smtp::ClientSession::State::ready) co_return true;
    failure_ = session_->refusal();
    failure_.text = remote_ + ": " + failure_.text;
    close(false);
    co_return false;
}

// What went wrong, or nothing.
asio::awaitable<std::optional<std::string>> Connection::connect(Candidate candidate) {
    runtime::IoResult<void> connected;
    if (candidate.local) {
        connected = co_await stream_->connect_local(candidate.address);
    } else {
        const auto address = asio::ip::make_address(candidate.address);
        if (auto trouble = bind_source(address.is_v6())) co_return trouble;
        if (aborted_) co_return aborted_why_;
        connected =
            co_await stream_->connect({address, candidate.port}, settings_.timeouts.connect);
    }
    if (connected) co_return std::nullopt;
    co_return connected.error().what;
}

// What went wrong, or nothing. An address of the other family is not used.
std::optional<std::string> Connection::bind_source(bool v6) {
    if (settings_.source_address.empty()) return std::nullopt;
    boost::system::error_code code;
    const auto source = asio::ip::make_address(settings_.source_address, code);
    if (!code && source.is_v6() != v6) return std::nullopt;
    auto& socket = stream_->socket();
    if (!code) socket.open(v6 ? tcp::v6() : tcp::v4(), code);
    if (!code) socket.bind({source, 0}, code);
    if (!code) return std::nullopt;
    return "delivery.source_address " + settings_.source_address + ": " + code.message();
}

// --- the conversation

// Carries out effects and reads replies until the session is ready, done with a job, or closed.
asio::awaitable<void> Connection::converse() {
    settled_ = false;
    step_begun_ = clock_.boot();
    while (!settled_ || !effects_.empty()) {
        if (effects_.empty()) {
            co_await read_replies(patience_left());
            continue;
        }
        auto effect = std::move(effects_.front());
        effects_.pop_front();
        co_await carry_out(std::move(effect));
    }
}

asio::awaitable<void> Connection::carry_out(smtp::ClientEffect effect) {
    if (auto* text = std::get_if<smtp::ClientSend>(&effect)) {
        co_await send(std::move(text->bytes));
    } else if (std::holds_alternative<smtp::ClientStartTls>(effect)) {
        co_await start_tls();
    } else if (std::holds_alternative<smtp::SendBody>(effect)) {
        co_await send_body();
    } else if (std::holds_alternative<smtp::MayEnd>(effect)) {
        co_await end_body();
    } else if (auto* result = std::get_if<smtp::RecipientResult>(&effect)) {
        outcomes_.push_back(
            {job_.recipients[result->recipient], result->kind, status_of(result->reply)});
        outcomes_.back().status.notices_passed_on = result->notices_passed_on;
        outcomes_.back().status.final_delivery = result->final_delivery;
        outcomes_.back().status.tell_relay = result->tell_relay;
        outcomes_.back().status.reply_lost = result->lost_after_dot;
        replied_ = replied_ || result->reply.code != 0;
    } else if (std::holds_alternative<smtp::ClientClose>(effect)) {
        close(!our_fault_);
        settled_ = true;
    } else {
        settled_ = true;  // Ready, JobDone
    }
}

asio::awaitable<void> Connection::send(std::string bytes) {
    if (!stream_->socket().is_open()) co_return;
    if (aborted_) co_return end_session(ClientEnd::shutdown, aborted_why_);
    if (!tail_.empty()) bytes = std::exchange(tail_, {}) + bytes;
    const auto written = co_await stream_->write(bytes, settings_.timeouts.data_block);
    step_begun_ = clock_.boot();
    if (written) co_return;
    // A server that refuses and hangs up may have said why.
    if (written.error().end == IoEnd::closed) co_await read_replies(last_words);
    end_session(written.error());
}

asio::awaitable<void> Connection::start_tls() {
    const auto done = co_await stream_->client_handshake(
        tls_context_, is_address(host_) ? "" : host_, settings_.timeouts.tls_handshake);
    input_.clear();  // nothing that was said in clear counts inside (RFC 3207 section 4.2)
    step_begun_ = clock_.boot();
    smtp::ClientEffects out;
    if (aborted_) {
        end_session(ClientEnd::shutdown, aborted_why_);
    } else if (done) {
        const bool verified = stream_->tls_info().verified;
        session_->tls_established(verified ? smtp::TlsPeer::verified : smtp::TlsPeer::unverified,
                                  out);
    } else {
        tls_failed_ = true;
        session_->tls_failed(done.error().what, out);
    }
    effects_.insert(effects_.end(), out.begin(), out.end());
}

asio::awaitable<void> Connection::read_replies(Duration patience) {
    if (aborted_) co_return end_session(ClientEnd::shutdown, aborted_why_);
    char buffer[4096];
    const auto count = co_await stream_->read_some(buffer, patience);
    if (count) {
        feed({buffer, *count});
    } else {
        end_session(count.error());
    }
}

void Connection::feed(std::string_view bytes) {
    input_ += bytes;
    smtp::ClientEffects out;
    const auto taken = session_->feed(input_, out);
    if (ends_reply(std::string_view(input_).substr(0, taken))) {
        step_begun_ = clock_.boot();
        heard_ = true;
    }
    input_.erase(0, taken);
    effects_.insert(effects_.end(), out.begin(), out.end());
}

void Connection::end_session(ClientEnd why, std::string what) {
    our_fault_ = our_fault_ || why == ClientEnd::shutdown || why == ClientEnd::lease_lost;
    smtp::ClientEffects out;
    session_->end(why, std::move(what), out);
    effects_.insert(effects_.end(), out.begin(), out.end());
}

void Connection::end_session(const IoError& error) {
    if (aborted_) return end_session(ClientEnd::shutdown, aborted_why_);
    closed_by_peer_ = error.end == IoEnd::closed;
    const auto why = error.end == IoEnd::timed_out ? ClientEnd::timed_out : ClientEnd::peer_closed;
    end_session(why, remote_ + ": " + error.what);
}

void Connection::close(bool in_order) {
    if (!stream_ || !stream_->socket().is_open()) return;
    in_order ? stream_->close() : stream_->reset();
}

// --- a message

asio::awaitable<Connection::Attempt> Connection::deliver(DeliveryJob job) {
    PH_ASSERT(session_ && session_->may_deliver());
    job_ = std::move(job);
    outcomes_.clear();
    tail_.clear();
    heard_ = replied_ = our_fault_ = closed_by_peer_ = false;
    Intent intent{job_.id, job_.attempt, job_.recipients, remote_, clock_.wall()};
    intent_.emplace(
        shard_, [&](Completion<> done) { messages_.intend(std::move(intent), std::move(done)); });
    auto& by = job_.wishes.deliver_by;
    if (by.asked()) by.left = std::chrono::floor<std::chrono::seconds>(by.at - clock_.wall());
    smtp::ClientEffects out;
    session_->deliver({.sender = job_.sender,
                       .recipients = job_.addresses,
                       .size_bytes = job_.size_bytes,
                       .body = job_.body,
                       .utf8_header = job_.utf8_header,
                       .wishes = job_.wishes,
                       .recipient_wishes = job_.recipient_wishes},
                      out);
    effects_.insert(effects_.end(), out.begin(), out.end());
    const auto watched = std::make_shared<Connection*>(this);
    asio::steady_timer watch(shard_.context(), settings_.timeouts.attempt);
    watch.async_wait([weak = std::weak_ptr(watched)](const boost::system::error_code& ended) {
        const auto self = weak.lock();
        if (ended || !self || (*self)->aborted_) return;
        (*self)->stalled_ = true;
        (*self)->break_off("the attempt was not over in time");
    });
    co_await converse();
    intent_.reset();
    chunk_.reset();

    const bool still_open = session_->state() == smtp::ClientSession::State::ready;
    const bool again = jobs_done_++ > 0;
    Attempt attempt;
    attempt.stale = again && !heard_ && closed_by_peer_;
    attempt.result = {.id = job_.id,
                      .attempt = job_.attempt,
                      .destination = job_.destination,
                      .outcomes = std::move(outcomes_),
                      .health = still_open || replied_ || our_fault_
                                    ? DestinationHealth::good
                                    : DestinationHealth::unreachable,
                      .end = stalled_     ? AttemptEnd::cut_off
                             : our_fault_ ? AttemptEnd::unfinished
                                          : AttemptEnd::completed};
    PH_ASSERT(attempt.result.outcomes.size() == job_.recipients.size());
    co_return attempt;
}

asio::awaitable<void> Connection::send_body() {
    const auto read = [this](std::uint32_t index) {
        chunk_.emplace(shard_, [this, index](Completion<Chunk> done) {
            messages_.read_chunk(job_.id, index, std::move(done));
        });
    };
    smtp::DotStuffer stuffer;
    std::string ready;  // stuffed, not written yet
    read(0);
    for (std::uint32_t index = 0; index <= job_.chunk_count; ++index) {
        const auto chunk = co_await chunk_->answer();
        if (aborted_) co_return end_session(ClientEnd::shutdown, aborted_why_);
        if (!chunk) {
            co_return end_session(
                ClientEnd::shutdown,
                "message cannot be read here: " + std::string(to_string(chunk.error().code)));
        }
        if (index < job_.chunk_count) read(index + 1);
        stuffer.stuff(**chunk, ready);
        if (index == job_.chunk_count) stuffer.finish(ready);
        const auto now = ready.size() - std::min(ready.size(), tail_bytes_max);
        if (now == 0) continue;
        co_await send(ready.substr(0, now));
        ready.erase(0, now);
        if (session_->state() != smtp::ClientSession::State::body) co_return;
    }
    tail_ = std::move(ready);
    smtp::ClientEffects out;
    session_->body_sent(out);
    effects_.insert(effects_.end(), out.begin(), out.end());
}

// All but the tail is sent. May the message end?
asio::awaitable<void> Connection::end_body() {
    if (intent_) {
        const auto recorded = co_await intent_->answer();
        if (aborted_) co_return end_session(ClientEnd::shutdown, aborted_why_);
        if (!recorded) {
            co_return end_session(ClientEnd::lease_lost, "the attempt could not be recorded: " +
                                                             std::string(recorded.error().what));
        }
        intent_.reset();  // recorded for all rounds of the message
    }
    if (!co_await wait_until_sent()) {
        co_return end_session({IoEnd::timed_out, "the body was not taken in time"});
    }
    // A reply that came before its question must not be taken for the answer to the dot.
    if (!stream_->quiet()) co_await read_replies(last_words);
    if (session_->state() != smtp::ClientSession::State::may_end) co_return;
    const auto permitted = co_await runtime::completed<bool>([this](Completion<bool> done) {
        messages_.may_send_dot(job_.id, job_.attempt, std::move(done));
    });
    if (aborted_) co_return end_session(ClientEnd::shutdown, aborted_why_);
    const bool permit = permitted && *permitted;
    our_fault_ = !permit;
    smtp::ClientEffects out;
    session_->dot(permit, out);
    effects_.insert(effects_.end(), out.begin(), out.end());
}

// Until the dot would leave at once. What was sent need not be acknowledged: a receiver may take
// 40 ms for that, and lease_lost() ends a connection on which something waits.
// False: the peer did not take it in time, or the node stops. The kernel tells nobody when a send
// queue runs empty, so it is asked again and again, ever less often.
asio::awaitable<bool> Connection::wait_until_sent() {
    constexpr Duration longest = std::chrono::milliseconds{20};
    const auto deadline = clock_.boot() + settings_.timeouts.data_block;
    asio::steady_timer timer(shard_.context());
    Duration pause{1};
    while (!stream_->would_leave_at_once(tail_.size())) {
        if (aborted_ || clock_.boot() >= deadline) co_return false;
        timer.expires_after(pause);
        co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        pause = std::min(2 * pause, longest);
    }
    co_return true;
}

// --- between and after messages

bool Connection::usable() {
    return idle() && session_->may_deliver();
}

bool Connection::idle() {
    return session_ && session_->state() == smtp::ClientSession::State::ready && !aborted_ &&
           stream_->quiet();
}

asio::awaitable<void> Connection::quit() {
    if (!idle()) {
        close(false);
        co_return;
    }
    smtp::ClientEffects out;
    session_->quit(out);
    effects_.insert(effects_.end(), out.begin(), out.end());
    co_await converse();
    close(true);
}

void Connection::abort() {
    break_off(stopping);
}

void Connection::break_off(std::string why) {
    if (std::exchange(aborted_, true)) return;
    aborted_why_ = std::move(why);
    if (stream_) stream_->cancel();
    if (intent_) intent_->give_up();
    if (chunk_) chunk_->give_up();
}

// The dot itself may wait in the kernel, behind a window that is closed or a way that is cut: it
// would be sent again and again until it arrives, long after another node took over.
void Connection::lease_lost() {
    if (!stream_ || !stream_->socket().is_open() || stream_->unsent_bytes() == 0) return;
    break_off("the lease was lost before the server had acknowledged all that was sent");
    stream_->reset();
}

// --- small things

Duration Connection::patience_for(smtp::Step step) const {
    switch (step) {
        case smtp::Step::greeting:
            return settings_.timeouts.greeting;
        case smtp::Step::command:
            return settings_.timeouts.command;
        case smtp::Step::data_start:
            return settings_.timeouts.data_start;
        case smtp::Step::final_dot:
            return settings_.timeouts.final_dot;
        case smtp::Step::quit:
            return farewell;
    }
    return settings_.timeouts.command;
}

// Of the time for the whole reply that is awaited.
Duration Connection::patience_left() const {
    const auto spent = clock_.boot() - step_begun_;
    return std::max(patience_for(session_->awaited()) - spent, Duration{1});
}

DeliveryStatus Connection::status_of(const Reply& reply) const {
    return {reply, remote_, stream_->secure() ? stream_->tls_info().description : "",
            clock_.wall()};
}

}  // namespace posthorse::deliver
