#include "daemon/intake/connection.h"

#include <algorithm>
#include <array>

#include "daemon/runtime/await.h"
#include "daemon/runtime/log.h"
#include "daemon/runtime/pause.h"
#include "proto/mail/trace_header.h"

namespace posthorse::intake {
namespace {

using config::ListenerKind;

constexpr std::size_t command_read_bytes = 4 * 1024;   // thousands of sessions may idle here
constexpr std::size_t body_read_bytes_min = 8 * 1024;  // doubled while there is more
constexpr std::size_t body_read_bytes_max = 64 * 1024;
constexpr std::size_t output_bytes_max = 64 * 1024;

smtp::ServerProfile profile(const IntakeContext& context,
                            const config::Listener& listener,
                            bool trusted) {
    const bool submission = listener.kind != ListenerKind::mx;
    const bool has_tls = context.server_tls.get() != nullptr;
    smtp::ServerProfile offered;
    offered.host_name = context.config.host_name;
    offered.implicit_tls = listener.kind == ListenerKind::submissions;
    offered.starttls = has_tls && !offered.implicit_tls;
    offered.auth = submission;
    offered.auth_in_clear = submission && trusted;
    offered.require_auth = submission && !trusted;
    offered.require_tls = submission && !trusted;
    // RFC 6710 section 4.1: nobody else raises the priority of its mail.
    if (submission || trusted)
        offered.priority_max = static_cast<int>(context.config.intake.priority_max);
    offered.deliver_by_min =
        std::chrono::ceil<std::chrono::seconds>(context.config.intake.deliver_by_min);
    const auto held_for_max =
        std::chrono::floor<std::chrono::seconds>(context.config.intake.future_release_max);
    if (submission && held_for_max.count() > 0) {
        offered.release = {.after_max = held_for_max,
                           .at_max = context.clock.wall() + held_for_max};
    }
    offered.limits = context.config.limits;
    return offered;
}

asio::ip::address plain_address(const asio::ip::address& address) {
    if (address.is_v6() && address.to_v6().is_v4_mapped()) {
        return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    }
    return address;
}

}  // namespace

Connection::Connection(IntakeContext& context,
                       Crowds crowds,
                       const config::Listener& listener,
                       runtime::Stream& stream,
                       const asio::ip::address& client)
    : context_(context),
      crowds_(crowds),
      listener_(listener),
      stream_(stream),
      peer_(plain_address(client).to_string()),
      trusted_(context.trusted_networks.contains(client)),
      limits_(context, plain_address(client), trusted_),
      session_(profile(context, listener, trusted_)),
      login_(context, limits_, peer_),
      began_(context.clock.boot()),
      step_began_(began_) {}

asio::awaitable<void> Connection::run() {
    co_await delay_greeting();
    if (session_.profile().implicit_tls && !co_await implicit_tls()) co_return;
    if (session_.profile().implicit_tls || co_await is_quiet()) co_await converse();
    co_await flush();
    co_await stream_.close_in_order();
}

asio::awaitable<void> Connection::delay_greeting() {
    const auto delay = co_await limits_.greeting_delay();
    if (delay == Duration::zero()) co_return;
    context_.metrics.delayed_greetings.add();
    co_await runtime::pause(delay);
}

void Connection::stop() {
    stopping_ = true;
    if (!session_.in_transaction()) stream_.cancel();
}

void Connection::hurry() {
    if (listening_) stream_.hasten(patience());
}

asio::awaitable<bool> Connection::implicit_tls() {
    if (!context_.server_tls.get()) co_return false;
    const auto done = co_await handshake();
    // Probes of load balancers connect and leave: nothing to report.
    if (!done && done.error().end != runtime::IoEnd::closed) {
        context_.metrics.tls_failures.add();
        runtime::log::debug("tls_failed", {{"client", peer_}, {"why", done.error().what}});
    }
    co_return done.has_value();
}

asio::awaitable<runtime::IoResult<runtime::TlsInfo>> Connection::handshake() {
    listening_ = true;
    auto done = co_await stream_.server_handshake(
        context_.server_tls.get(), crowds_.bounded(context_.config.timeouts.tls_handshake));
    listening_ = false;
    co_return done;
}

// Who speaks before it is greeted does not speak SMTP (RFC 5321 section 3.1): many robots do so.
asio::awaitable<bool> Connection::is_quiet() {
    const auto heard = co_await stream_.hears(trusted_ ? Duration{} : listener_.greet_pause);
    if (!heard) co_return heard.error().end == runtime::IoEnd::cancelled;  // is told that we stop
    if (!*heard) co_return true;
    context_.metrics.early_talkers.add();
    runtime::log::info("talked_early", {{"client", peer_}, {"listener", listener_.name}});
    output_ = Reply{554, {5, 5, 0}, "you spoke before the greeting"}.to_wire();
    std::array<char, command_read_bytes> unread;  // closing over it would reset the connection
    co_await stream_.read_some(unread, context_.config.timeouts.server_command);
    co_return false;
}

asio::awaitable<void> Connection::converse() {
    offer_logins();
    session_.start(effects_);
    co_await carry_out();
    while (!closing_) {
        const auto before = session_.state();
        const auto taken = session_.feed(unread(), effects_);
        const bool out_of_turn = session_.client_must_wait() && taken < input_.size();
        const bool progress = taken > 0 || !effects_.empty() || session_.state() != before;
        co_await carry_out();  // BodyData points into input_
        input_.consume(taken);
        if (out_of_turn) {
            cut_off_out_of_turn();
            co_await carry_out();
        }
        if (!acceptance_ && input_.size() == 0 && input_.capacity() > command_read_bytes)
            input_.shrink_to_fit();
        if (progress || closing_) continue;
        if (wants_stop()) {
            session_.end(smtp::EndReason::shutdown, effects_);
            co_await carry_out();
            break;
        }
        co_await flush();
        if (!closing_ && !co_await read_more()) break;
    }
    acceptance_.reset();
}

// What came with EHLO or DATA was written by somebody who does not hear the answers: a robot, or a
// client of another protocol that was led here.
void Connection::cut_off_out_of_turn() {
    context_.metrics.early_talkers.add();
    runtime::log::info("talked_early", {{"client", peer_}, {"listener", listener_.name}});
    session_.end(smtp::EndReason::out_of_turn, effects_);
}

std::string_view Connection::unread() const {
    const auto octets = input_.cdata();
    return {static_cast<const char*>(octets.data()), octets.size()};
}

// False: the conversation is over.
asio::awaitable<bool> Connection::read_more() {
    const auto room = acceptance_ ? body_read_bytes_ : command_read_bytes;
    listening_ = true;
    const auto space = input_.prepare(room);  // memory as it is found: nobody fills it first
    const auto count = co_await stream_.read_some(
        std::span(static_cast<char*>(space.data()), space.size()), patience());
    listening_ = false;
    if (count) input_.commit(*count);
    if (acceptance_ && count && *count == room)
        body_read_bytes_ = std::min(2 * room, body_read_bytes_max);
    if (count) co_return true;
    switch (count.error().end) {
        case runtime::IoEnd::timed_out:
            session_.end(smtp::EndReason::idle, effects_);
            break;
        case runtime::IoEnd::cancelled:
            session_.end(smtp::EndReason::shutdown, effects_);
            break;
        default:
            session_.end(smtp::EndReason::peer_closed, effects_);
            break;
    }
    co_await carry_out();
    co_return false;
}

// How long to wait for the client's next octets.
Duration Connection::patience() const {
    const auto& timeouts = context_.config.timeouts;
    const auto now = context_.clock.boot();
    BootTime until = step_began_ + crowds_.bounded(timeouts.server_command);
    if (acceptance_) {
        const auto pause = crowds_.bounded(timeouts.server_data);
        const auto owed = std::chrono::seconds{body_bytes_ / body_bytes_per_second_min};
        until = std::min(step_began_ + pause + owed, now + pause);
    }
    until = std::min(until, began_ + timeouts.server_session);
    return std::max(Duration{1}, until - now);
}

// ------------------------------------------------------------------ effects

asio::awaitable<void> Connection::carry_out() {
    while (!effects_.empty()) {
        auto batch = std::exchange(effects_, {});
        for (auto& effect : batch) {
            // Of a body with many dots there are thousands: no coroutine for each.
            if (const auto* data = std::get_if<smtp::BodyData>(&effect)) {
                if (take_body(data->bytes)) co_await acceptance_->store();
            } else {
                co_await carry_out_one(std::move(effect));
            }
        }
    }
}

// True: the acceptance has to store before it takes more.
bool Connection::take_body(std::string_view bytes) {
    body_bytes_ += bytes.size();
    return acceptance_ && acceptance_->take(bytes);
}

asio::awaitable<void> Connection::carry_out_one(smtp::Effect effect) {
    if (auto* send = std::get_if<smtp::Send>(&effect)) {
        output_ += send->bytes;
        step_began_ = context_.clock.boot();
        if (output_.size() > output_bytes_max) co_await flush();
    } else if (auto* begun = std::get_if<smtp::AuthBegin>(&effect)) {
        co_await log_in(login_.begin(std::move(*begun)));
    } else if (auto* response = std::get_if<smtp::AuthResponse>(&effect)) {
        co_await log_in(login_.respond(std::move(response->octets)));
    } else if (std::holds_alternative<smtp::AuthAbort>(effect)) {
        login_.abort();
    } else if (auto* mail = std::get_if<smtp::CheckMail>(&effect)) {
        co_await check_mail(std::move(*mail));
    } else if (auto* recipient = std::get_if<smtp::CheckRcpt>(&effect)) {
        check_recipient(recipient->recipient);
    } else if (std::holds_alternative<smtp::BodyBegin>(effect)) {
        body_bytes_ = 0;
        body_read_bytes_ = body_read_bytes_min;
        auto transaction = session_.transaction();
        auto& by = transaction.wishes.deliver_by;
        if (by.asked()) by.at = mail_at_ + by.left;  // RFC 2852 section 4: from MAIL on
        acceptance_ =
            std::make_unique<Acceptance>(context_, client(), origin(), std::move(transaction));
    } else if (auto* end = std::get_if<smtp::MessageEnd>(&effect)) {
        co_await end_message(std::move(end->fault));
    } else if (std::holds_alternative<smtp::BodyAbort>(effect)) {
        acceptance_.reset();
    } else if (std::holds_alternative<smtp::StartTls>(effect)) {
        co_await start_tls();
    } else if (std::holds_alternative<smtp::Close>(effect)) {
        closing_ = true;
    }
}

asio::awaitable<void> Connection::log_in(asio::awaitable<LoginStep> step) {
    auto done = co_await std::move(step);
    if (const auto* challenge = std::get_if<smtp::Challenge>(&done)) {
        session_.auth_challenge(challenge->octets, effects_);
    } else {
        auto& verdict = std::get<LoginVerdict>(done);
        session_.auth_verdict(std::move(verdict.login), verdict.reply, effects_);
    }
}

// What can be offered depends on the handshake.
void Connection::offer_logins() {
    const auto& tls = stream_.tls_info();
    login_.bind_to({tls.tls_exporter, tls.tls_unique});
    session_.offer(login_.mechanisms());
}

asio::awaitable<void> Connection::check_mail(smtp::CheckMail mail) {
    const auto& sender = mail.sender;
    mail_at_ = context_.clock.wall();
    switch (context_.door.load(std::memory_order_relaxed)) {
        case Door::full:
            co_return answer({452, {4, 3, 1}, "the queue's disk is nearly full; try later"});
        case Door::failed:
            co_return answer({451, {4, 3, 0}, "the queue cannot take mail now; try later"});
        case Door::open:
        case Door::draining:
            break;
    }
    if (stopping_ || context_.door.load(std::memory_order_relaxed) == Door::draining)
        co_return answer({421, {4, 3, 2}, "this server stops; try another"});
    if (const auto refusal = refuse_times(mail.wishes, mail_at_)) co_return answer(*refusal);
    const auto policy = context_.sender_policy.get();
    const auto judged = admit_sender(*policy, client(), sender);
    const bool exhausted = judged.positive() && co_await limits_.sender_is_exhausted(
                                                    counted_sender(*policy, client(), sender));
    if (exhausted)
        co_return answer({450, {4, 7, 1}, "this sender has sent its messages of a day; try later"});
    answer(judged);
}

void Connection::check_recipient(const std::string& recipient) {
    const auto map = context_.recipients.get();
    answer(admit_recipient(context_.config, map.get(), client(), recipient));
}

asio::awaitable<void> Connection::end_message(std::optional<Reply> fault) {
    const auto acceptance = std::exchange(acceptance_, nullptr);
    if (fault) {  // the session has answered
        context_.metrics.refused_for_good.add();
        co_return;
    }
    const auto ended = context_.clock.boot();
    const auto reply = co_await acceptance->finish();
    if (reply.positive()) {
        context_.metrics.messages.add();
        if (session_.transaction().wishes.release.asked()) context_.metrics.future_releases.add();
        limits_.accepted_from(
            counted_sender(*context_.sender_policy.get(), client(), session_.transaction().sender));
        context_.metrics.bytes.add(static_cast<double>(acceptance->size_bytes()));
        context_.metrics.custody_seconds.observe(
            std::chrono::duration<double>(context_.clock.boot() - ended).count());
        began_ = context_.clock.boot();  // a session that brings mail may stay
    }
    answer(reply);
}

asio::awaitable<void> Connection::start_tls() {
    co_await flush();
    input_.clear();  // RFC 3207 section 4.2: nothing said in clear counts inside
    const auto done = co_await handshake();
    if (done) {
        session_.tls_established(effects_);
        offer_logins();
        co_return;
    }
    context_.metrics.tls_failures.add();
    runtime::log::info("tls_failed", {{"client", peer_}, {"why", done.error().what}});
    output_.clear();
    closing_ = true;
}

asio::awaitable<void> Connection::flush() {
    if (output_.empty()) co_return;
    const auto said = std::exchange(output_, {});
    const auto sent = co_await stream_.write(said, context_.config.timeouts.server_command);
    if (!sent) closing_ = true;
}

void Connection::answer(const Reply& reply) {
    if (!reply.positive()) {
        (reply.transient() ? context_.metrics.refused_temporarily
                           : context_.metrics.refused_for_good)
            .add();
        runtime::log::info(
            "refused",
            {{"client", peer_}, {"listener", listener_.name}, {"reply", reply.to_line()}});
    }
    session_.verdict(reply, effects_);
}

Client Connection::client() const {
    return {listener_.kind, trusted_, session_.facts().login, listener_.copies,
            listener_.verify != "off"};
}

Origin Connection::origin() const {
    const auto& facts = session_.facts();
    const auto protocol = mail::protocol_name({.esmtp = facts.esmtp,
                                               .utf8 = session_.transaction().wishes.utf8,
                                               .tls = stream_.secure(),
                                               .authenticated = !facts.login.empty()});
    return {listener_.name,
            peer_,
            facts.helo,
            facts.login,
            std::string(protocol),
            stream_.tls_info().description};
}

}  // namespace posthorse::intake
