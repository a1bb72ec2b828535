// Domain names beyond ASCII, as the DNS knows them (RFC 5890): "mäil.example" is
// "xn--mil-qla.example".
//
// Place     The only file with libidn2. Asked where mail is routed, admitted and signed: envelopes
//           keep what the client said.
// Contract  Pure. IDNA 2008 with the mapping of UTS 46, nontransitional; whoever wrote the name in
//           capitals or in another normal form means the same. ASCII comes back as it is.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace posthorse::runtime {

// nullopt: no domain name at all.
std::optional<std::string> to_a_labels(std::string_view domain);

// The address with such a domain; as it is when it has none that the DNS could know.
std::string with_a_labels(std::string_view address);

}  // namespace posthorse::runtime
