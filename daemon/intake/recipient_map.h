// Whom the MX takes mail for, recipient by recipient: sendmail's access map, its rows for To.
//
// Place     Read by materials.h, anew at each reload; asked by admission.h at RCPT.
// Contract  A value. Rows are `To:KEY ACTION`; KEY is `user@domain`, `domain` (and all below it) or
//           `user@` (in every domain), without regard to case. The most telling row decides, in
//           this order. ACTION is RELAY or OK, REJECT, or the reply itself: `550 5.1.1 text`,
//           `ERROR:5.1.1:550 text`, `ERROR:"450 text"`.
//           A row that cannot be used is skipped with a Problem that names file and line.
// Owner     Constant once made; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/config/config.h"
#include "proto/types/reply.h"

namespace posthorse::intake {

class RecipientMap {
public:
    using Problems = std::vector<config::Problem>;

    static RecipientMap parse(std::string_view text, const std::string& file, Problems& problems);
    // nullopt: the file cannot be read, and a problem says so.
    static std::optional<RecipientMap> load(const std::string& file, Problems& problems);

    // What to answer for "user@domain"; nullopt: no row speaks of it.
    std::optional<Reply> judge(std::string_view address) const;
    std::size_t size() const noexcept { return rows_.size(); }

private:
    const Reply* find(const std::string& key) const;

    std::unordered_map<std::string, Reply> rows_;
};

}  // namespace posthorse::intake
