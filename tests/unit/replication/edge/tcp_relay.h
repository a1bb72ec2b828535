// A way between a client and a server on loopback that can be cut: then what is sent is lost,
// without a word to either.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

namespace posthorse::tests {

class TcpRelay {
public:
    explicit TcpRelay(std::uint16_t to);
    ~TcpRelay();
    TcpRelay(const TcpRelay&) = delete;
    TcpRelay& operator=(const TcpRelay&) = delete;

    std::uint16_t port() const { return port_; }
    void cut() { cut_ = true; }
    // For connections that begin from now on; those of before are over.
    void let_through() { cut_ = false; }

private:
    using Ends = std::pair<int, int>;
    void run();
    void take_one();
    void drop_all();
    static bool pass_on(int from, int to);

    const std::uint16_t to_;
    std::uint16_t port_ = 0;
    int listening_ = -1;
    std::vector<Ends> ends_;
    std::atomic<bool> cut_ = false;
    std::atomic<bool> over_ = false;
    std::thread thread_;
};

}  // namespace posthorse::tests
