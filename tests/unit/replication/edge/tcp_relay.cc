#include "tests/unit/replication/edge/tcp_relay.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace posthorse::tests {
namespace {

constexpr int look_every_ms = 20;

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

int tcp_socket() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int yes = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

}  // namespace

TcpRelay::TcpRelay(std::uint16_t to) : to_(to), listening_(tcp_socket()) {
    auto address = loopback(0);
    socklen_t length = sizeof address;
    REQUIRE(::bind(listening_, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(::listen(listening_, 64) == 0);
    REQUIRE(::getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
}

TcpRelay::~TcpRelay() {
    over_ = true;
    thread_.join();
    drop_all();
    ::close(listening_);
}

void TcpRelay::run() {
    bool was_cut = false;
    while (!over_) {
        if (cut_) {
            was_cut = true;
            ::poll(nullptr, 0, look_every_ms);
            continue;
        }
        if (std::exchange(was_cut, false)) drop_all();
        std::vector<pollfd> all{{listening_, POLLIN, 0}};
        for (const auto& [client, server] : ends_) {
            all.push_back({client, POLLIN, 0});
            all.push_back({server, POLLIN, 0});
        }
        if (::poll(all.data(), all.size(), look_every_ms) <= 0 || cut_) continue;
        std::vector<Ends> still;
        for (std::size_t i = 0; i < ends_.size(); ++i) {
            const auto [client, server] = ends_[i];
            const bool good = (all[2 * i + 1].revents == 0 || pass_on(client, server)) &&
                              (all[2 * i + 2].revents == 0 || pass_on(server, client));
            if (good) {
                still.push_back(ends_[i]);
            } else {
                ::close(client);
                ::close(server);
            }
        }
        ends_ = std::move(still);
        if (all[0].revents != 0) take_one();
    }
}

void TcpRelay::take_one() {
    const int client = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    const int server = tcp_socket();
    const auto address = loopback(to_);
    if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        ends_.emplace_back(client, server);
    } else {
        ::close(client);
        ::close(server);
    }
}

void TcpRelay::drop_all() {
    for (const auto& [client, server] : std::exchange(ends_, {})) {
        ::close(client);
        ::close(server);
    }
}

bool TcpRelay::pass_on(int from, int to) {
    char part[16 * 1024];
    const auto count = ::read(from, part, sizeof part);
    for (ssize_t sent = 0; sent < count;) {
        const auto more =
            ::send(to, part + sent, static_cast<std::size_t>(count - sent), MSG_NOSIGNAL);
        if (more <= 0) return false;
        sent += more;
    }
    return count > 0;
}

}  // namespace posthorse::tests
