// A question to the DNS as a value, so that what is to be asked can be decided without asking.
//
// Place     Between the pure parts, which name questions and judge answers, and verification.h,
//           which asks.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>

#include "daemon/dns/answer.h"

namespace posthorse::verify {

enum class RecordKind : std::uint8_t { txt, a, aaaa, mx, ptr };

struct DnsQuestion {
    RecordKind kind = RecordKind::txt;
    std::string name;  // of ptr: the address
    auto operator<=>(const DnsQuestion&) const = default;
};

// Texts, addresses or host names.
using DnsAnswer = dns::Answer<std::string>;
using DnsAnswers = std::map<DnsQuestion, DnsAnswer>;

}  // namespace posthorse::verify
