// From pool.join to the addresses where nodes may be.
//
// Place     Made by node.cc; asked before a pool begins, and while peers are missing.
// Contract  A look asks the DNS for every name, all at once. A host gives its A and AAAA records, a
//           service its SRV records and then the addresses of their hosts; priority and weight do
//           not matter, since every node is wanted. This node's own address may be among them.
//           One look runs at a time: a call meanwhile gets the same answer.
// Owner     The home shard; every call is made on its thread. `done` is called once, on home, never
//           before look() returns. Destroying it ends a look with an answer that is not complete.
// Errors    A name that does not exist or has no addresses is an answer: none are there. A name
//           that could not be looked up, in either family, makes the answer incomplete: nodes may
//           be there. The constructor throws std::runtime_error on DNS servers that are no
//           addresses.
// Bounds    addresses_max; an answer that would have more is cut and not complete. The time is the
//           resolver's for a name, twice for a service.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "daemon/config/join_entry.h"
#include "daemon/dns/dns_resolver.h"
#include "daemon/runtime/shard.h"
#include "proto/types/function.h"

namespace posthorse::pool {

struct Discovered {
    std::vector<std::string> addresses;  // "192.0.2.1:9626", "[2001:db8::1]:9626"; sorted, unique
    bool complete = true;
    std::string trouble;  // when not complete, for people: what failed first, and why
};

class Discovery {
public:
    static constexpr std::size_t addresses_max = 256;

    // `join` as validated; `default_port` is of the entries that name none.
    Discovery(runtime::Shard& home,
              const dns::DnsResolver::Settings& dns,
              const std::vector<std::string>& join,
              std::uint16_t default_port);
    ~Discovery() = default;
    Discovery(const Discovery&) = delete;
    Discovery& operator=(const Discovery&) = delete;

    void look(UniqueFunction<void(Discovered)> done);

private:
    void ask(const config::JoinEntry& entry);
    void ask_service(const std::string& name);
    void ask_host(const std::string& host, std::uint16_t port);
    void take(const std::string& name, const dns::AddressAnswer& answer, std::uint16_t port);
    void add(const std::string& address, std::uint16_t port);
    void fail(std::string trouble);
    void one_answered();

    runtime::Shard& home_;
    std::vector<config::JoinEntry> entries_;
    // Of the look under way.
    std::vector<UniqueFunction<void(Discovered)>> waiting_;
    std::set<std::string> found_;
    std::string trouble_;
    std::size_t open_ = 0;
    dns::DnsResolver dns_;  // goes first: it answers what is open
};

}  // namespace posthorse::pool
