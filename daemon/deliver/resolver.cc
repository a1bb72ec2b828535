#include "daemon/deliver/resolver.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <optional>

#include "proto/types/assert.h"

namespace posthorse::deliver {
namespace {

using V4 = std::array<std::uint8_t, 4>;
using V6 = std::array<std::uint8_t, 16>;

struct V4Range {
    V4 from;
    unsigned bits;
};

// RFC 6890 and its registry; documentation ranges (RFC 5737) are left: nobody answers there.
constexpr V4Range private_v4[] = {
    {{0, 0, 0, 0}, 8},      {{10, 0, 0, 0}, 8},    {{100, 64, 0, 0}, 10}, {{127, 0, 0, 0}, 8},
    {{169, 254, 0, 0}, 16}, {{172, 16, 0, 0}, 12}, {{192, 0, 0, 0}, 24},  {{192, 168, 0, 0}, 16},
    {{198, 18, 0, 0}, 15},  {{224, 0, 0, 0}, 4},   {{240, 0, 0, 0}, 4},
};

template <class Address>
std::optional<Address> parse_as(int family, std::string_view text) {
    Address bytes{};
    const std::string terminated(text);
    if (inet_pton(family, terminated.c_str(), bytes.data()) != 1) return std::nullopt;
    return bytes;
}

std::uint32_t number_of(const V4& address) {
    return (std::uint32_t{address[0]} << 24) | (std::uint32_t{address[1]} << 16) |
           (std::uint32_t{address[2]} << 8) | address[3];
}

bool is_private_v4(const V4& address) {
    return std::any_of(std::begin(private_v4), std::end(private_v4), [&](const V4Range& range) {
        return ((number_of(address) ^ number_of(range.from)) >> (32 - range.bits)) == 0;
    });
}

V4 v4_at(const V6& address, std::size_t offset) {
    return {address[offset], address[offset + 1], address[offset + 2], address[offset + 3]};
}

bool begins_with(const V6& address, std::initializer_list<std::uint8_t> prefix) {
    return std::equal(prefix.begin(), prefix.end(), address.begin());
}

bool is_private_v6(const V6& address) {
    if (begins_with(address, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff})) {
        return is_private_v4(v4_at(address, 12));  // mapped
    }
    if (begins_with(address, {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) {
        return is_private_v4(v4_at(address, 12));  // NAT64, RFC 6052
    }
    if (begins_with(address, {0x20, 0x02})) return is_private_v4(v4_at(address, 2));  // 6to4
    // ::/8 holds ::, ::1 and the compatible addresses; fe80::/9 link- and site-local ones.
    return address[0] == 0 || address[0] == 0xff || (address[0] & 0xfe) == 0xfc ||
           (address[0] == 0xfe && (address[1] & 0x80) != 0);
}

Refusal refuse(OutcomeKind kind, EnhancedCode enhanced, std::string text, int code = 0) {
    return {kind, {code, enhanced, std::move(text)}};
}

// Refuses for good, unless an operator's route leads here.
Refusal refuse_for_good(const Destination& to,
                        EnhancedCode enhanced,
                        std::string text,
                        int code = 0) {
    if (!to.routed) return refuse(OutcomeKind::failed, enhanced, std::move(text), code);
    return refuse(OutcomeKind::deferred, {4, enhanced.subject, enhanced.detail}, std::move(text));
}

Refusal dns_trouble(const std::string& name, const std::string& error) {
    return refuse(OutcomeKind::deferred, {4, 4, 3}, "DNS look-up of " + name + " failed: " + error);
}

bool is_own(const std::string& host, const AddressPolicy& policy) {
    return std::find(policy.own_names.begin(), policy.own_names.end(), host) !=
           policy.own_names.end();
}

// A small generator for shuffles: the caller's random number is its whole state.
class Dice {
public:
    explicit Dice(std::uint32_t seed) : state_(seed) {}
    template <class T>
    void shuffle(T begin, T end) {
        for (auto left = end - begin; left > 1; --left) {
            state_ = state_ * 6364136223846793005u + 1442695040888963407u;
            const auto pick =
                static_cast<std::ptrdiff_t>((state_ >> 33) % static_cast<std::uint64_t>(left));
            std::swap(begin[left - 1], begin[pick]);
        }
    }

private:
    std::uint64_t state_;
};

// RFC 5321 section 5.1: a host that finds itself among the MXs drops itself and all that are not
// better, or mail would go round.
void drop_own(std::vector<dns::MxRecord>& records, const AddressPolicy& policy) {
    for (auto own = records.begin(); own != records.end(); ++own) {
        if (!is_own(own->host, policy)) continue;
        const auto limit = own->preference;
        std::erase_if(records, [limit](const dns::MxRecord& mx) { return mx.preference >= limit; });
        return;
    }
}

void order(std::vector<dns::MxRecord>& records, std::uint32_t random) {
    Dice(random).shuffle(records.begin(), records.end());
    std::sort(records.begin(), records.end(), [](const dns::MxRecord& a, const dns::MxRecord& b) {
        return a.preference < b.preference;
    });
}

// How the look-ups of one host's two families ended, together.
dns::LookupEnd end_of(const dns::HostAddresses& host) {
    if (host.v4.end == dns::LookupEnd::found || host.v6.end == dns::LookupEnd::found)
        return dns::LookupEnd::found;
    if (host.v4.end == dns::LookupEnd::failed || host.v6.end == dns::LookupEnd::failed) {
        return dns::LookupEnd::failed;
    }
    return host.v4.end == dns::LookupEnd::no_domain ? dns::LookupEnd::no_domain
                                                    : dns::LookupEnd::no_data;
}

// The families in turn, IPv6 first (RFC 6724 section 2.1).
std::vector<std::string> interleaved(dns::HostAddresses& host, Dice& dice) {
    auto& v6 = host.v6.records;
    auto& v4 = host.v4.records;
    dice.shuffle(v6.begin(), v6.end());
    dice.shuffle(v4.begin(), v4.end());
    std::vector<std::string> all;
    for (std::size_t i = 0; i < std::max(v6.size(), v4.size()); ++i) {
        if (i < v6.size()) all.push_back(v6[i]);
        if (i < v4.size()) all.push_back(v4[i]);
    }
    return all;
}

Refusal no_candidate(const Destination& to,
                     const std::vector<dns::HostAddresses>& hosts,
                     bool hidden) {
    for (const auto& host : hosts) {
        if (end_of(host) != dns::LookupEnd::failed) continue;
        return dns_trouble(host.host,
                           host.v4.end == dns::LookupEnd::failed ? host.v4.error : host.v6.error);
    }
    if (hidden) {
        return refuse_for_good(to, {5, 4, 4},
                               "all addresses of " + to.host + "'s mail hosts are private");
    }
    const bool own_host = hosts.size() == 1 && hosts[0].host == to.host;
    if (own_host) {
        const bool missing = end_of(hosts[0]) == dns::LookupEnd::no_domain;
        return refuse_for_good(to, {5, 1, 2},
                               missing ? "domain " + to.host + " does not exist"
                                       : "domain " + to.host + " has no mail host and no address");
    }
    return refuse_for_good(to, {5, 4, 4}, "no mail host of " + to.host + " has an address");
}

}  // namespace

bool is_address(std::string_view text) {
    return parse_as<V4>(AF_INET, text) || parse_as<V6>(AF_INET6, text);
}

bool is_private(std::string_view address) {
    if (const auto v4 = parse_as<V4>(AF_INET, address)) return is_private_v4(*v4);
    const auto v6 = parse_as<V6>(AF_INET6, address);
    PH_ASSERT(v6);
    return is_private_v6(*v6);
}

Plan<std::vector<std::string>> plan_hosts(const Destination& destination,
                                          dns::MxAnswer answer,
                                          const AddressPolicy& policy,
                                          std::uint32_t random) {
    const auto& domain = destination.host;
    if (answer.end == dns::LookupEnd::failed) return dns_trouble(domain, answer.error);
    if (answer.end == dns::LookupEnd::no_domain) {
        return refuse_for_good(destination, {5, 1, 2}, "domain " + domain + " does not exist");
    }
    auto& records = answer.records;
    // RFC 7505 section 3: a null MX stands alone. Beside others an empty host is a mistake.
    if (records.size() == 1 && records[0].host.empty()) {
        return refuse_for_good(destination, {5, 1, 10}, "domain " + domain + " accepts no mail",
                               556);
    }
    std::erase_if(records, [](const dns::MxRecord& mx) { return mx.host.empty(); });
    if (records.empty()) records.push_back({0, domain});  // RFC 5321 section 5.1: implicit MX
    order(records, random);
    drop_own(records, policy);
    if (records.empty()) {
        return refuse_for_good(destination, {5, 4, 6},
                               "mail for " + domain + " loops back to myself");
    }
    std::vector<std::string> hosts;
    for (auto& mx : records) {
        if (hosts.size() == hosts_max) break;
        if (std::find(hosts.begin(), hosts.end(), mx.host) != hosts.end()) continue;
        hosts.push_back(std::move(mx.host));
    }
    return hosts;
}

Plan<std::vector<Candidate>> plan_candidates(const Destination& destination,
                                             std::vector<dns::HostAddresses> hosts,
                                             const AddressPolicy& policy,
                                             std::uint32_t random) {
    const bool all_allowed = policy.private_addresses || destination.routed;
    const auto port = destination.port != 0 ? destination.port : policy.port;
    Dice dice(random);
    std::vector<Candidate> candidates;
    bool hidden = false;
    for (auto& host : hosts) {
        auto addresses = interleaved(host, dice);
        if (!all_allowed) hidden = std::erase_if(addresses, is_private) > 0 || hidden;
        if (addresses.size() > addresses_per_host_max) addresses.resize(addresses_per_host_max);
        for (auto& address : addresses) {
            if (candidates.size() == addresses_max) break;
            candidates.push_back({host.host, std::move(address), port, destination.protocol});
        }
    }
    if (!candidates.empty()) return candidates;
    return no_candidate(destination, hosts, hidden);
}

}  // namespace posthorse::deliver
