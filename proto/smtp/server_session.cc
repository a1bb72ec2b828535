#include "proto/smtp/server_session.h"

#include <utility>

#include "proto/smtp/address.h"
#include "proto/smtp/base64.h"
#include "proto/smtp/parameters.h"
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

Reply path_refusal(PathFault fault, EnhancedCode code) {
    switch (fault) {
        case PathFault::eight_bit:
            return {553, {5, 6, 7}, "Address must be ASCII: SMTPUTF8 is not offered"};
        case PathFault::local_part_too_long:
            return {501, code, "Local part longer than 64 octets"};
        case PathFault::domain_too_long:
            return {501, code, "Domain longer than 255 octets"};
        case PathFault::path_too_long:
            return {501, code, "Path longer than 256 octets"};
        case PathFault::syntax:
        case PathFault::none:
            break;
    }
    return {501, code, "Bad address syntax: <local-part@domain> is wanted"};
}

Reply character_refusal(const Command& command) {
    if (command.fault == CommandFault::control_character) {
        return {500, {5, 5, 2}, "Control characters are not allowed in a command"};
    }
    if (command.verb == Verb::mail || command.verb == Verb::rcpt) {
        return path_refusal(PathFault::eight_bit, {});
    }
    return {501, {5, 5, 2}, "A command must be ASCII"};
}

std::optional<Reply> data_refusal(const DataFaults& faults) {
    if (faults.bare_cr || faults.bare_lf) {
        return Reply{550, {5, 5, 2}, "Bare CR or LF in the message: lines must end in CR LF"};
    }
    if (faults.too_large) return Reply{552, {5, 3, 4}, "Message is larger than this server takes"};
    if (faults.nul) return Reply{554, {5, 6, 0}, "Message holds a NUL octet"};
    if (faults.line_too_long) return Reply{554, {5, 6, 0}, "Message has a line that is too long"};
    return std::nullopt;
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
    while (taken < input.size()) {
        const bool in_data = state_ == State::data;
        const auto step = take(input.substr(taken), out);
        if (step == 0) break;
        taken += step;
        // The driver looks at transaction() and facts() when the data begin or end: before the next
        // command changes them.
        if (in_data != (state_ == State::data)) break;
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
    auto refusal = data_refusal(decoder_.faults());
    if (!refusal) return ask(Question::message, MessageEnd{}, out);
    state_ = State::command;
    transaction_.reset();
    out.emplace_back(MessageEnd{refusal});
    respond(*refusal, out);
}

void ServerSession::on_command(std::string_view line, Effects& out) {
    const auto command = parse_command(line);
    if (worn_out(command.verb, out)) return;
    if (command.fault != CommandFault::none) return respond(character_refusal(command), out);
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
    transaction_.reset();  // RFC 5321 section 4.1.4
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
    text += "\n8BITMIME";
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
    const auto text = after_keyword(argument, "FROM:");
    if (!text) return respond(bad_argument("Syntax: MAIL FROM:<address> [parameters]"), out);
    const auto path = parse_path(*text, PathKind::reverse);
    if (path.fault != PathFault::none) return respond(path_refusal(path.fault, {5, 1, 7}), out);
    MailParameters parameters;
    if (const auto refusal = parse_mail_parameters(text->substr(path.length), parameters)) {
        return respond(*refusal, out);
    }
    const auto most = profile_.limits.message_bytes_max;
    if (most != 0 && parameters.size_bytes > most) {
        return respond({552, {5, 3, 4}, "Message is larger than this server takes"}, out);
    }
    offered_ = {.sender = std::string(path.mailbox),
                .body = parameters.body,
                .declared_bytes = parameters.size_bytes};
    ask(Question::mail, CheckMail{offered_.sender, offered_.declared_bytes}, out);
}

std::optional<Reply> ServerSession::before_rcpt() const {
    if (!transaction_) return bad_sequence("Send MAIL first");
    if (transaction_->recipients.size() >= profile_.limits.recipients_max) {
        return Reply{452, {4, 5, 3}, "Too many recipients: send the rest in another message"};
    }
    return std::nullopt;
}

void ServerSession::rcpt(std::string_view argument, Effects& out) {
    if (const auto refusal = before_rcpt()) return respond(*refusal, out);
    const auto text = after_keyword(argument, "TO:");
    if (!text) return respond(bad_argument("Syntax: RCPT TO:<address>"), out);
    const auto path = parse_path(*text, PathKind::forward);
    if (path.fault != PathFault::none) return respond(path_refusal(path.fault, {5, 1, 3}), out);
    if (const auto refusal = parse_rcpt_parameters(text->substr(path.length))) {
        return respond(*refusal, out);
    }
    offered_recipient_ = path.mailbox;
    ask(Question::rcpt, CheckRcpt{offered_recipient_}, out);
}

std::optional<Reply> ServerSession::before_data(std::string_view argument) const {
    if (!argument.empty()) return bad_argument("DATA takes no argument");
    if (!transaction_) return bad_sequence("Send MAIL first");
    if (transaction_->recipients.empty()) return Reply{554, {5, 5, 1}, "No valid recipients"};
    return std::nullopt;
}

void ServerSession::data(std::string_view argument, Effects& out) {
    if (const auto refusal = before_data(argument)) return respond(*refusal, out);
    decoder_ = DataDecoder(profile_.limits.message_bytes_max, profile_.limits.text_line_bytes_max);
    state_ = State::data;
    out.emplace_back(BodyBegin{});
    respond({354, {}, "End data with <CR><LF>.<CR><LF>"}, out);
}

void ServerSession::rset(Effects& out) {
    transaction_.reset();
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
            if (reply.positive()) transaction_ = std::move(offered_);
            break;
        case Question::rcpt:
            if (reply.positive()) transaction_->recipients.push_back(std::move(offered_recipient_));
            break;
        default:  // Question::message
            transaction_.reset();
            if (reply.positive()) idle_commands_ = 0;
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
    if (state_ == State::data) out.emplace_back(BodyAbort{});
    if (state_ == State::auth) out.emplace_back(AuthAbort{});
    state_ = State::closed;
    transaction_.reset();
    out.emplace_back(Close{});
}

}  // namespace posthorse::smtp
