#include "daemon/runtime/log.h"

#include <memory>

#include <spdlog/async.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "proto/types/reply.h"
#include "proto/types/utf8.h"

namespace posthorse::runtime::log {
namespace {

constexpr std::size_t queue_lines_max = 65536;
constexpr std::size_t value_bytes_max = 2048;

std::shared_ptr<spdlog::logger>& logger() {
    static auto instance = std::make_shared<spdlog::logger>(
        "posthorse", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    return instance;
}

bool& masking() {
    static bool on = false;
    return on;
}

spdlog::level::level_enum native(Level level) {
    switch (level) {
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warning:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
    }
    return spdlog::level::info;
}

bool is_plain(std::string_view value) {
    if (value.empty()) return false;
    for (const char c : value) {
        if (c <= ' ' || c == '"' || c == '=' || c == '\\') return false;
    }
    return true;
}

void append_value(std::string& out, std::string_view raw) {
    const std::string value = sanitise_utf8(raw, value_bytes_max);
    if (is_plain(value)) {
        out += value;
        return;
    }
    out += '"';
    for (const char c : value) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
}

}  // namespace

void start(std::string_view level, Addresses addresses) {
    masking() = addresses == Addresses::masked;
    spdlog::init_thread_pool(queue_lines_max, 1);
    auto sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
    logger() =
        std::make_shared<spdlog::async_logger>("posthorse", std::move(sink), spdlog::thread_pool(),
                                               spdlog::async_overflow_policy::overrun_oldest);
    logger()->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        "%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc));
    logger()->set_level(spdlog::level::from_str(std::string(level)));
    logger()->flush_on(spdlog::level::warn);
    spdlog::set_default_logger(logger());
    spdlog::flush_every(std::chrono::seconds{1});
}

void stop() {
    logger()->flush();
    logger() = std::make_shared<spdlog::logger>("posthorse",
                                                std::make_shared<spdlog::sinks::stderr_sink_mt>());
    spdlog::shutdown();
}

std::string format(std::string_view name, Fields fields) {
    std::string text(name);
    for (const auto& field : fields) {
        text += ' ';
        text += field.key;
        text += '=';
        append_value(text, field.value);
    }
    return text;
}

void event(Level level, std::string_view name, Fields fields) {
    if (!logger()->should_log(native(level))) return;
    const auto text = format(name, fields);
    logger()->log(native(level), masking() ? mask_addresses(text) : text);
}

void line(Level level, std::string_view text) {
    if (!logger()->should_log(native(level))) return;
    logger()->log(native(level), sanitise_utf8(text, 2 * value_bytes_max));
}

std::uint64_t dropped_lines() {
    const auto pool = spdlog::thread_pool();
    return pool ? pool->overrun_counter() : 0;
}

bool RateLimit::allow(std::int64_t now_ms, std::uint64_t& suppressed) {
    if (now_ms < next_ms_) {
        ++held_back_;
        return false;
    }
    next_ms_ = now_ms + every_ms_;
    suppressed = std::exchange(held_back_, 0);
    return true;
}

}  // namespace posthorse::runtime::log
