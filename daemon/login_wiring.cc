#include "daemon/login_wiring.h"

#include <algorithm>
#include <utility>

namespace posthorse {

LoginWiring::LoginWiring(const config::Config& config) : config_(config) {
    if (config_.auth.backend != "pam") return;
    pam_ = std::make_unique<auth::PamAuthenticator>(auth::PamAuthenticator::Settings{
        .service = config_.auth.pam_service, .threads = config_.auth.pam_threads});
}

auth::Authenticator& LoginWiring::authenticator() {
    if (pam_) return *pam_;
    return passwords_;
}

std::vector<config::Problem> LoginWiring::reload() {
    std::vector<config::Problem> problems;
    if (!pam_ && !config_.auth.password_file.empty())
        problems = passwords_.load(config_.auth.password_file);
    auto map = auth::load_allowed_senders(config_.auth.senders_file);
    problems.insert(problems.end(), map.problems.begin(), map.problems.end());
    const bool unreadable =
        std::ranges::any_of(map.problems, [](const auto& problem) { return problem.fatal; });
    if (!unreadable || !sender_policy_.get()) {
        sender_policy_.set(std::make_shared<const auth::SenderPolicy>(
            config_.host_name, config_.auth.exempt_logins, std::move(map)));
    }
    return problems;
}

}  // namespace posthorse
