// A conversation as text: tests/dialog/README.md says how it is written.
//
// Errors    A file that cannot be read or understood throws std::runtime_error with file and line.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace posthorse::test {

enum class StepKind { send, expect_line, expect_reply, reply_has, reply_lacks, tls, closed };

struct DialogStep {
    StepKind kind = StepKind::send;
    std::string text;  // what to send, unescaped; or the beginning of what is expected
    std::size_t line_number = 0;
};

struct Dialog {
    std::string name;
    std::string profile;
    std::vector<DialogStep> steps;
};

Dialog parse_dialog(std::string name, std::string_view text);
Dialog read_dialog(const std::filesystem::path& file);
// All .smtp files of a folder, by name.
std::vector<Dialog> read_dialogs(const std::filesystem::path& folder);

}  // namespace posthorse::test
