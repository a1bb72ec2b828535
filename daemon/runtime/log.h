// Structured logs on standard output: one line an event, time in UTC.
//
//   2026-11-22T02:25:00.123Z info accepted id=01M8... sender=a@example.org size=1234
//
// Contract  Any thread. Never blocks: lines are gathered for a writer thread, up to a bound; when
//           standard output does not keep up the newest are dropped and counted.
//           Values are quoted and escaped: no octet of a stranger can end a line or colour a
//           terminal.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace posthorse::runtime::log {

enum class Level : std::uint8_t { debug, info, warning, error };

struct Field {
    Field(std::string_view k, std::string_view v) : key(k), value(v) {}
    Field(std::string_view k, const char* v) : key(k), value(v) {}
    Field(std::string_view k, const std::string& v) : key(k), value(v) {}
    Field(std::string_view k, std::integral auto v) : key(k), value(std::to_string(v)) {}
    std::string_view key;
    std::string value;
};
using Fields = std::initializer_list<Field>;

// Whether people's addresses stand in the log, or only their domains.
enum class Addresses : std::uint8_t { shown, masked };

// Called once at start; before it, lines go to standard error.
void start(std::string_view level, Addresses addresses);
// Writes what is queued and ends the writer thread.
void stop();

// "name key=value key=\"quoted value\""
std::string format(std::string_view name, Fields fields);
void event(Level level, std::string_view name, Fields fields = {});
// A line in a format of its own (daemon/report/delivery_log.h), which masks for itself. `text` is
// sanitised here.
void line(Level level, std::string_view text);
std::uint64_t dropped_lines();

inline void debug(std::string_view name, Fields fields = {}) {
    event(Level::debug, name, fields);
}
inline void info(std::string_view name, Fields fields = {}) {
    event(Level::info, name, fields);
}
inline void warning(std::string_view name, Fields fields = {}) {
    event(Level::warning, name, fields);
}
inline void error(std::string_view name, Fields fields = {}) {
    event(Level::error, name, fields);
}

// Stops a kind of line from filling the log: true at most once in `every_ms`; `suppressed` then
// says how many were held back. One object a kind; any thread.
class RateLimit {
public:
    explicit RateLimit(std::int64_t every_ms) : every_ms_(every_ms) {}
    bool allow(std::int64_t now_ms, std::uint64_t& suppressed);

private:
    std::int64_t every_ms_;
    std::int64_t next_ms_ = 0;
    std::uint64_t held_back_ = 0;
};

}  // namespace posthorse::runtime::log
