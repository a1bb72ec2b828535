// What one client, login or sender may do before it is slowed down or refused, counted in the whole
// pool.
//
// Place     Asked by connection.h and login.h; counts in replication/counting/pool_counts.h.
// Contract  A client is an IPv4 address, or an IPv6 network of 64 bits. Trusted networks are not
//           limited as clients: many people are behind one address there.
//           Failed logins: of a client they are an end, of a login only a delay, which grows with
//           those from the same client; nobody can lock out the owner of a login by failing in its
//           name.
//           A sender is a login; an exempt one, or a trusted network, sends for many, and each
//           address counts by itself. Messages under way are not counted yet: a sender with many
//           sessions may exceed its limit by as many messages.
//           While a count's homes are away, limits are shared out evenly among the nodes.
// Owner     A connection, on its shard; PoolCounts is called on home.
#pragma once

#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>

#include "daemon/intake/admission.h"
#include "daemon/intake/intake_context.h"

namespace posthorse::intake {

// "192.0.2.1", "2001:db8:1:2::/64".
std::string client_network(const boost::asio::ip::address& address);

// Of one login within the window.
struct LoginFailures {
    replication::CountLevel from_client;
    replication::CountLevel from_all;
};
// How long the answer to it waits.
Duration login_delay(const config::Auth& auth, const LoginFailures& failures);

// Whom a message counts for; empty: nobody.
std::string counted_sender(const auth::SenderPolicy& policy,
                           const Client& client,
                           const std::string& sender);

class PoolLimits {
public:
    PoolLimits(IntakeContext& context, const boost::asio::ip::address& client, bool trusted);

    // Counts this connection; how long its greeting waits.
    boost::asio::awaitable<Duration> greeting_delay();

    boost::asio::awaitable<bool> client_is_blocked();
    boost::asio::awaitable<Duration> login_delay(std::string login);
    void login_failed(const std::string& login);

    boost::asio::awaitable<bool> sender_is_exhausted(std::string sender);
    void accepted_from(const std::string& sender);

private:
    boost::asio::awaitable<replication::PoolCounts::Levels> ask(
        std::vector<replication::CountKey> keys);
    void count(std::vector<replication::CountKey> keys);
    replication::CountKey failed_key(const std::string& whose) const;

    IntakeContext& context_;
    const std::string network_;
    const bool trusted_;
};

}  // namespace posthorse::intake
