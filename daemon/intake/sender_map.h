// Other names for those who send: sendmail's generics table, and masquerading.
//
// Place     Made by materials.h, anew at each reload; used by acceptance.h for submissions, on the
//           envelope sender and on the fields that name senders, before the message is signed.
// Contract  A value. Rows of the table are `user@domain new@address`, or `user new@address` for
//           users of this host; they come first, and what they give is not rewritten again. Then
//           `user@host.domain` becomes `user@domain` when `domain` is masqueraded: the first of the
//           list that fits decides, and one with `!` in front stops the search.
//           Without regard to case. The null sender stays.
// Owner     Constant once made; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/config/config.h"

namespace posthorse::intake {

class SenderMap {
public:
    using Problems = std::vector<config::Problem>;

    SenderMap(std::string host_name, std::vector<std::string> masquerade_domains);
    void add_table(std::string_view text, const std::string& file, Problems& problems);
    // nullopt: the table cannot be read, and a problem says so.
    static std::optional<SenderMap> load(const config::Config& config, Problems& problems);

    bool changes_nothing() const { return rows_.empty() && masqueraded_.empty(); }
    std::string address(const std::string& address) const;
    // A header section with the senders' fields rewritten; all else byte for byte.
    std::string header(std::string_view section) const;

private:
    const std::string* find(const std::string& address) const;

    std::string host_name_;
    std::vector<std::string> masqueraded_;
    std::unordered_map<std::string, std::string> rows_;
};

}  // namespace posthorse::intake
