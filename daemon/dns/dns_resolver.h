// Questions to the DNS, asked without blocking: c-ares on an Asio loop.
//
// Place     Beside the stages: delivery asks for mail hosts, the pool for other nodes, verification
//           for what domains publish of their mail. No other file names c-ares. One for each shard.
// Contract  Asks for the name as it is: no search domains, no hosts file. An answer is what the
//           recursive server says; CNAMEs are followed by it. A truncated answer is asked for again
//           over TCP. Host names in answers hold letters, digits, '.', '-' and '_'; another is
//           replaced by "invalid", which cannot exist (RFC 2606 section 2).
// Owner     One shard; every call is made on its thread. Destroying it answers what is open with
//           LookupEnd::failed.
// Errors    LookupEnd. The constructor throws std::runtime_error on servers that are no addresses.
// Bounds    records_max of an answer are read. A server has `timeout` to answer, twice that the
//           second time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/dns/answer.h"
#include "daemon/runtime/shard.h"
#include "proto/types/function.h"
#include "proto/types/time.h"

namespace posthorse::dns {

class DnsResolver {
public:
    static constexpr std::size_t records_max = 100;

    struct Settings {
        std::vector<std::string> servers;  // "127.0.0.1", "127.0.0.1:5353", "[::1]:5353"; empty:
                                           // the system's
        Duration timeout = std::chrono::seconds{5};
        int tries = 2;
    };

    DnsResolver(runtime::Shard& shard, const Settings& settings);
    ~DnsResolver();
    DnsResolver(const DnsResolver&) = delete;
    DnsResolver& operator=(const DnsResolver&) = delete;

    // `done` is called once, perhaps before the call returns.
    void mx(const std::string& domain, UniqueFunction<void(MxAnswer)> done);
    // `name` is "_service._protocol.domain".
    void srv(const std::string& name, UniqueFunction<void(SrvAnswer)> done);
    // A and AAAA of each host, all at once; in the order of `hosts`.
    void addresses(std::vector<std::string> hosts,
                   UniqueFunction<void(std::vector<HostAddresses>)> done);

    // Of one family. An address is asked for as any other name is.
    void addresses_of(const std::string& host,
                      AddressFamily family,
                      UniqueFunction<void(AddressAnswer)> done);
    void txt(const std::string& name, UniqueFunction<void(TextAnswer)> done);
    // The names of an address; no_domain when `address` is none.
    void ptr(const std::string& address, UniqueFunction<void(HostAnswer)> done);

    // Answers what is open with LookupEnd::failed.
    void cancel();

private:
    class Channel;
    std::shared_ptr<Channel> channel_;
};

}  // namespace posthorse::dns
