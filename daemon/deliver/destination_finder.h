// From a destination to the addresses to try: DNS asked, policy applied, remembered for its TTL.
//
// Place     Stage 6, between delivery_pool.h and dns_resolver.h / resolver.h. One for each shard.
// Contract  As resolver.h. Candidates are remembered for the least TTL of the answers, at most
//           `remembered_for`; refusals never are. The order among equals is drawn anew only when
//           the DNS is asked anew.
// Owner     One shard; every call is made on its thread; it outlives the calls.
// Errors    Refusal.
// Bounds    remembered_max destinations.
#pragma once

#include <map>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "daemon/deliver/resolver.h"
#include "daemon/dns/dns_resolver.h"
#include "proto/types/time.h"

namespace posthorse::deliver {

class DestinationFinder {
public:
    static constexpr Duration remembered_for = std::chrono::minutes{5};
    static constexpr std::size_t remembered_max = 2000;

    using Candidates = Plan<std::vector<Candidate>>;

    // `random` is asked once for each look-up.
    DestinationFinder(dns::DnsResolver& dns,
                      const Clock& clock,
                      AddressPolicy policy,
                      UniqueFunction<std::uint32_t()> random);

    // cancel() of the resolver ends it with a refusal that defers.
    // `destination` as in proto/types/destination.h.
    runtime::asio::awaitable<Candidates> find(std::string destination);

private:
    struct Found {
        Candidates candidates;
        Duration keep{};
    };
    struct Remembered {
        Candidates candidates;
        BootTime until{};
    };
    runtime::asio::awaitable<Found> ask(Destination destination);
    runtime::asio::awaitable<Found> ask_addresses(Destination destination,
                                                  std::vector<std::string> hosts,
                                                  Duration keep);
    void remember(const std::string& destination, const Found& found);

    dns::DnsResolver& dns_;
    const Clock& clock_;
    AddressPolicy policy_;
    UniqueFunction<std::uint32_t()> random_;
    std::map<std::string, Remembered> remembered_;
};

}  // namespace posthorse::deliver
