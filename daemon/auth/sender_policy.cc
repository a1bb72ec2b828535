#include "daemon/auth/sender_policy.h"

#include "daemon/config/table.h"
#include "daemon/runtime/read_file.h"

namespace posthorse::auth {
namespace {

using config::lower;
using config::trim;

std::string_view take_until(char end, std::string_view& text) {
    const auto at = text.find(end);
    const auto part = text.substr(0, at);
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
    return part;
}

bool is_sender(std::string_view text) {
    const auto at = text.rfind('@');
    return at != std::string_view::npos && at + 1 < text.size() &&
           text.find_first_of(" \t<>") == std::string_view::npos;
}

std::string domain_part(std::string_view address) {
    const auto at = address.rfind('@');
    return at == std::string_view::npos ? std::string() : std::string(address.substr(at));
}

// One line of the map: what is wrong with it, if anything.
std::string read_row(std::string_view row, AllowedSenders& map) {
    if (row.find(':') == std::string_view::npos)
        return "is not \"login: address, @domain\"; write a colon behind the login";
    const auto login = lower(trim(take_until(':', row)));
    if (login.empty()) return "has no login before the colon";
    auto& senders = map.senders[login];
    while (!row.empty()) {
        const auto sender = trim(take_until(',', row));
        if (sender.empty()) continue;
        if (!is_sender(sender))
            return "'" + std::string(sender) +
                   "' is no address and no \"@domain\"; what stands before it is used";
        senders.insert(lower(sender));
    }
    return {};
}

}  // namespace

AllowedSenders parse_allowed_senders(std::string_view text, const std::string& file_name) {
    AllowedSenders map;
    for (std::uint32_t number = 1; !text.empty(); ++number) {
        const auto row = trim(take_until('\n', text));
        if (row.empty() || row.starts_with('#')) continue;
        if (auto wrong = read_row(row, map); !wrong.empty())
            map.problems.push_back({file_name, number, std::move(wrong), false});
    }
    return map;
}

AllowedSenders load_allowed_senders(const std::string& path) {
    if (path.empty()) return {};
    const auto text = runtime::read_file(path);
    if (text) return parse_allowed_senders(*text, path);
    AllowedSenders none;
    none.problems.push_back(
        {path, 0, "cannot be read (" + text.error().what + "); the senders of before stay", true});
    return none;
}

SenderPolicy::SenderPolicy(std::string_view host_name,
                           const std::vector<std::string>& exempt_logins,
                           AllowedSenders map)
    : host_name_(lower(host_name)), map_(std::move(map)) {
    for (const auto& login : exempt_logins) exempt_logins_.insert(lower(login));
}

bool SenderPolicy::is_exempt(std::string_view login) const {
    return exempt_logins_.contains(lower(login));
}

bool SenderPolicy::allows(std::string_view login, std::string_view address) const {
    if (address.empty()) return true;
    auto own = lower(login);
    if (exempt_logins_.contains(own)) return true;
    const auto wanted = lower(address);
    if (const auto row = map_.senders.find(own); row != map_.senders.end()) {
        if (row->second.contains(wanted) || row->second.contains(domain_part(wanted))) return true;
    }
    if (own.find('@') == std::string::npos) (own += '@') += host_name_;
    return wanted == own;
}

}  // namespace posthorse::auth
