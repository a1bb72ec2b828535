// Whether a login may send as an address (RFC 6409 section 6.1).
//
// Contract  Pure. A login sends as itself when it is an address, else as login@host_name, and as
//           what the map of senders gives it; letters of either case are the same. Exempt logins
//           send as anyone. The null sender is nobody's and free for all: it is how receipts are
//           sent (RFC 8098 section 3).
//           The map is lines of "login: address, address, @domain": a domain stands for all of its
//           addresses, not for domains below it. A login may have several lines.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.h"

namespace posthorse::auth {

struct AllowedSenders {
    std::map<std::string, std::set<std::string>, std::less<>> senders;  // lower case
    std::vector<config::Problem> problems;                              // what was skipped
};
AllowedSenders parse_allowed_senders(std::string_view text, const std::string& file_name);

class SenderPolicy {
public:
    SenderPolicy(std::string_view host_name,
                 const std::vector<std::string>& exempt_logins,
                 AllowedSenders map = {});

    // `address` without angle brackets.
    bool allows(std::string_view login, std::string_view address) const;
    bool is_exempt(std::string_view login) const;

private:
    std::string host_name_;
    std::set<std::string, std::less<>> exempt_logins_;
    AllowedSenders map_;
};

// Reads `path`; empty: no map. A file that cannot be read is a fatal problem.
AllowedSenders load_allowed_senders(const std::string& path);

}  // namespace posthorse::auth
