#include "daemon/auth/sender_policy.h"

#include <algorithm>

namespace posthorse::auth {
namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return out;
}

}  // namespace

SenderPolicy::SenderPolicy(std::string_view host_name,
                           const std::vector<std::string>& exempt_logins)
    : host_name_(lower(host_name)) {
    for (const auto& login : exempt_logins) exempt_logins_.insert(lower(login));
}

bool SenderPolicy::allows(std::string_view login, std::string_view address) const {
    if (address.empty()) return true;
    auto own = lower(login);
    if (exempt_logins_.contains(own)) return true;
    if (own.find('@') == std::string::npos) (own += '@') += host_name_;
    return lower(address) == own;
}

}  // namespace posthorse::auth
