#include "tests/bench/sink_session.h"

#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/bench/group_commit.h"

namespace posthorse::bench {
namespace {

constexpr std::string_view end_mark = "\r\n.\r\n";
constexpr std::string_view greeting = "220 sink.posthorse.test ESMTP\r\n";
constexpr std::string_view hello =
    "250-sink.posthorse.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
    "250 ENHANCEDSTATUSCODES\r\n";
constexpr std::string_view taken = "250 2.0.0 taken\r\n";

bool is(std::string_view line, std::string_view verb) {
    return line.size() >= verb.size() && strncasecmp(line.data(), verb.data(), verb.size()) == 0;
}

std::size_t find(std::string_view octets, std::string_view what) {
    const void* const found = memmem(octets.data(), octets.size(), what.data(), what.size());
    if (!found) return std::string_view::npos;
    return static_cast<std::size_t>(static_cast<const char*>(found) - octets.data());
}

}  // namespace

SinkSession::SinkSession(SinkShared& shared, Descriptor socket)
    : shared_(shared), socket_(std::move(socket)) {
    ++shared_.counts.connections;
    reply(greeting);
    flush();
}

void SinkSession::receive() {
    const ssize_t count = recv(socket_.get(), shared_.buffer.data(), shared_.buffer.size(), 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
        closed_ = true;
        return;
    }
    const std::string_view octets(shared_.buffer.data(), static_cast<std::size_t>(count));
    if (input_.empty() && step_ != Step::commit)
        take(octets);
    else
        take(std::string(input_.append(octets)));
    flush();
}

void SinkSession::committed() {
    step_ = Step::command;
    reply(taken);
    take(std::string(input_));
    flush();
}

// `input_` is what is left of it.
void SinkSession::take(std::string_view octets) {
    std::size_t used = 0;
    while (!octets.empty() && step_ != Step::commit && !closed_) {
        used = step_ == Step::data ? take_data(octets) : take_line(octets);
        if (used == 0) break;
        octets.remove_prefix(used);
    }
    input_.assign(octets);
}

std::size_t SinkSession::take_line(std::string_view octets) {
    const std::size_t end = octets.find('\n');
    if (end == std::string_view::npos) return 0;
    on_command(octets.substr(0, end));
    return end + 1;
}

std::size_t SinkSession::take_data(std::string_view octets) {
    std::string seam = tail_;
    seam.append(octets.substr(0, end_mark.size() - 1));
    std::size_t used = octets.size();
    bool ends = true;
    if (const std::size_t at = find(seam, end_mark); at != std::string_view::npos)
        used = at + end_mark.size() - tail_.size();
    else if (const std::size_t inside = find(octets, end_mark); inside != std::string_view::npos)
        used = inside + end_mark.size();
    else
        ends = false;
    shared_.counts.bytes += used;
    const std::string_view data = octets.substr(0, used);
    if (shared_.disk) body_.append(data);
    tail_.append(data.substr(used - std::min(used, end_mark.size() - 1)));
    tail_.erase(0, tail_.size() - std::min(tail_.size(), end_mark.size() - 1));
    if (ends) on_end_of_data();
    return used;
}

void SinkSession::on_end_of_data() {
    ++shared_.counts.messages;
    shared_.counts.recipients += recipients_;
    recipients_ = 0;
    step_ = Step::command;
    if (!shared_.disk) return reply(taken);
    step_ = Step::commit;
    shared_.disk->add(this, body_);
    body_.clear();
}

void SinkSession::on_command(std::string_view line) {
    if (is(line, "RCPT")) return on_recipient(line);
    if (is(line, "EHLO") || is(line, "HELO")) return reply(hello);
    if (is(line, "QUIT")) {
        reply("221 2.0.0 bye\r\n");
        flush();
        closed_ = true;
        return;
    }
    if (!is(line, "DATA")) {  // MAIL, RSET, NOOP, and whatever else
        recipients_ = 0;
        return reply("250 2.0.0 good\r\n");
    }
    if (recipients_ == 0) return reply("554 5.5.1 no recipients\r\n");
    step_ = Step::data;
    tail_ = "\r\n";
    reply("354 go on\r\n");
}

void SinkSession::on_recipient(std::string_view line) {
    if (defers(line)) {
        ++shared_.counts.deferred;
        return reply("450 4.2.1 try later\r\n");
    }
    ++recipients_;
    reply("250 2.1.5 good\r\n");
}

bool SinkSession::defers(std::string_view line) const {
    const SinkOptions& options = shared_.options;
    if (options.defer_all) return true;
    if (options.defer_every > 0) {
        const SinkCounts& counts = shared_.counts;
        const std::uint64_t number = counts.recipients + counts.deferred + recipients_ + 1;
        if (number % options.defer_every == 0) return true;
    }
    if (options.defer.empty()) return false;
    const std::size_t at = line.rfind('@');
    if (at == std::string_view::npos) return false;
    const std::string_view rest = line.substr(at + 1);
    return options.defer.contains(rest.substr(0, rest.find('>')));
}

void SinkSession::flush() {
    if (replies_.empty() || closed_) return;
    const ssize_t sent = send(socket_.get(), replies_.data(), replies_.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(replies_.size())) closed_ = true;
    replies_.clear();
}

}  // namespace posthorse::bench
