// What the commands about set-aside copies print for people, as text. Pure.
//
// Contract  As cli_text.h.
#pragma once

#include <array>
#include <string>

#include "posthorse/v1/admin.pb.h"
#include "proto/types/time.h"

namespace posthorse::admin {

// One heading a directory, one line a message and more for its further recipients.
class AsideTable {
public:
    explicit AsideTable(WallTime now) : now_(now) {}

    std::string row(const v1::SetAsideMessage& message);
    // Counts what row() was given.
    std::string footer() const;

private:
    std::string heading(const v1::SetAsideMessage& message);

    WallTime now_;
    std::string directory_;
    std::uint64_t messages_ = 0;
    std::uint64_t bytes_ = 0;
    std::array<std::uint64_t, v1::PoolPresence_ARRAYSIZE> by_presence_{};
};

std::string aside_result_text(v1::SetAsideAction action, const v1::SetAsideResult& result);

}  // namespace posthorse::admin
