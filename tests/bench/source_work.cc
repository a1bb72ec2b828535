#include "tests/bench/source_work.h"

#include <fmt/format.h>

#include <algorithm>

namespace posthorse::bench {
namespace {

constexpr std::string_view line =
    "a horse, a horse, my kingdom for a fresh horse and the mail goes on";

float milliseconds(Nanoseconds time) {
    return std::chrono::duration<float, std::milli>(time).count();
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out.push_back('\\');
        out.push_back(c >= ' ' && c < 127 ? c : ' ');
    }
    return out + '"';
}

}  // namespace

MessageText::MessageText(const SourceOptions& options)
    : options_(options), local_part_(options.to.substr(0, options.to.find('@'))) {
    const std::size_t head_bytes = head(0).size();
    std::size_t left = options.size_bytes > head_bytes ? options.size_bytes - head_bytes : 0;
    while (left > 2) {
        const std::size_t letters = std::min(line.size(), left - 2);
        rest_.append(line.substr(0, letters)).append("\r\n");
        left -= letters + 2;
    }
    rest_.append(".\r\n");
}

std::string MessageText::head(std::uint64_t number) const {
    return fmt::format(
        "From: <{}>\r\nTo: <{}>\r\nSubject: load\r\nDate: Sun, 22 Nov 2026 02:00:00 +0000\r\n"
        "Message-ID: <{}-{:010}@load.test>\r\n\r\n",
        options_.from, options_.to, options_.name, number);
}

std::string MessageText::recipient(std::uint64_t number, std::uint32_t index) const {
    if (options_.domains == 0 && options_.recipients == 1) return options_.to;
    const std::string local =
        options_.recipients == 1 ? local_part_ : fmt::format("{}-{}", local_part_, index);
    if (options_.domains == 0) return local + options_.to.substr(options_.to.find('@'));
    return fmt::format("{}@d{}.test", local,
                       (number * options_.recipients + index) % options_.domains);
}

Instant Work::next_due() const {
    if (options_.rate <= 0) return began_;
    const std::chrono::duration<double> after(static_cast<double>(begun_) / options_.rate);
    return began_ + std::chrono::duration_cast<Nanoseconds>(after);
}

bool Work::over(Instant now) const {
    const bool late =
        options_.seconds > 0 && now - began_ >= std::chrono::duration<double>(options_.seconds);
    return stopped_ || late || begun_ == options_.messages;
}

std::optional<std::uint64_t> Work::next(Instant now) {
    if (over(now)) return std::nullopt;
    const Instant due = next_due();
    if (due > now) return std::nullopt;
    if (options_.rate > 0 && settled(due)) late_ms_.push_back(milliseconds(now - due));
    return begun_++;
}

// A server that all sessions come to at once is not yet the one that has them.
bool Work::settled(Instant at) const {
    return at - began_ >= std::chrono::duration<double>(options_.settle);
}

void Work::taken(Instant sent, Instant at) {
    ++taken_;
    if (settled(sent)) waited_ms_.push_back(milliseconds(at - sent));
}

void Work::failed(std::string_view why) {
    if (failed_++ == 0) first_failure_ = why;
}

std::string Work::report(Instant now, double cpu) {
    std::ranges::sort(waited_ms_);
    std::ranges::sort(late_ms_);
    const double worst = percentile(waited_ms_, 1);
    return fmt::format(
        R"({{"messages": {}, "failed": {}, "seconds": {:.6f}, "p50_ms": {:.3f}, "p99_ms": {:.3f}, )"
        R"("max_ms": {:.3f}, "cpu_seconds": {:.3f}, "connections": {}, "resumed": {}, )"
        R"("late_p99_ms": {:.3f}, "first_failure": {}}})",
        taken_, failed_, std::chrono::duration<double>(now - began_).count(),
        percentile(waited_ms_, 0.5), percentile(waited_ms_, 0.99), worst, cpu, connections_,
        resumed_, percentile(late_ms_, 0.99), quoted(first_failure_));
}

}  // namespace posthorse::bench
