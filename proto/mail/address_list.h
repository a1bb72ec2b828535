// The addresses in a From, To or Sender value (RFC 5322 section 3.4), without their display names.
//
// Contract  Tolerant: comments, quoted names, groups and the obsolete routes are understood; what
//           remains is the addr-spec as it stands, without white space outside quotes. An entry
//           without '@' is left out. One pass, constant depth whatever the nesting.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace posthorse::mail {

std::vector<std::string> addresses_of(std::string_view value);
// The same value with other addresses: display names, comments and folds stay as they are.
std::string with_addresses(std::string_view value,
                           const std::function<std::string(const std::string& address)>& other);

}  // namespace posthorse::mail
