#include "tests/bench/poll.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <system_error>

namespace posthorse::bench {
namespace {

constexpr int backlog = 4096;
constexpr std::size_t ready_max = 256;

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

void set_option(const Descriptor& socket, int level, int option) {
    const int on = 1;
    if (setsockopt(socket.get(), level, option, &on, sizeof on) != 0) throw_errno("setsockopt");
}

}  // namespace

void throw_errno(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

volatile std::sig_atomic_t stopping = 0;

void stop_at_signals() {
    std::signal(SIGTERM, [](int) { stopping = 1; });
    std::signal(SIGINT, [](int) { stopping = 1; });
}

int guarded(const char* tool, int (*run)(int, char**), int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", tool, error.what());
        return 1;
    }
}

double percentile(std::span<const float> sorted, double share) {
    if (sorted.empty()) return 0;
    const double last = static_cast<double>(sorted.size() - 1);
    return static_cast<double>(sorted[static_cast<std::size_t>(share * last)]);
}

void Descriptor::close() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
}

Address::Address(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int answer = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (answer != 0) throw std::runtime_error(host + ": " + gai_strerror(answer));
    const auto* const octets = reinterpret_cast<const std::byte*>(found->ai_addr);
    octets_.assign(octets, octets + found->ai_addrlen);
    family_ = found->ai_family;
    freeaddrinfo(found);
}

Descriptor Address::socket() const {
    Descriptor made(::socket(family_, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!made.open()) throw_errno("socket");
    return made;
}

Descriptor Address::connect() const {
    Descriptor made = socket();
    set_option(made, IPPROTO_TCP, TCP_NODELAY);
    const auto* const address = reinterpret_cast<const sockaddr*>(octets_.data());
    const int answer = ::connect(made.get(), address, static_cast<socklen_t>(octets_.size()));
    if (answer != 0 && errno != EINPROGRESS) throw_errno("connect");
    return made;
}

Descriptor Address::listen() const {
    Descriptor made = socket();
    set_option(made, SOL_SOCKET, SO_REUSEADDR);
    const auto* const address = reinterpret_cast<const sockaddr*>(octets_.data());
    if (bind(made.get(), address, static_cast<socklen_t>(octets_.size())) != 0) throw_errno("bind");
    if (::listen(made.get(), backlog) != 0) throw_errno("listen");
    return made;
}

Poll::Poll() : epoll_(epoll_create1(EPOLL_CLOEXEC)), ready_(ready_max) {
    if (!epoll_.open()) throw_errno("epoll_create1");
}

void Poll::add(const Descriptor& descriptor, std::uint32_t events, void* owner) {
    epoll_event event{.events = events, .data = {.ptr = owner}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor.get(), &event) != 0)
        throw_errno("epoll_ctl");
}

void Poll::change(const Descriptor& descriptor, std::uint32_t events, void* owner) {
    epoll_event event{.events = events, .data = {.ptr = owner}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, descriptor.get(), &event) != 0)
        throw_errno("epoll_ctl");
}

void Poll::remove(const Descriptor& descriptor) {
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor.get(), nullptr) != 0)
        throw_errno("epoll_ctl");
}

std::span<epoll_event> Poll::wait(Nanoseconds at_most) {
    at_most = std::max(at_most, Nanoseconds{0});
    const timespec limit{.tv_sec = at_most.count() / 1'000'000'000,
                         .tv_nsec = at_most.count() % 1'000'000'000};
    const int count =
        epoll_pwait2(epoll_.get(), ready_.data(), static_cast<int>(ready_.size()), &limit, nullptr);
    if (count < 0 && errno != EINTR) throw_errno("epoll_pwait2");
    return {ready_.data(), static_cast<std::size_t>(std::max(count, 0))};
}

}  // namespace posthorse::bench
