// One TCP connection, in clear or under TLS, with a deadline on every operation.
//
// Place     Under intake's, delivery's and the admin's connections; with tls_stream.h, for what is
//           under TLS, the only file with sockets' I/O.
// Contract  One read and one write may be under way at once, each by one coroutine of the stream's
//           shard. A deadline that passes ends the operation with timed_out and leaves the
//           connection unusable. After a handshake the connection speaks TLS alone: octets read
//           in clear and not yet consumed are the caller's to drop (RFC 3207 section 4.2).
// Owner     The coroutine that drives the connection.
// Errors    IoError; never throws but for cancellation of the awaiting coroutine's task.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/system/result.hpp>

#include "daemon/runtime/deadline.h"
#include "daemon/runtime/tls_stream.h"
#include "proto/types/time.h"

namespace posthorse::runtime {

enum class IoEnd : std::uint8_t {
    closed,     // the peer closed, in order or not
    timed_out,  // our deadline passed
    failed,     // `what` says
    cancelled,  // cancel(), or the task was cancelled
};

struct IoError {
    IoEnd end = IoEnd::failed;
    std::string what;  // "connection reset by peer"
};

template <class T>
using IoResult = boost::system::result<T, IoError>;

class Stream {
public:
    explicit Stream(tcp::socket socket);
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    // Connects a fresh socket.
    asio::awaitable<IoResult<void>> connect(tcp::endpoint peer, Duration deadline);
    // The same with a Unix socket, which is there at once or not at all; `path` is at most 107
    // octets.
    asio::awaitable<IoResult<void>> connect_local(std::string path);
    // At least one octet, at most `into.size()`.
    asio::awaitable<IoResult<std::size_t>> read_some(std::span<char> into, Duration deadline);
    // Whether the peer says something within `time`, in clear, without taking it. False is no end:
    // the connection goes on. Its close is an error.
    asio::awaitable<IoResult<bool>> hears(Duration time);
    // All of `bytes`, or an error. The deadline is for the whole.
    asio::awaitable<IoResult<void>> write(std::string_view bytes, Duration deadline);

    asio::awaitable<IoResult<TlsInfo>> server_handshake(std::shared_ptr<asio::ssl::context> context,
                                                        Duration deadline);
    // `host` goes into SNI; empty: none.
    asio::awaitable<IoResult<TlsInfo>> client_handshake(std::shared_ptr<asio::ssl::context> context,
                                                        std::string host,
                                                        Duration deadline);

    bool secure() const noexcept { return tls_ != nullptr; }
    const TlsInfo& tls_info() const noexcept { return tls_info_; }
    // Octets accepted by write() that the kernel has not yet sent and had acknowledged (SIOCOUTQ).
    std::size_t unsent_bytes() const;
    // So many octets more would go out now, and not wait in the kernel: all before them are sent,
    // and what is on its way with them is within the windows of both ends.
    bool would_leave_at_once(std::size_t bytes) const;
    // Nothing came that was not read, and the peer has not closed.
    bool quiet() const;

    // The read or handshake that is under way ends within `time`, if its deadline is not sooner.
    void hasten(Duration time);
    // Ends the operation that is under way, from the shard's thread.
    void cancel();
    // Closes in order, so that the peer hears what was said last: under TLS says close_notify and
    // waits up to a second for the peer's; in clear takes what is unread, for as long at most.
    asio::awaitable<void> close_in_order();
    // Closes at once; what the kernel has still to send goes out.
    void close();
    // Closes with RST: what is queued is dropped.
    void reset();

    tcp::socket& socket() noexcept { return socket_; }
    tcp::endpoint peer() const noexcept { return peer_; }

private:
    asio::awaitable<IoResult<TlsInfo>> handshake(Duration deadline);
    asio::awaitable<void> drop_unread();
    int descriptor() const;
    void write_at_once(std::string_view& bytes) const;

    tcp::socket socket_;
    tcp::endpoint peer_;
    std::unique_ptr<TlsStream> tls_;  // null: in clear
    TlsInfo tls_info_;
    Deadline read_deadline_;
    Deadline write_deadline_;
};

}  // namespace posthorse::runtime
