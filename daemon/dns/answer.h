// What the DNS said of a name.
//
// Place     Given by dns_resolver.h, judged by the stages that asked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace posthorse::dns {

enum class LookupEnd : std::uint8_t {
    found,
    no_data,    // the name exists and has no record of the type
    no_domain,  // NXDOMAIN
    failed,     // SERVFAIL, timeouts, broken answers: ask again later
};

template <class Record>
struct Answer {
    LookupEnd end = LookupEnd::failed;
    std::vector<Record> records;
    std::uint32_t ttl_seconds = 0;  // the least of all records'
    std::string error;              // when failed: "timeout while contacting DNS servers"
};

struct MxRecord {
    std::uint16_t preference = 0;
    std::string host;  // lower case, no final dot; empty: the root, a null MX
    bool operator==(const MxRecord&) const = default;
};
using MxAnswer = Answer<MxRecord>;

// RFC 2782. The name that was asked for says which service.
struct SrvRecord {
    std::uint16_t priority = 0;  // the least is asked first
    std::uint16_t weight = 0;    // the share of the load among equals
    std::uint16_t port = 0;
    std::string host;  // as in MxRecord; empty: the service is decidedly not offered
    bool operator==(const SrvRecord&) const = default;
};
using SrvAnswer = Answer<SrvRecord>;
using AddressAnswer = Answer<std::string>;  // "192.0.2.1", "2001:db8::1"
using TextAnswer = Answer<std::string>;     // of TXT: a record's strings put together
using HostAnswer = Answer<std::string>;     // of PTR: as in MxRecord

enum class AddressFamily : std::uint8_t { v4, v6 };

// What the look-up of one host's A and AAAA records gave.
struct HostAddresses {
    std::string host;
    AddressAnswer v6;
    AddressAnswer v4;
};

}  // namespace posthorse::dns
