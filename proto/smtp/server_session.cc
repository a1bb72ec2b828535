#include "proto/smtp/server_session.h"

#include <utility>

#include "proto/smtp/auth_exchange.h"
#include "proto/smtp/base64.h"

namespace posthorse::smtp {

namespace {

// The first octet of a TLS record that carries a handshake (RFC 8446 section 5.1).
constexpr char tls_handshake_octet = 0x16;

void send(std::string bytes, Effects& out) {
    // Replies of a pipelined group leave in one write (RFC 2920 section 3.2).
    if (!out.empty()) {
        if (auto* last = std::get_if<Send>(&out.back())) {
            last->bytes += bytes;
            return;
        }
    }
    out.emplace_back(Send{std::move(bytes)});
}

Reply ok() {
    return {250, {2, 0, 0}, "OK"};
}
Reply bad_argument(std::string text) {
    return {501, {5, 5, 4}, std::move(text)};
}

bool ends_group(Verb verb) {
    return verb == Verb::helo || verb == Verb::ehlo || verb == Verb::data;
}

}  // namespace

ServerSession::ServerSession(ServerProfile profile)
    : profile_(std::move(profile)), patience_(profile_.limits), body_(profile_.limits) {}

void ServerSession::start(Effects& out) {
    PH_ASSERT(state_ == State::greeting);
    facts_.tls = profile_.implicit_tls;
    state_ = State::command;
    respond({220, {}, profile_.host_name + " ESMTP Posthorse"}, out);
}

std::size_t ServerSession::feed(std::string_view input, Effects& out) {
    PH_ASSERT(state_ != State::greeting);
    std::size_t taken = 0;
    pausing_ = false;
    if (!input.empty()) must_wait_ = false;
    while (taken < input.size()) {
        const auto step = take(input.substr(taken), out);
        if (step == 0) break;
        taken += step;
        // The driver looks at transaction() and facts() when the data begin or end: before the next
        // command changes them.
        if (pausing_ || must_wait_) break;
        // What came with STARTTLS was not protected: it must not be answered inside TLS.
        if (state_ == State::tls) return input.size();
    }
    return taken;
}

// --- input

std::size_t ServerSession::take(std::string_view input, Effects& out) {
    switch (state_) {
        case State::command:
        case State::auth:
            return take_line(input, out);
        case State::body:
            return take_body(input, out);
        case State::greeting:
        case State::question:
        case State::tls:
        case State::closed:
            break;
    }
    return 0;
}

std::size_t ServerSession::take_line(std::string_view input, Effects& out) {
    if (state_ == State::command && lines_.at_line_start() &&
        input.front() == tls_handshake_octet) {
        hang_up({421, {4, 7, 0}, "TLS is not spoken here before STARTTLS"}, out);
        return input.size();
    }
    const auto bytes_max = line_bytes_max(input);
    const auto line = lines_.next(input, bytes_max);
    if (!line.complete) return line.taken;
    if (line.fault != LineFault::none) {
        on_line_fault(line.fault, bytes_max == profile_.limits.auth_line_bytes_max, out);
    } else if (state_ == State::auth) {
        on_auth_line(line.text, out);
    } else {
        on_command(line.text, out);
    }
    return line.taken;
}

std::size_t ServerSession::line_bytes_max(std::string_view input) const {
    const auto verb = input.substr(0, 5);
    const bool auth_line = state_ == State::auth || equal_ignoring_case(verb, "AUTH ");
    return auth_line ? profile_.limits.auth_line_bytes_max : profile_.limits.command_line_bytes_max;
}

void ServerSession::on_line_fault(LineFault fault, bool auth_line, Effects& out) {
    abort_auth(out);  // an exchange does not outlive a line that cannot be read
    if (worn_out(Verb::unknown, out)) return;
    if (fault != LineFault::too_long) {
        return respond({500, {5, 5, 2}, "Lines must end in CR LF and hold no other CR or LF"}, out);
    }
    respond({500, {5, 5, auth_line ? 6 : 2}, "Line too long"}, out);
}

void ServerSession::on_command(std::string_view line, Effects& out) {
    const auto command = parse_command(line);
    if (worn_out(command.verb, out)) return;
    const bool may_be_utf8 = command.verb == Verb::mail || command.verb == Verb::rcpt;
    if (command.fault == CommandFault::control_character ||
        (command.fault == CommandFault::eight_bit && !may_be_utf8)) {
        return respond(refusal_of(command.fault), out);
    }
    dispatch(command, out);
}

bool ServerSession::worn_out(Verb verb, Effects& out) {
    const auto farewell = patience_.on_command(verb);
    if (farewell) hang_up(*farewell, out);
    return farewell.has_value();
}

void ServerSession::dispatch(const Command& command, Effects& out) {
    must_wait_ = ends_group(command.verb);
    switch (command.verb) {
        case Verb::helo:
            return helo(command.argument, out);
        case Verb::ehlo:
            return ehlo(command.argument, out);
        case Verb::starttls:
            return starttls(command.argument, out);
        case Verb::auth:
            return auth(command.argument, out);
        case Verb::mail:
            return mail(command.argument, out);
        case Verb::rcpt:
            return rcpt(command.argument, out);
        case Verb::data:
            return data(command.argument, out);
        case Verb::bdat:
            return bdat(command.argument, out);
        case Verb::rset:
            return rset(out);
        case Verb::noop:
            return respond(ok(), out);
        // RFC 5321 section 3.5.3: neither tells who exists.
        case Verb::vrfy:
            return respond({252, {2, 5, 0}, "Cannot verify; send mail to find out"}, out);
        case Verb::expn:
            return respond({502, {5, 5, 1}, "Lists are not expanded here"}, out);
        case Verb::help:
            return respond({214, {2, 0, 0}, "EHLO MAIL RCPT DATA RSET NOOP QUIT: see RFC 5321"},
                           out);
        case Verb::quit:
            return hang_up({221, {2, 0, 0}, "Bye"}, out);
        case Verb::http:
            return hang_up({421, {4, 7, 0}, "This is a mail server"}, out);
        case Verb::unknown:
            break;
    }
    respond({500, {5, 5, 2}, "Command not recognised"}, out);
}

Standing ServerSession::standing() const {
    return {profile_, facts_, transaction_ ? &*transaction_ : nullptr, body_.is_open()};
}

// --- the greeting and TLS

void ServerSession::helo(std::string_view argument, Effects& out) {
    if (!greet(argument, out)) return;
    facts_.esmtp = false;
    respond({250, {}, profile_.host_name}, out);
}

void ServerSession::ehlo(std::string_view argument, Effects& out) {
    if (!greet(argument, out)) return;
    facts_.esmtp = true;
    respond({250, {}, ehlo_text(profile_, facts_)}, out);
}

bool ServerSession::greet(std::string_view argument, Effects& out) {
    if (!is_helo_name(argument)) {
        respond(bad_argument("A domain name or an address literal is wanted"), out);
        return false;
    }
    facts_.helo = argument;
    drop_transaction(out);  // RFC 5321 section 4.1.4
    return true;
}

void ServerSession::starttls(std::string_view argument, Effects& out) {
    if (!argument.empty()) return respond(bad_argument("STARTTLS takes no argument"), out);
    if (const auto refusal = before_starttls(standing())) return respond(*refusal, out);
    respond({220, {2, 0, 0}, "Ready to start TLS"}, out);
    transaction_.reset();
    state_ = State::tls;
    out.emplace_back(StartTls{});
}

void ServerSession::tls_established(Effects&) {
    PH_ASSERT(state_ == State::tls);
    facts_ = {.tls = true};
    lines_ = LineSplitter{};
    state_ = State::command;
}

void ServerSession::offer(std::vector<std::string> mechanisms) {
    profile_.mechanisms = std::move(mechanisms);
}

// --- AUTH

void ServerSession::auth(std::string_view argument, Effects& out) {
    if (const auto refusal = before_auth(standing())) return respond(*refusal, out);
    auto read = read_auth_command(argument, profile_.mechanisms);
    if (const auto* refusal = std::get_if<Reply>(&read)) return respond(*refusal, out);
    auto& command = std::get<AuthCommand>(read);
    ask(Question::auth, AuthBegin{std::move(command.mechanism), std::move(command.initial)}, out);
}

void ServerSession::auth_challenge(std::string_view octets, Effects& out) {
    if (state_ == State::closed) return;
    PH_ASSERT(state_ == State::question && question_ == Question::auth);
    state_ = State::auth;
    question_ = Question::none;
    respond({334, {}, encode_base64(octets)}, out);
}

void ServerSession::on_auth_line(std::string_view line, Effects& out) {
    auto read = read_auth_line(line);
    if (const auto* refusal = std::get_if<Reply>(&read)) {
        abort_auth(out);
        return respond(*refusal, out);
    }
    ask(Question::auth, AuthResponse{std::move(std::get<AuthLine>(read).octets)}, out);
}

void ServerSession::auth_verdict(std::string login, const Reply& reply, Effects& out) {
    if (state_ == State::closed) return;
    PH_ASSERT(state_ == State::question && question_ == Question::auth);
    facts_.login = std::move(login);
    answer(reply, out);
}

void ServerSession::abort_auth(Effects& out) {
    if (state_ == State::auth) out.emplace_back(AuthAbort{});
    state_ = State::command;
}

// --- a message: its envelope

void ServerSession::mail(std::string_view argument, Effects& out) {
    if (const auto refusal = before_mail(standing())) return respond(*refusal, out);
    auto read = read_mail(argument, mail_offer(profile_, facts_), profile_.limits);
    if (const auto* refusal = std::get_if<Reply>(&read)) return respond(*refusal, out);
    offered_ = std::get<Transaction>(std::move(read));
    ask(Question::mail, CheckMail{offered_.sender, offered_.declared_bytes, offered_.wishes}, out);
}

void ServerSession::rcpt(std::string_view argument, Effects& out) {
    if (const auto refusal = before_rcpt(standing())) {
        if (refusal->code == 452) patience_.on_surplus_recipient();
        return respond(*refusal, out);
    }
    auto read = read_rcpt(argument, *transaction_);
    if (const auto* refusal = std::get_if<Reply>(&read)) return respond(*refusal, out);
    offered_recipient_ = std::get<AcceptedRecipient>(std::move(read));
    ask(Question::rcpt, CheckRcpt{offered_recipient_.address}, out);
}

void ServerSession::verdict(const Reply& reply, Effects& out) {
    if (state_ == State::closed) return;
    PH_ASSERT(state_ == State::question && question_ != Question::auth);
    const bool yes = reply.positive();
    switch (question_) {
        case Question::mail:
            if (!yes) break;
            transaction_ = std::move(offered_);
            return answer(answer_to_mail(reply, *transaction_), out);
        case Question::rcpt:
            if (yes) transaction_->recipients.push_back(std::move(offered_recipient_));
            break;
        default:  // Question::message
            transaction_.reset();
            if (yes) patience_.on_message();
    }
    answer(reply, out);
}

void ServerSession::rset(Effects& out) {
    drop_transaction(out);
    respond(ok(), out);
}

void ServerSession::drop_transaction(Effects& out) {
    if (body_.close()) out.emplace_back(BodyAbort{});
    transaction_.reset();
}

// --- a message: its octets

void ServerSession::data(std::string_view argument, Effects& out) {
    if (!argument.empty()) return respond(bad_argument("DATA takes no argument"), out);
    if (const auto refusal = before_data(standing())) return respond(*refusal, out);
    begin_body(out);
    body_.begin_data();
    state_ = State::body;
    respond({354, {}, "End data with <CR><LF>.<CR><LF>"}, out);
}

void ServerSession::bdat(std::string_view argument, Effects& out) {
    const auto chunk = read_chunk_command(argument);
    // What follows may be the message: it must not be taken for commands.
    if (!chunk) return hang_up(bad_argument("Syntax: BDAT octets [LAST]"), out);
    if (const auto farewell = patience_.on_chunk(*chunk)) return hang_up(*farewell, out);
    if (auto refusal = before_chunk(standing())) {
        body_.skip_chunk(*chunk, *std::move(refusal));
    } else {
        if (!body_.is_open()) begin_body(out);
        body_.begin_chunk(*chunk);
    }
    state_ = State::body;
    if (chunk->bytes == 0) take_body({}, out);
}

void ServerSession::begin_body(Effects& out) {
    pausing_ = true;
    out.emplace_back(BodyBegin{});
}

std::size_t ServerSession::take_body(std::string_view input, Effects& out) {
    const auto step = body_.next(input);
    for (const auto bytes : {step.bytes, step.line_end}) {
        if (!bytes.empty()) out.emplace_back(BodyData{bytes});
    }
    if (step.end != ServerBody::End::none) end_body(step.end, out);
    return step.taken;
}

// RFC 3030 section 2: every chunk is answered, behind its last octet. A message that is at fault is
// refused there.
void ServerSession::end_body(ServerBody::End end, Effects& out) {
    state_ = State::command;
    const auto refusal = body_.refusal();
    if (end == ServerBody::End::skipped) return respond(*refusal, out);
    if (end == ServerBody::End::chunk && !refusal) {
        return respond({250, {2, 0, 0}, "Chunk taken"}, out);
    }
    body_.close();
    pausing_ = true;
    if (!refusal) return ask(Question::message, MessageEnd{}, out);
    transaction_.reset();
    out.emplace_back(MessageEnd{refusal});
    respond(*refusal, out);
}

// --- answers and ends

void ServerSession::respond(const Reply& reply, Effects& out) {
    patience_.on_reply(reply);
    send(reply.to_wire(), out);
}

void ServerSession::ask(Question question, Effect effect, Effects& out) {
    question_ = question;
    state_ = State::question;
    out.emplace_back(std::move(effect));
}

// What the question led to.
void ServerSession::answer(const Reply& reply, Effects& out) {
    question_ = Question::none;
    state_ = State::command;
    if (reply.code == 421) return hang_up(reply, out);
    respond(reply, out);
}

bool ServerSession::end(EndReason reason, Effects& out) {
    if (state_ == State::closed) return true;
    const bool verdict_awaited = state_ == State::question && question_ == Question::message;
    if (verdict_awaited && reason != EndReason::peer_closed) return false;
    // In the middle of a handshake there is nobody to read a reply.
    if (reason == EndReason::peer_closed || state_ == State::tls) {
        close(out);
    } else if (reason == EndReason::idle) {
        hang_up({421, {4, 4, 2}, "Waited too long"}, out);
    } else if (reason == EndReason::out_of_turn) {
        hang_up({554, {5, 5, 0}, "You did not wait for the reply"}, out);
    } else {
        hang_up({421, {4, 3, 2}, "Not available now: try again later"}, out);
    }
    return true;
}

void ServerSession::hang_up(const Reply& reply, Effects& out) {
    respond(reply, out);
    close(out);
}

void ServerSession::close(Effects& out) {
    if (state_ == State::auth) out.emplace_back(AuthAbort{});
    drop_transaction(out);
    state_ = State::closed;
    out.emplace_back(Close{});
}

}  // namespace posthorse::smtp
