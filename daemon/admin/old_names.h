// The commands of other mail servers, for hands and scripts that know them: `mailq`, `sendmail`.
//
// Place     daemon/main.cc asks when the program was called by such a name (a symbolic link).
// Contract  Pure. What has an equal here becomes the arguments of `posthorse`; the rest is an
//           Error that says what to do. Nothing is taken for less than it asks: an option that
//           nobody knows is refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/types/result.h"

namespace posthorse::admin {

// nullopt: `program`, the path that it was called by, is no such name.
std::optional<Result<std::vector<std::string>>> by_old_name(std::string_view program,
                                                            const std::vector<std::string>& given);

}  // namespace posthorse::admin
