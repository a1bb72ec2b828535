// The longest time that an operation on a socket may take: when it is over, the socket's operations
// are cancelled. (Awaiting `operation || timer` instead would halve the throughput.)
//
// Place     Under stream.h: one for what reads, one for what writes.
// Contract  begin() before an operation, end() behind it; one operation at a time. One wait serves
//           many operations: when it is over and the operation that is under way by then has time
//           left, it goes on until that is over. So most operations touch no timer.
// Owner     Who owns the socket, which outlives this. On the thread of the socket's executor.
#pragma once

#include <memory>

#include <boost/asio/ip/tcp.hpp>

#include "proto/types/time.h"

namespace posthorse::runtime {

class Deadline {
public:
    explicit Deadline(boost::asio::ip::tcp::socket& socket);
    ~Deadline();
    Deadline(const Deadline&) = delete;
    Deadline& operator=(const Deadline&) = delete;

    void begin(Duration duration);
    // No longer than `duration` from now: the operation that is under way, if one is.
    void shorten(Duration duration);
    // True: the time was over before the operation.
    bool end();

private:
    struct State;
    static void watch(const std::shared_ptr<State>& state);

    std::shared_ptr<State> state_;  // the timer's handler may find the socket dead
};

}  // namespace posthorse::runtime
