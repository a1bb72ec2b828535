#include "proto/smtp/server_session.h"

#include <algorithm>
#include <utility>

#include "proto/smtp/base64.h"
#include "proto/smtp/date_time.h"
#include "proto/types/assert.h"

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
Reply bad_sequence(std::string text) {
    return {503, {5, 5, 1}, std::move(text)};
}
Reply bad_argument(std::string text) {
    return {501, {5, 5, 4}, std::move(text)};
}

bool ends_group(Verb verb) {
    return verb == Verb::helo || verb == Verb::ehlo || verb == Verb::data;
}

bool is_idle(Verb verb) {
    switch (verb) {
        case Verb::noop:
        case Verb::rset:
        case Verb::vrfy:
        case Verb::expn:
        case Verb::help:
        case Verb::helo:
        case Verb::ehlo:
            return true;
        default:
            return false;
    }
}

}  // namespace

ServerSession::ServerSession(ServerProfile profile) : profile_(std::move(profile)) {}

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
        case State::data:
            return take_data(input, out);
        case State::chunk:
            return take_chunk(input, out);
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

std::size_t ServerSession::take_data(std::string_view input, Effects& out) {
    const auto step = decoder_.next(input);
    if (step.end) {
        on_end_of_data(out);
    } else if (!step.bytes.empty() && !decoder_.faults().any()) {
        out.emplace_back(BodyData{step.bytes});
    }
    return step.taken;
}

void ServerSession::on_end_of_data(Effects& out) {
    if (const auto refusal = refusal_of(decoder_.faults())) return refuse_message(*refusal, out);
    body_open_ = false;
    pausing_ = true;
    ask(Question::message, MessageEnd{}, out);
}

void ServerSession::refuse_message(const Reply& refusal, Effects& out) {
    state_ = State::command;
    transaction_.reset();
    body_open_ = false;
    pausing_ = true;
    out.emplace_back(MessageEnd{refusal});
    respond(refusal, out);
}

std::size_t ServerSession::take_chunk(std::string_view input, Effects& out) {
    std::size_t taken = 0;
    if (chunk_refusal_) {
        taken = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_.bytes, input.size()));
        chunk_.bytes -= taken;
    } else {
        const auto bytes = chunks_.next(input);
        taken = bytes.size();
        chunk_.bytes -= taken;
        if (!bytes.empty() && !chunks_.faults().any()) out.emplace_back(BodyData{bytes});
    }
    if (chunk_.bytes == 0) on_end_of_chunk(out);
    return taken;
}

// RFC 3030 section 2: every chunk is answered, behind its last octet.
void ServerSession::on_end_of_chunk(Effects& out) {
    state_ = State::command;
    if (const auto refusal = std::exchange(chunk_refusal_, std::nullopt)) {
        return respond(*refusal, out);
    }
    if (chunk_.last) {
        const auto missing = chunks_.finish();
        if (!missing.empty() && !chunks_.faults().any()) out.emplace_back(BodyData{missing});
    }
    if (const auto refusal = refusal_of(chunks_.faults())) return refuse_message(*refusal, out);
    if (!chunk_.last) return respond({250, {2, 0, 0}, "Chunk taken"}, out);
    body_open_ = false;
    pausing_ = true;
    ask(Question::message, MessageEnd{}, out);
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

void ServerSession::on_auth_line(std::string_view line, Effects& out) {
    auto read = read_auth_line(line);
    if (const auto* refusal = std::get_if<Reply>(&read)) {
        abort_auth(out);
        return respond(*refusal, out);
    }
    ask(Question::auth, AuthResponse{std::move(std::get<AuthLine>(read).octets)}, out);
}

void ServerSession::abort_auth(Effects& out) {
    if (state_ == State::auth) out.emplace_back(AuthAbort{});
    state_ = State::command;
}

// --- commands

// A client that only makes errors, or only passes the time, is sent away.
bool ServerSession::worn_out(Verb verb, Effects& out) {
    if (verb == Verb::quit) return false;
    if (errors_ >= profile_.limits.errors_max) {
        hang_up({421, {4, 7, 0}, "Too many errors"}, out);
        return true;
    }
    if (is_idle(verb) && ++idle_commands_ > profile_.limits.idle_commands_max) {
        hang_up({421, {4, 7, 0}, "Too many commands without a message"}, out);
        return true;
    }
    return false;
}

void ServerSession::dispatch(const Command& command, Effects& out) {
    must_wait_ = ends_group(command.verb);
    switch (command.verb) {
        case Verb::helo:
            return helo(command.argument, out);
        case Verb::ehlo:
            return ehlo(command.argument, out);
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
        case Verb::auth:
            return auth(command.argument, out);
        case Verb::starttls:
            return starttls(command.argument, out);
        case Verb::quit:
            return quit(out);
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
        case Verb::http:
            return hang_up({421, {4, 7, 0}, "This is a mail server"}, out);
        case Verb::unknown:
            break;
    }
    respond({500, {5, 5, 2}, "Command not recognised"}, out);
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

void ServerSession::helo(std::string_view argument, Effects& out) {
    if (!greet(argument, out)) return;
    facts_.esmtp = false;
    respond({250, {}, profile_.host_name}, out);
}

void ServerSession::ehlo(std::string_view argument, Effects& out) {
    if (!greet(argument, out)) return;
    facts_.esmtp = true;
    respond({250, {}, ehlo_text()}, out);
}

std::string ServerSession::ehlo_text() const {
    std::string text = profile_.host_name + "\nPIPELINING\nSIZE";
    if (const auto most = profile_.limits.message_bytes_max; most != 0)
        text += ' ' + std::to_string(most);
    text += "\n8BITMIME\nSMTPUTF8\nDSN\nCHUNKING\nLIMITS RCPTMAX=";
    text += std::to_string(profile_.limits.recipients_max);
    text += "\nDELIVERBY";
    if (const auto least = profile_.deliver_by_min.count(); least > 0)
        text += ' ' + std::to_string(least);
    text += "\nMT-PRIORITY";
    if (facts_.tls) text += "\nREQUIRETLS";  // RFC 8689 section 4.1
    if (const auto& release = profile_.release) {
        text += "\nFUTURERELEASE " + std::to_string(release->after_max.count()) + ' ' +
                format_date_time(release->at_max);
    }
    if (profile_.starttls && !facts_.tls) text += "\nSTARTTLS";
    if (auth_offered() && !profile_.mechanisms.empty()) {
        text += "\nAUTH";
        for (const auto& mechanism : profile_.mechanisms) text += ' ' + mechanism;
    }
    return text + "\nENHANCEDSTATUSCODES";
}

bool ServerSession::auth_offered() const {
    if (profile_.require_tls && !facts_.tls) return false;
    return profile_.auth && (facts_.tls || profile_.auth_in_clear);
}

MailOffer ServerSession::mail_offer() const {
    return {.channel = facts_.tls ? Channel::tls : Channel::clear,
            .release = profile_.release,
            .deliver_by_min = profile_.deliver_by_min,
            .priority_max = profile_.priority_max};
}

// RFC 6710 section 4.1: who gets another priority than it asked for hears which.
Reply ServerSession::answer_to_mail(const Reply& reply) const {
    if (transaction_->priority != PriorityGiven::lowered) return reply;
    return {250, {2, 3, 6}, std::to_string(transaction_->wishes.priority) + " is its priority"};
}

std::optional<Reply> ServerSession::before_mail() const {
    if (facts_.helo.empty()) return bad_sequence("Send HELO or EHLO first");
    if (transaction_) return bad_sequence("A message is open already: RSET drops it");
    if (profile_.require_tls && !facts_.tls) return Reply{530, {5, 7, 0}, "Send STARTTLS first"};
    if (profile_.require_auth && facts_.login.empty()) {
        return Reply{530, {5, 7, 0}, "Authentication required"};
    }
    return std::nullopt;
}

void ServerSession::mail(std::string_view argument, Effects& out) {
    if (const auto refusal = before_mail()) return respond(*refusal, out);
    auto read = read_mail(argument, mail_offer(), profile_.limits);
    if (const auto* refusal = std::get_if<Reply>(&read)) return respond(*refusal, out);
    offered_ = std::get<Transaction>(std::move(read));
    ask(Question::mail, CheckMail{offered_.sender, offered_.declared_bytes, offered_.wishes}, out);
}

std::optional<Reply> ServerSession::before_rcpt() const {
    if (!transaction_) return bad_sequence("Send MAIL first");
    if (body_open_) return bad_sequence("The message has begun: send BDAT or RSET");
    if (transaction_->recipients.size() >= profile_.limits.recipients_max) {
        return Reply{452, {4, 5, 3}, "Too many recipients: send the rest in another message"};
    }
    return std::nullopt;
}

void ServerSession::rcpt(std::string_view argument, Effects& out) {
    if (const auto refusal = before_rcpt()) {
        // Who sends a long list at once may; who goes on and on is in error.
        const bool surplus = refusal->code == 452;
        if (surplus && ++surplus_recipients_ > profile_.limits.surplus_recipients_max) ++errors_;
        return respond(*refusal, out);
    }
    auto read = read_rcpt(argument, *transaction_);
    if (const auto* refusal = std::get_if<Reply>(&read)) return respond(*refusal, out);
    offered_recipient_ = std::get<AcceptedRecipient>(std::move(read));
    ask(Question::rcpt, CheckRcpt{offered_recipient_.address}, out);
}

std::optional<Reply> ServerSession::before_data(std::string_view argument) const {
    if (!argument.empty()) return bad_argument("DATA takes no argument");
    if (!transaction_) return bad_sequence("Send MAIL first");
    if (body_open_) return bad_sequence("DATA cannot follow BDAT");
    if (transaction_->recipients.empty()) return Reply{554, {5, 5, 1}, "No valid recipients"};
    return std::nullopt;
}

void ServerSession::data(std::string_view argument, Effects& out) {
    if (const auto refusal = before_data(argument)) return respond(*refusal, out);
    decoder_ = DataDecoder(profile_.limits.message_bytes_max, profile_.limits.text_line_bytes_max);
    state_ = State::data;
    begin_body(out);
    respond({354, {}, "End data with <CR><LF>.<CR><LF>"}, out);
}

std::optional<Reply> ServerSession::before_chunk() const {
    if (!transaction_) return bad_sequence("Send MAIL first");
    if (transaction_->recipients.empty()) return bad_sequence("No valid recipients");
    return std::nullopt;
}

void ServerSession::bdat(std::string_view argument, Effects& out) {
    const auto chunk = read_chunk_command(argument);
    // What follows may be the message: it must not be taken for commands.
    if (!chunk) return hang_up(bad_argument("Syntax: BDAT octets [LAST]"), out);
    const auto& limits = profile_.limits;
    const bool small = chunk->bytes < limits.small_chunk_bytes && !chunk->last;
    if (small && ++small_chunks_ > limits.small_chunks_max) {
        return hang_up({421, {4, 7, 0}, "Too many small chunks"}, out);
    }
    chunk_ = *chunk;
    chunk_refusal_ = before_chunk();
    if (!chunk_refusal_) {
        if (!body_open_) {
            chunks_ = ChunkDecoder(limits.message_bytes_max, limits.text_line_bytes_max);
            begin_body(out);
        }
        chunks_.open(chunk_.bytes);
    }
    state_ = State::chunk;
    if (chunk_.bytes == 0) on_end_of_chunk(out);
}

void ServerSession::begin_body(Effects& out) {
    body_open_ = true;
    pausing_ = true;
    out.emplace_back(BodyBegin{});
}

void ServerSession::drop_transaction(Effects& out) {
    if (std::exchange(body_open_, false)) out.emplace_back(BodyAbort{});
    transaction_.reset();
}

void ServerSession::rset(Effects& out) {
    drop_transaction(out);
    respond(ok(), out);
}

std::optional<Reply> ServerSession::before_auth() const {
    if (!profile_.auth) return Reply{502, {5, 5, 1}, "AUTH is not offered"};
    if (!auth_offered()) return Reply{538, {5, 7, 11}, "Encryption required: send STARTTLS first"};
    if (!facts_.esmtp) return bad_sequence("Send EHLO first");
    if (!facts_.login.empty()) return bad_sequence("Already authenticated");
    if (transaction_) return bad_sequence("AUTH is not allowed while a message is open");
    return std::nullopt;
}

void ServerSession::auth(std::string_view argument, Effects& out) {
    if (const auto refusal = before_auth()) return respond(*refusal, out);
    auto read = read_auth_command(argument, profile_.mechanisms);
    if (const auto* refusal = std::get_if<Reply>(&read)) return respond(*refusal, out);
    auto& command = std::get<AuthCommand>(read);
    ask(Question::auth, AuthBegin{std::move(command.mechanism), std::move(command.initial)}, out);
}

void ServerSession::starttls(std::string_view argument, Effects& out) {
    if (!argument.empty()) return respond(bad_argument("STARTTLS takes no argument"), out);
    if (facts_.tls) return respond(bad_sequence("TLS is on already"), out);
    if (!profile_.starttls) return respond({502, {5, 5, 1}, "STARTTLS is not offered"}, out);
    if (body_open_) return respond(bad_sequence("The message has begun"), out);
    respond({220, {2, 0, 0}, "Ready to start TLS"}, out);
    transaction_.reset();
    state_ = State::tls;
    out.emplace_back(StartTls{});
}

void ServerSession::quit(Effects& out) {
    hang_up({221, {2, 0, 0}, "Bye"}, out);
}

// --- answers and ends

void ServerSession::verdict(const Reply& reply, Effects& out) {
    if (state_ == State::closed) return;
    PH_ASSERT(state_ == State::question && question_ != Question::auth);
    switch (question_) {
        case Question::mail:
            if (!reply.positive()) break;
            transaction_ = std::move(offered_);
            state_ = State::command;
            question_ = Question::none;
            return respond(answer_to_mail(reply), out);
        case Question::rcpt:
            if (reply.positive()) transaction_->recipients.push_back(std::move(offered_recipient_));
            break;
        default:  // Question::message
            transaction_.reset();
            if (reply.positive()) idle_commands_ = small_chunks_ = surplus_recipients_ = 0;
    }
    state_ = State::command;
    question_ = Question::none;
    if (reply.code == 421) return hang_up(reply, out);
    respond(reply, out);
}

void ServerSession::auth_challenge(std::string_view octets, Effects& out) {
    if (state_ == State::closed) return;
    PH_ASSERT(state_ == State::question && question_ == Question::auth);
    state_ = State::auth;
    question_ = Question::none;
    respond({334, {}, encode_base64(octets)}, out);
}

void ServerSession::auth_verdict(std::string login, const Reply& reply, Effects& out) {
    if (state_ == State::closed) return;
    PH_ASSERT(state_ == State::question && question_ == Question::auth);
    facts_.login = std::move(login);
    state_ = State::command;
    question_ = Question::none;
    if (reply.code == 421) return hang_up(reply, out);
    respond(reply, out);
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

void ServerSession::respond(const Reply& reply, Effects& out) {
    if (reply.permanent()) ++errors_;
    send(reply.to_wire(), out);
}

void ServerSession::ask(Question question, Effect effect, Effects& out) {
    question_ = question;
    state_ = State::question;
    out.emplace_back(std::move(effect));
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
