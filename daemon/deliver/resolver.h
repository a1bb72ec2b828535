// From DNS answers to the hosts that are tried, in order: RFC 5321 section 5.1 without any DNS.
//
// Place     Stage 6, under destination_finder.h, which asks dns_resolver.h what these functions
//           judge.
// Contract  Pure; the random number spreads the load over hosts of one preference.
//           A domain that says it takes no mail (RFC 7505), that does not exist, or that leads back
//           to this node, is refused for good; what may be DNS trouble is deferred. A destination
//           that an operator's route names is never refused for good: it is the route that is
//           wrong, or the host that is away.
//           Private and loopback addresses are no candidates unless the policy or a route says so:
//           a stranger's MX must not make this node talk to its own network.
// Bounds    hosts_max names are looked up; addresses_max are tried, at most addresses_per_host_max
//           of one host.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/dns/answer.h"
#include "proto/types/destination.h"
#include "proto/types/envelope.h"

namespace posthorse::deliver {

inline constexpr std::size_t hosts_max = 10;
inline constexpr std::size_t addresses_max = 10;
inline constexpr std::size_t addresses_per_host_max = 4;

// One address to try.
struct Candidate {
    std::string host;
    std::string address;  // or the path of a Unix socket
    std::uint16_t port = 25;
    Protocol protocol = Protocol::smtp;
    bool local = false;  // `address` is a path
    bool operator==(const Candidate&) const = default;
};

// Why nobody can be tried. `reply.code` is 0 but for a null MX.
struct Refusal {
    OutcomeKind kind = OutcomeKind::deferred;
    Reply reply;
};

template <class T>
using Plan = std::variant<T, Refusal>;

struct AddressPolicy {
    std::vector<std::string> own_names;  // of this node, lower case: mail must not loop to it
    std::uint16_t port = 25;             // when the destination names none
    bool private_addresses = false;
};

// The names to look up, best first. `destination` is not exact.
Plan<std::vector<std::string>> plan_hosts(const Destination& destination,
                                          dns::MxAnswer answer,
                                          const AddressPolicy& policy,
                                          std::uint32_t random);

// The addresses to try, best first: hosts in their order, the families of a host in turn.
Plan<std::vector<Candidate>> plan_candidates(const Destination& destination,
                                             std::vector<dns::HostAddresses> hosts,
                                             const AddressPolicy& policy,
                                             std::uint32_t random);

// True for text that is an IPv4 or IPv6 address.
bool is_address(std::string_view text);
// Loopback, private, link-local, multicast, unspecified and reserved addresses, also inside IPv6
// (mapped, NAT64, 6to4). `address` is one.
bool is_private(std::string_view address);

}  // namespace posthorse::deliver
