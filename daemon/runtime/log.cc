#include "daemon/runtime/log.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "proto/types/reply.h"
#include "proto/types/utf8.h"

namespace posthorse::runtime::log {
namespace {

constexpr std::size_t value_bytes_max = 2048;

// Standard output, on a thread of its own: who logs never waits for a pipe. Lines are gathered for
// a moment and written together, for a wake-up and a write for each line would cost more than
// making it. What is not taken in time is dropped, and counted.
class StdoutSink final : public spdlog::sinks::base_sink<std::mutex> {
public:
    StdoutSink() : thread_([this](const std::stop_token& stop) { run(stop); }) {}

    std::uint64_t dropped() const { return dropped_; }

protected:
    void sink_it_(const spdlog::details::log_msg& line) override {
        if (gathered_.size() >= gathered_bytes_max) {
            dropped_ += 1;
            return;
        }
        const bool first = gathered_.size() == 0;
        formatter_->format(line, gathered_);
        if (first) come_.notify_one();
    }
    void flush_() override {}  // it is on its way

private:
    static constexpr std::size_t gathered_bytes_max = 16 * 1024 * 1024;
    static constexpr std::chrono::milliseconds gathers_for{5};

    void run(const std::stop_token& stop) {
        spdlog::memory_buf_t writing;
        const auto stopping = [&] { return stop.stop_requested(); };
        for (std::unique_lock lock(mutex_); !stopping() || gathered_.size() > 0;) {
            come_.wait(lock, stop, [this] { return gathered_.size() > 0; });
            std::swap(writing, gathered_);
            lock.unlock();
            std::fwrite(writing.data(), 1, writing.size(), stdout);
            std::fflush(stdout);
            writing.clear();
            lock.lock();
            paused_.wait_for(lock, stop, gathers_for, stopping);
        }
    }

    spdlog::memory_buf_t gathered_;  // mutex_
    std::condition_variable_any come_;
    std::condition_variable_any paused_;
    std::atomic<std::uint64_t> dropped_ = 0;
    std::jthread thread_;  // last: it begins when all else is there
};

std::shared_ptr<spdlog::logger>& logger() {
    static auto instance = std::make_shared<spdlog::logger>(
        "posthorse", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    return instance;
}

// While the log runs.
std::shared_ptr<StdoutSink>& sink() {
    static std::shared_ptr<StdoutSink> instance;
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
    sink() = std::make_shared<StdoutSink>();
    logger() = std::make_shared<spdlog::logger>("posthorse", sink());
    logger()->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        "%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc));
    logger()->set_level(spdlog::level::from_str(std::string(level)));
    spdlog::set_default_logger(logger());
}

// Writes what is gathered.
void stop() {
    logger() = std::make_shared<spdlog::logger>("posthorse",
                                                std::make_shared<spdlog::sinks::stderr_sink_mt>());
    spdlog::set_default_logger(logger());
    sink().reset();
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
    return sink() ? sink()->dropped() : 0;
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
