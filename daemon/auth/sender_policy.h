// Whether a login may send as an address (RFC 6409 section 6.1).
//
// Contract  Pure. A login sends as itself when it is an address, else as login@host_name; letters
//           of either case are the same. Exempt logins send as anyone. The null sender is nobody's
//           and free for all: it is how receipts are sent (RFC 8098 section 3).
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace posthorse::auth {

class SenderPolicy {
public:
    SenderPolicy(std::string_view host_name, const std::vector<std::string>& exempt_logins);

    // `address` without angle brackets.
    bool allows(std::string_view login, std::string_view address) const;

private:
    std::string host_name_;
    std::set<std::string, std::less<>> exempt_logins_;
};

}  // namespace posthorse::auth
