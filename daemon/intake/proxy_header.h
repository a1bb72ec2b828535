// The first octets of a connection that a proxy made for a client: who the client is.
//
// Place     Read by listener.h before anything else, from the proxies that the listener names.
// Contract  Pure: octets in. Version 1 and 2 of HAProxy's PROXY protocol (proxy-protocol.txt,
//           sections 2.1 and 2.2). Never takes an octet behind the header: what follows, a TLS
//           handshake perhaps, stays in the socket.
// Errors    invalid: it is no such header; the connection is of no use then.
// Bounds    A header of version 1 has 107 octets at most (section 2.1), one of version 2
//           `octets_max`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>

#include "proto/types/result.h"

namespace posthorse::intake {

class ProxyHeader {
public:
    using Endpoint = boost::asio::ip::tcp::endpoint;
    static constexpr std::size_t octets_max = 2048;

    // How many octets to read next, at most; 0: the header is complete.
    std::size_t wanted() const noexcept { return wanted_; }
    // Requires 0 < octets.size() <= wanted().
    Result<void> take(std::string_view octets);
    // Once complete. nullopt: the proxy speaks for itself, or does not know (LOCAL, UNKNOWN).
    const std::optional<Endpoint>& client() const noexcept { return client_; }

private:
    Result<void> judge_beginning();
    Result<void> judge_line();
    Result<void> judge_addresses();

    enum class Part : std::uint8_t { beginning, line, length, addresses };
    Part part_ = Part::beginning;
    std::size_t wanted_ = 12;  // as many as the shortest header has, and the signature of version 2
    std::string octets_;
    std::optional<Endpoint> client_;
};

}  // namespace posthorse::intake
