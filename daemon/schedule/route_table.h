// From a recipient's address to its destination: static routes first, else the domain's MX.
//
// Place     Between a claimed envelope and the per-destination queues of schedule_core.h. Made by
//           node.cc from the configuration, and made anew on reload; pure but for load().
// Contract  The exact domain wins, then the longest ".suffix" (every domain below it), then "."
//           (everything). Domains compare without case and without a final dot, and in the form
//           that the DNS knows.
//           A row that cannot be used is skipped with a Problem that names file and line; the rest
//           is used.
// Owner     A value; copies are independent.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/config/config.h"

namespace posthorse::schedule {

class RouteTable {
public:
    using Problems = std::vector<config::Problem>;

    // `next_hop` is "smtp:[host]:port" or "smtp:host" ("esmtp:" and "relay:" mean the same),
    // "lmtp:[host]:port" or "lmtp:unix:/path".
    // The first route for a domain wins. `file` and `line` go into problems.
    void add(const config::Route& route,
             const std::string& file,
             std::uint32_t line,
             Problems& problems);

    // Rows of sendmail's mailertable source: "domain<TAB>esmtp:[host]:port"; "#" begins a comment.
    void add_mailertable(std::string_view text, const std::string& file, Problems& problems);

    // The routes of a configuration: delivery.routes, then the file, when one is named.
    static RouteTable load(const config::Delivery& delivery, Problems& problems);

    // The destination (proto/types/destination.h) of "local@domain", "local@[192.0.2.1]". An
    // address without a usable domain gives "mx:", which delivery refuses for good.
    std::string destination_of(std::string_view address) const;

    std::size_t size() const noexcept { return routes_.size(); }

private:
    const std::string* find(const std::string& domain) const;

    std::unordered_map<std::string, std::string> routes_;  // domain or ".suffix" -> destination
};

}  // namespace posthorse::schedule
