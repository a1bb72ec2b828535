// What settings say about each other, and values whose form only a look at the text can judge.
//
// Contract  Pure: no file, no name and no network is looked up.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.h"

namespace posthorse::config {

// admin.ca_file is that of the pool: why not.
inline constexpr std::string_view one_authority_why =
    "is the pool's authority (pool.ca_file): an operator's certificate of it would make its bearer "
    "a node of the pool, to whom peers hand all mail; make a second authority for operators";

struct Fault {
    std::string key;   // "listener.0.address", as Setting::key
    std::string what;  // with the mend
};
std::vector<Fault> validate(const Config& config);

// What is wrong with pool.zone, with the mend; an empty one is none.
std::optional<std::string> zone_fault(const std::string& zone);

// "/posthorse/pool": what the names of a pool's keys in etcd begin with.
bool is_etcd_prefix(std::string_view text);
// "192.0.2.1", "2001:db8::1", also in brackets.
bool is_ip_address(const std::string& text);
// "10.0.0.0/8", "2001:db8::/32", or an address alone.
bool is_network(const std::string& text);
// Letters, digits, hyphens and dots as RFC 1035 has them; at most 253 characters.
bool is_domain(std::string_view text);

}  // namespace posthorse::config
