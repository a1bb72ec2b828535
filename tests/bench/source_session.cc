#include "tests/bench/source_session.h"

#include <fmt/format.h>

#include <system_error>

namespace posthorse::bench {
namespace {

Instant now() {
    return std::chrono::steady_clock::now();
}

int code_of(std::string_view line) {
    int code = 0;
    for (const char digit : line.substr(0, 3)) {
        if (digit < '0' || digit > '9') throw Broken("no reply: " + std::string(line));
        code = 10 * code + (digit - '0');
    }
    return code;
}

void expect(int wanted, int code, std::string_view line) {
    if (code != wanted) throw Broken(std::string(line));
}

}  // namespace

void SourceSession::proceed() {
    while (resting()) {
        message_ = shared_.work.next(now());
        if (!message_ || begin()) return;
    }
}

void SourceSession::leave() {
    if (channel_ && step_ == Step::idle) channel_->send("QUIT\r\n");
    try {
        if (channel_) channel_->flush();
    } catch (const Broken&) {
        channel_.reset();  // it has left before us
    }
}

bool SourceSession::begin() {
    try {
        if (channel_)
            begin_envelope();
        else
            connect();
        return true;
    } catch (const std::runtime_error& error) {
        give_up(error.what());
        return false;
    }
}

void SourceSession::connect() {
    channel_.emplace(shared_.address.connect());
    step_ = Step::connecting;
    watched_ = Poll::readable | Poll::writable;
    shared_.poll.add(channel_->socket(), watched_, this);
}

void SourceSession::ready(std::uint32_t events) {
    if (!channel_) return;  // an event of a connection that was given up meanwhile
    try {
        on_ready(events);
    } catch (const std::runtime_error& error) {
        give_up(error.what());
    }
    proceed();
}

void SourceSession::on_ready(std::uint32_t events) {
    if (step_ == Step::connecting) return on_connected();
    if (step_ == Step::handshake)
        on_handshake();
    else if (events & Poll::writable)
        flush();
    // After a handshake: what came with the last of it, of which no poll would tell.
    if (step_ != Step::handshake) on_input();
}

void SourceSession::on_connected() {
    channel_->check_connected();
    watch(Poll::readable);
    shared_.work.connected();
    step_ = Step::greeting;
    if (shared_.options.implicit_tls) begin_tls();
}

void SourceSession::begin_tls() {
    channel_->begin_tls(shared_.tls);
    step_ = Step::handshake;
    on_handshake();
}

void SourceSession::on_handshake() {
    const Channel::Progress progress = channel_->handshake();
    watch(progress == Channel::Progress::wants_write ? Poll::readable | Poll::writable
                                                     : Poll::readable);
    if (progress != Channel::Progress::done) return;
    if (shared_.options.implicit_tls)
        step_ = Step::greeting;
    else
        say("EHLO client.test\r\n", Step::hello);
    if (channel_->resumed()) shared_.work.resumed();
}

void SourceSession::on_input() {
    channel_->receive(input_);
    std::size_t begin = 0;
    while (channel_) {
        const std::size_t end = input_.find('\n', begin);
        if (end == std::string::npos) break;
        std::string_view line(input_.data() + begin, end - begin);
        if (line.ends_with('\r')) line.remove_suffix(1);
        begin = end + 1;
        if (line.size() > 3 && line[3] == '-') continue;
        on_reply(code_of(line), line);
    }
    if (channel_) input_.erase(0, begin);
}

void SourceSession::on_reply(int code, std::string_view line) {
    const bool starts = shared_.options.tls != Tls::none && !channel_->tls();
    switch (step_) {
        case Step::greeting:
            expect(220, code, line);
            return say("EHLO client.test\r\n", Step::hello);
        case Step::hello:
            expect(250, code, line);
            return starts ? say("STARTTLS\r\n", Step::starttls) : begin_envelope();
        case Step::starttls:
            expect(220, code, line);
            return begin_tls();
        case Step::envelope:
            return on_envelope(line, code);
        case Step::end:
            expect(250, code, line);
            return on_taken();
        case Step::quit:
            return give_up("");
        default:
            throw Broken("unasked: " + std::string(line));
    }
}

std::string SourceSession::command(std::uint32_t index) const {
    if (index == 0) return fmt::format("MAIL FROM:<{}>\r\n", shared_.options.from);
    if (index == last_command()) return "DATA\r\n";
    return fmt::format("RCPT TO:<{}>\r\n", shared_.text.recipient(*message_, index - 1));
}

void SourceSession::begin_envelope() {
    command_ = 0;
    std::string text = command(0);
    for (std::uint32_t index = 1; shared_.options.pipelining && index <= last_command(); ++index)
        text += command(index);
    say(text, Step::envelope);
}

void SourceSession::on_envelope(std::string_view line, int code) {
    expect(command_ == last_command() ? 354 : 250, code, line);
    if (command_++ == last_command()) return send_text();
    if (!shared_.options.pipelining) say(command(command_), Step::envelope);
}

void SourceSession::send_text() {
    step_ = Step::end;
    channel_->send(shared_.text.head(*message_));
    channel_->send_borrowed(shared_.text.rest());
    flush();
}

void SourceSession::on_taken() {
    shared_.work.taken(sent_at_, now());
    message_.reset();
    if (shared_.options.kept)
        step_ = Step::idle;
    else
        say("QUIT\r\n", Step::quit);
}

void SourceSession::say(std::string_view text, Step step) {
    step_ = step;
    channel_->send(text);
    flush();
}

void SourceSession::flush() {
    if (step_ == Step::end) sent_at_ = now();  // the last write counts
    watch(channel_->flush() == Channel::Progress::done ? Poll::readable
                                                       : Poll::readable | Poll::writable);
}

void SourceSession::watch(std::uint32_t events) {
    if (events == watched_) return;
    watched_ = events;
    shared_.poll.change(channel_->socket(), events, this);
}

void SourceSession::give_up(std::string_view why) {
    if (message_) shared_.work.failed(why);
    message_.reset();
    channel_.reset();
    input_.clear();
    step_ = Step::idle;
}

}  // namespace posthorse::bench
