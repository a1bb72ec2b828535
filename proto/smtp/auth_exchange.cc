#include "proto/smtp/auth_exchange.h"

#include <algorithm>

#include "proto/smtp/base64.h"
#include "proto/smtp/command.h"

namespace posthorse::smtp {

std::variant<AuthLine, Reply> read_auth_line(std::string_view line) {
    if (line == "*") return Reply{501, {5, 7, 0}, "Authentication cancelled"};
    auto octets = decode_base64(line);
    if (!octets) return Reply{501, {5, 5, 2}, "That is not base64"};
    return AuthLine{std::move(*octets)};
}

std::variant<AuthCommand, Reply> read_auth_command(std::string_view argument,
                                                   const std::vector<std::string>& offered) {
    const auto name = argument.substr(0, argument.find(' '));
    if (name.empty()) return Reply{501, {5, 5, 4}, "Syntax: AUTH mechanism [initial-response]"};
    const auto known = std::ranges::find_if(
        offered, [&](const auto& mechanism) { return equal_ignoring_case(name, mechanism); });
    if (known == offered.end()) return Reply{504, {5, 5, 4}, "Mechanism not supported"};
    if (name.size() == argument.size()) return AuthCommand{*known, std::nullopt};
    auto initial = argument.substr(name.size());
    initial.remove_prefix(std::min(initial.find_first_not_of(' '), initial.size()));
    if (initial == "=") return AuthCommand{*known, std::string()};
    auto line = read_auth_line(initial);
    if (const auto* refusal = std::get_if<Reply>(&line)) return *refusal;
    return AuthCommand{*known, std::move(std::get<AuthLine>(line).octets)};
}

}  // namespace posthorse::smtp
