#include "daemon/config/table.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace posthorse::config {
namespace {

constexpr std::string_view white_space = " \t\r";

}  // namespace

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(white_space);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(white_space) - first + 1);
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) { return lower(c); });
    return out;
}

void for_each_row(std::string_view text,
                  const std::string& file,
                  std::vector<Problem>& problems,
                  const std::function<void(const Row&)>& take) {
    for (std::uint32_t line = 1; !text.empty(); ++line) {
        const auto end = text.find('\n');
        auto content = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        content = trim(content.substr(0, content.find('#')));
        if (content.empty()) continue;
        const auto gap = content.find_first_of(white_space);
        const auto value = gap == std::string_view::npos ? "" : trim(content.substr(gap));
        if (value.empty()) {
            problems.push_back({file, line, "has no second column; the row is skipped", false});
        } else {
            take(Row{content.substr(0, gap), value, line});
        }
    }
}

std::optional<std::string> read_table(const std::string& file,
                                      std::string_view setting,
                                      std::vector<Problem>& problems) {
    std::ifstream opened(file, std::ios::binary);
    std::ostringstream text;
    if (opened && opened.peek() != std::ifstream::traits_type::eof()) text << opened.rdbuf();
    if (opened || opened.eof()) return text.str();
    problems.push_back(
        {file, 0, "cannot be read; mend " + std::string(setting) + " or the file's permissions",
         true});
    return std::nullopt;
}

}  // namespace posthorse::config
