#include "proto/smtp/client_session.h"

#include <utility>

#include "proto/smtp/data_framing.h"
#include "proto/types/assert.h"

namespace posthorse::smtp {

namespace {

void send(std::string bytes, ClientEffects& out) {
    out.emplace_back(ClientSend{std::move(bytes)});
}

// What ended a conversation that the server did not end by a reply.
EnhancedCode code_of(ClientEnd reason) {
    switch (reason) {
        case ClientEnd::peer_closed:
        case ClientEnd::timed_out:
            return {4, 4, 2};
        case ClientEnd::lease_lost:
        case ClientEnd::shutdown:
            break;
    }
    return {4, 3, 2};
}

}  // namespace

ClientSession::ClientSession(ClientProfile profile)
    : profile_(std::move(profile)), tls_(profile_.tls_already), replies_(profile_.limits) {}

void ClientSession::start(ClientEffects&) {
    PH_ASSERT(state_ == State::greeting);
}

std::size_t ClientSession::feed(std::string_view input, ClientEffects& out) {
    std::size_t taken = 0;
    while (state_ != State::closed && state_ != State::tls) {
        const auto step = replies_.next(input, taken);
        if (std::holds_alternative<ReplyWanted>(step)) return taken;
        if (const auto* malformed = std::get_if<ReplyMalformed>(&step)) {
            broken(malformed->why, out);
        } else {
            on_reply(std::get<Reply>(step), out);
        }
    }
    // Replies that came in front of the handshake, or behind the end, are nobody's (RFC 3207
    // section 6).
    return input.size();
}

Step ClientSession::awaited() const noexcept {
    switch (state_) {
        case State::greeting:
            return Step::greeting;
        case State::data_start:
            return Step::data_start;
        case State::body:
        case State::may_end:
        case State::final_dot:
            return Step::final_dot;
        case State::quit:
        case State::closed:
            return Step::quit;
        default:
            return Step::command;
    }
}

void ClientSession::on_reply(const Reply& reply, ClientEffects& out) {
    // RFC 5321 section 3.8: 421 may answer anything, and the server hangs up.
    if (reply.code == 421 && state_ != State::quit) return on_service_closing(reply, out);
    switch (state_) {
        case State::greeting:
            return on_greeting(reply, out);
        case State::ehlo:
            return on_ehlo(reply, out);
        case State::helo:
            return on_helo(reply, out);
        case State::starttls:
            return on_starttls(reply, out);
        case State::envelope:
        case State::data_start:
            return on_envelope(reply, out);
        case State::body:
        case State::may_end:
            return on_early_reply(reply, out);
        case State::final_dot:
            return on_final_reply(reply, out);
        case State::ready:
            return broken("reply to no command: " + reply.to_line(), out);
        case State::quit:
            return close(out);
        case State::tls:
        case State::closed:
            break;
    }
    PH_ASSERT(!"a reply in a state that takes none");
}

// --- handshakes

void ClientSession::on_greeting(const Reply& reply, ClientEffects& out) {
    if (reply.code == 220) return send_hello(out);
    refuse(reply, out);
}

void ClientSession::send_hello(ClientEffects& out) {
    state_ = State::ehlo;
    const auto* verb = profile_.protocol == Protocol::lmtp ? "LHLO " : "EHLO ";
    send(verb + profile_.helo + "\r\n", out);
}

void ClientSession::on_ehlo(const Reply& reply, ClientEffects& out) {
    if (reply.code == 250) {
        offer_ = parse_offer(reply.text);
        // RFC 8689 section 4.2.1: a promise of somebody who may be anybody is none.
        offer_.require_tls = offer_.require_tls && peer_ == TlsPeer::verified;
        return after_hello(out);
    }
    // RFC 2033 section 4.1: LMTP has no older form.
    const bool older = reply.permanent() && profile_.protocol == Protocol::smtp;
    if (!older) return refuse(reply, out);
    offer_ = {};
    state_ = State::helo;  // RFC 5321 section 3.2: an old server
    send("HELO " + profile_.helo + "\r\n", out);
}

void ClientSession::on_helo(const Reply& reply, ClientEffects& out) {
    if (reply.code != 250) return refuse(reply, out);
    after_hello(out);
}

void ClientSession::after_hello(ClientEffects& out) {
    if (tls_ || profile_.tls == TlsUse::never) return become_ready(out);
    if (offer_.starttls) {
        state_ = State::starttls;
        return send("STARTTLS\r\n", out);
    }
    if (profile_.tls == TlsUse::required) {
        return refuse({0, {4, 7, 4}, "TLS is required and the server does not offer it"}, out);
    }
    become_ready(out);
}

void ClientSession::on_starttls(const Reply& reply, ClientEffects& out) {
    if (reply.code == 220) {
        state_ = State::tls;
        out.emplace_back(ClientStartTls{});
        return;
    }
    if (reply.positive()) return broken("STARTTLS answered by " + reply.to_line(), out);
    if (profile_.tls == TlsUse::required) {
        return refuse({0, {4, 7, 4}, "TLS is required and the server said " + reply.to_line()},
                      out);
    }
    become_ready(out);
}

void ClientSession::tls_established(TlsPeer peer, ClientEffects& out) {
    PH_ASSERT(state_ == State::tls);
    tls_ = true;
    peer_ = peer;
    offer_ = {};  // RFC 3207 section 4.2: what was said in clear is forgotten
    replies_ = ReplyParser(profile_.limits);
    send_hello(out);
}

void ClientSession::tls_failed(std::string why, ClientEffects& out) {
    PH_ASSERT(state_ == State::tls);
    refusal_ = {0, {4, 7, 5}, "TLS handshake failed: " + sanitise(why)};
    close(out);
}

void ClientSession::become_ready(ClientEffects& out) {
    state_ = State::ready;
    out.emplace_back(Ready{});
}

// --- a message

bool ClientSession::may_deliver() const noexcept {
    return state_ == State::ready && (offer_.mails_max == 0 || mails_ < offer_.mails_max);
}

void ClientSession::deliver(Job job, ClientEffects& out) {
    PH_ASSERT(may_deliver());
    transaction_.emplace(std::move(job), offer_, profile_.protocol);
    transaction_->begin(out);
    send_mail(out);
}

void ClientSession::send_mail(ClientEffects& out) {
    auto commands = transaction_->next_commands();
    if (commands.empty()) return finish_job(out);
    ++mails_;
    state_ = State::envelope;
    send(std::move(commands), out);
}

void ClientSession::on_envelope(const Reply& reply, ClientEffects& out) {
    if (resetting_) {
        if (!reply.positive()) return abandon(reply, out);
        return end_round(out);
    }
    switch (transaction_->on_reply(reply, out)) {
        case ClientTransaction::Progress::waiting:
            break;
        case ClientTransaction::Progress::next:
            return send_commands(out);
        case ClientTransaction::Progress::body:
            state_ = State::body;
            out.emplace_back(SendBody{});
            return;
        case ClientTransaction::Progress::empty_end:
            state_ = State::final_dot;
            return send(std::string(final_dot), out);
        case ClientTransaction::Progress::protocol_error:
            return broken("unexpected reply: " + reply.to_line(), out);
    }
    if (transaction_->data_awaited()) state_ = State::data_start;
}

void ClientSession::send_commands(ClientEffects& out) {
    auto commands = transaction_->next_commands();
    if (commands.empty()) return reset(out);
    send(std::move(commands), out);
    state_ = transaction_->data_awaited() ? State::data_start : State::envelope;
}

// Nobody takes the message: the server must forget the transaction before the next one.
void ClientSession::reset(ClientEffects& out) {
    resetting_ = true;
    state_ = State::envelope;
    send("RSET\r\n", out);
}

void ClientSession::body_sent(ClientEffects& out) {
    if (state_ == State::closed) return;
    PH_ASSERT(state_ == State::body);
    state_ = State::may_end;
    out.emplace_back(MayEnd{});
}

void ClientSession::dot(bool permit, ClientEffects& out) {
    if (state_ == State::closed) return;
    PH_ASSERT(state_ == State::may_end);
    if (!permit) return end(ClientEnd::lease_lost, "not sent: the lease is lost", out);
    state_ = State::final_dot;
    send(std::string(final_dot), out);
}

// The server answered before the message was ended: it cannot have taken it.
void ClientSession::on_early_reply(const Reply& reply, ClientEffects& out) {
    if (reply.positive()) return broken("reply before the end of data: " + reply.to_line(), out);
    transaction_->settle_open(reply, out);
    abandon(reply, out);
}

void ClientSession::on_final_reply(const Reply& reply, ClientEffects& out) {
    if (reply.positive() && reply.code >= 300) {
        return broken("end of data answered by " + reply.to_line(), out);
    }
    if (transaction_->on_final(reply, out)) end_round(out);
}

// All that were asked about are settled; others may wait for their turn (RFC 9422).
void ClientSession::end_round(ClientEffects& out) {
    resetting_ = false;
    state_ = State::ready;
    if (!transaction_->has_another_round()) return finish_job(out);
    if (!may_deliver()) {
        const Reply why{0, {4, 5, 3}, "the server takes no more messages in this connection"};
        transaction_->defer_open(why, false, out);
        return finish_job(out);
    }
    transaction_->begin_round();
    send_mail(out);
}

void ClientSession::finish_job(ClientEffects& out) {
    transaction_.reset();
    state_ = State::ready;
    out.emplace_back(JobDone{.connection_usable = may_deliver()});
}

void ClientSession::quit(ClientEffects& out) {
    PH_ASSERT(state_ == State::ready);
    state_ = State::quit;
    send("QUIT\r\n", out);
}

// --- ends

void ClientSession::end(ClientEnd reason, std::string why, ClientEffects& out) {
    if (state_ == State::closed) return;
    abandon({0, code_of(reason), std::move(why)}, out);
}

void ClientSession::on_service_closing(const Reply& reply, ClientEffects& out) {
    if (transaction_ && state_ == State::final_dot) {
        // The reply to one LMTP recipient: what became of the next ones nobody says.
        if (!transaction_->on_final(reply, out))
            return abandon({0, {4, 4, 2}, "no reply, the server left by " + reply.to_line()}, out);
    } else if (transaction_) {
        transaction_->settle_open(reply, out);
    }
    abandon(reply, out);
}

void ClientSession::refuse(Reply why, ClientEffects& out) {
    refusal_ = std::move(why);
    send("QUIT\r\n", out);
    close(out);
}

void ClientSession::broken(std::string why, ClientEffects& out) {
    abandon({0, {4, 5, 0}, "protocol error: " + std::move(why)}, out);
}

// Ends the connection; whoever is still open is deferred with `why`.
void ClientSession::abandon(const Reply& why, ClientEffects& out) {
    if (transaction_) {
        const bool lost = state_ == State::final_dot && transaction_->anybody_accepted();
        transaction_->defer_open(why, lost, out);
        transaction_.reset();
        out.emplace_back(JobDone{.connection_usable = false});
    } else {
        refusal_ = why;
    }
    close(out);
}

void ClientSession::close(ClientEffects& out) {
    state_ = State::closed;
    out.emplace_back(ClientClose{});
}

}  // namespace posthorse::smtp
