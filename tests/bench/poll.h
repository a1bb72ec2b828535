// Sockets that never block, and the wait for those that are ready.
//
// Place     Under load_source.cc and floor_sink.cc, which have one thread each that waits.
//           What else both need is here, too.
// Contract  Level-triggered: who is told of readiness and does not read is told again.
// Errors    What the system refuses is a std::system_error.
#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace posthorse::bench {

using Nanoseconds = std::chrono::nanoseconds;
using Instant = std::chrono::steady_clock::time_point;

[[noreturn]] void throw_errno(const std::string& what);

// CPU time that this process has used, in seconds.
double cpu_seconds();

// Set by SIGTERM and SIGINT, once stop_at_signals() was called.
extern volatile std::sig_atomic_t stopping;
void stop_at_signals();

// The main() of a tool: `run`, or 1 and what went wrong, in the name of the tool.
int guarded(const char* tool, int (*run)(int, char**), int argc, char** argv);

// The value below which `share` of the sorted values lie; 0 of none.
double percentile(std::span<const float> sorted, double share);

class Descriptor {
public:
    explicit Descriptor(int number = -1) : number_(number) {}
    ~Descriptor() { close(); }
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }

    int get() const { return number_; }
    bool open() const { return number_ >= 0; }
    void close();

private:
    int number_;
};

// An address of this machine or of another, looked up once.
class Address {
public:
    Address(const std::string& host, std::uint16_t port);

    Descriptor connect() const;  // under way: writable when it is there
    Descriptor listen() const;

private:
    Descriptor socket() const;

    std::vector<std::byte> octets_;  // a sockaddr
    int family_ = 0;
};

class Poll {
public:
    static constexpr std::uint32_t readable = EPOLLIN;
    static constexpr std::uint32_t writable = EPOLLOUT;

    Poll();

    void add(const Descriptor& descriptor, std::uint32_t events, void* owner);
    void change(const Descriptor& descriptor, std::uint32_t events, void* owner);
    void remove(const Descriptor& descriptor);

    // Those that are ready; none when the time is over or a signal came.
    std::span<epoll_event> wait(Nanoseconds at_most);

private:
    Descriptor epoll_;
    std::vector<epoll_event> ready_;
};

}  // namespace posthorse::bench
