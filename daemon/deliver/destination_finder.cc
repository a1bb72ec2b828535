#include "daemon/deliver/destination_finder.h"

#include <algorithm>

#include "daemon/runtime/await.h"

namespace posthorse::deliver {
namespace {

namespace asio = runtime::asio;

template <class Record>
Duration ttl_of(const dns::Answer<Record>& answer) {
    if (answer.end != dns::LookupEnd::found) return Duration::max();
    return std::chrono::seconds{answer.ttl_seconds};
}

}  // namespace

DestinationFinder::DestinationFinder(dns::DnsResolver& dns,
                                     const Clock& clock,
                                     AddressPolicy policy,
                                     UniqueFunction<std::uint32_t()> random)
    : dns_(dns), clock_(clock), policy_(std::move(policy)), random_(std::move(random)) {}

asio::awaitable<DestinationFinder::Candidates> DestinationFinder::find(std::string destination) {
    const auto known = remembered_.find(destination);
    if (known != remembered_.end() && clock_.boot() < known->second.until) {
        co_return known->second.candidates;
    }
    const auto parsed = Destination::parse(destination);
    const bool no_literal = parsed && parsed->exact && !parsed->routed && !is_address(parsed->host);
    if (!parsed || no_literal) {
        Refusal no_domain{OutcomeKind::failed, {0, {5, 1, 3}, "address has no usable domain"}};
        co_return Candidates(std::move(no_domain));
    }
    auto found = co_await ask(*parsed);
    remember(destination, found);
    co_return std::move(found.candidates);
}

asio::awaitable<DestinationFinder::Found> DestinationFinder::ask(Destination destination) {
    if (destination.local) {
        const Candidate socket{destination.host, destination.host, 0, destination.protocol, true};
        co_return Found{std::vector<Candidate>{socket}, Duration::max()};
    }
    if (destination.exact && is_address(destination.host)) {
        dns::HostAddresses literal{destination.host, {}, {}};
        literal.v4 = {dns::LookupEnd::found, {destination.host}, 0, {}};
        co_return Found{plan_candidates(destination, {literal}, policy_, 0), Duration::max()};
    }
    if (destination.exact) {
        std::vector<std::string> itself{destination.host};
        co_return co_await ask_addresses(destination, std::move(itself), Duration::max());
    }
    const auto domain = destination.host;
    auto answer =
        co_await runtime::completed<dns::MxAnswer>([this, domain](Completion<dns::MxAnswer> done) {
            dns_.mx(domain,
                    [done = std::move(done)](dns::MxAnswer mx) mutable { done(std::move(mx)); });
        });
    const auto keep = ttl_of(*answer);
    auto hosts = plan_hosts(destination, std::move(*answer), policy_, random_());
    if (auto* refusal = std::get_if<Refusal>(&hosts)) co_return Found{std::move(*refusal), keep};
    auto names = std::get<std::vector<std::string>>(std::move(hosts));
    co_return co_await ask_addresses(destination, std::move(names), keep);
}

asio::awaitable<DestinationFinder::Found> DestinationFinder::ask_addresses(
    Destination destination, std::vector<std::string> hosts, Duration keep) {
    using Hosts = std::vector<dns::HostAddresses>;
    auto answer = co_await runtime::completed<Hosts>(
        [this, hosts = std::move(hosts)](Completion<Hosts> done) mutable {
            dns_.addresses(std::move(hosts), [done = std::move(done)](Hosts found) mutable {
                done(std::move(found));
            });
        });
    for (const auto& host : *answer) {
        keep = std::min({keep, ttl_of(host.v4), ttl_of(host.v6)});
        // A family that did not answer this time is asked again soon.
        if (host.v4.end == dns::LookupEnd::failed || host.v6.end == dns::LookupEnd::failed)
            keep = {};
    }
    co_return Found{plan_candidates(destination, std::move(*answer), policy_, random_()), keep};
}

void DestinationFinder::remember(const std::string& destination, const Found& found) {
    const auto keep = std::min(found.keep, remembered_for);
    if (keep <= Duration{0} || std::holds_alternative<Refusal>(found.candidates)) return;
    const auto now = clock_.boot();
    if (remembered_.size() >= remembered_max) {
        std::erase_if(remembered_, [now](const auto& entry) { return entry.second.until <= now; });
    }
    if (remembered_.size() >= remembered_max) remembered_.erase(remembered_.begin());
    remembered_[destination] = {found.candidates, now + keep};
}

}  // namespace posthorse::deliver
