// TLS on one connected socket. OpenSSL reads and writes the socket itself, without blocking; what
// it cannot do yet is waited for.
//
// Place     Under stream.h, which watches the time. tls.h makes the contexts.
// Contract  One handshake, then one read and one write at once, each by one coroutine of the
//           socket's thread. Cancelling the socket's operations ends what is waited for.
// Owner     The stream, as soon as its connection shall speak TLS. The socket outlives this.
// Errors    Asio's, OpenSSL's and the system's codes; eof: the peer closed, in order or not;
//           bad_descriptor: the socket was closed meanwhile, here.
// Bounds    No buffer of its own: asio::ssl::stream would hold 68 KB of them for each connection,
//           for as long as it lives.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <openssl/types.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/system/error_code.hpp>

namespace posthorse::runtime {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

// What a handshake agreed on.
struct TlsInfo {
    std::string description;  // "TLSv1.3 TLS_AES_256_GCM_SHA384"
    std::string peer_name;    // subject of the peer's certificate; empty: none
    bool verified = false;    // it is of the host that was meant, by the system's authorities
    bool resumed = false;     // of an earlier connection, without another certificate
    // What both ends know of the connection and nobody between them can; octets, empty: unknown.
    std::string tls_exporter;  // RFC 9266
    std::string tls_unique;    // RFC 5929; TLS 1.2
};

class TlsStream {
public:
    using Code = boost::system::error_code;

    TlsStream(tcp::socket& socket, std::shared_ptr<asio::ssl::context> context);

    // Before the handshake: which end this is. `host` goes into SNI, and TlsInfo::verified is about
    // it; empty: neither. A session that is known of `host` at `peer` is resumed.
    void act_as_server();
    void act_as_client(const std::string& host, const tcp::endpoint& peer);
    asio::awaitable<Code> handshake();
    // After it.
    TlsInfo describe() const;

    // At least one octet, at most `into.size()`.
    asio::awaitable<Code> read_some(std::span<char> into, std::size_t& count);
    // All of `bytes`.
    asio::awaitable<Code> write(std::string_view bytes);
    // Says close_notify, and takes what is unread, at most `unread_bytes_max`, until the peer says
    // it, too.
    asio::awaitable<void> shut_down(std::size_t unread_bytes_max);

private:
    struct Free {
        void operator()(SSL* connection) const;
    };

    SSL* handle() const { return connection_.get(); }
    bool begins() const;
    asio::awaitable<Code> wanted(int done, int system_error);
    asio::awaitable<Code> ready(tcp::socket::wait_type what);

    tcp::socket& socket_;
    std::shared_ptr<asio::ssl::context> context_;  // outlives what was made from it
    std::unique_ptr<SSL, Free> connection_;
};

}  // namespace posthorse::runtime
