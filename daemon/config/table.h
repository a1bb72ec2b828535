// Text tables of two columns, as sendmail's and OpenDKIM's maps are written.
//
// Contract  Pure but for read_table(). A row is a key, white space, and the rest of the line; `#`
//           begins a comment; empty lines are none. A row without a second column is skipped with a
//           Problem that names file and line.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.h"

namespace posthorse::config {

struct Row {
    std::string_view key;
    std::string_view value;
    std::uint32_t line = 0;
};

void for_each_row(std::string_view text,
                  const std::string& file,
                  std::vector<Problem>& problems,
                  const std::function<void(const Row&)>& take);
// The whole file. nullopt: a fatal problem says that `setting` names what cannot be read.
std::optional<std::string> read_table(const std::string& file,
                                      std::string_view setting,
                                      std::vector<Problem>& problems);

// Without blanks at both ends.
std::string_view trim(std::string_view text);
// ASCII letters alone.
char lower(char c);
std::string lower(std::string_view text);

}  // namespace posthorse::config
