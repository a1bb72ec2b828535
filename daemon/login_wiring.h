// Who may log in, and send as whom: the backend that the configuration chooses, and its tables.
//
// Place     Wiring, part of materials.h: joins daemon/auth to the configuration.
// Contract  reload() reads the tables anew and answers what is wrong with them. What cannot be read
//           at all leaves the table of before in force.
// Owner     Materials; reload() on home. What it lends is for any thread.
#pragma once

#include <memory>
#include <vector>

#include "daemon/auth/authenticator.h"
#include "daemon/auth/pam_authenticator.h"
#include "daemon/auth/sender_policy.h"
#include "daemon/config/config.h"
#include "daemon/runtime/reloadable.h"

namespace posthorse {

class LoginWiring {
public:
    explicit LoginWiring(const config::Config& config);

    auth::Authenticator& authenticator();
    runtime::Reloadable<const auth::SenderPolicy>& sender_policy() { return sender_policy_; }
    std::vector<config::Problem> reload();

private:
    const config::Config& config_;
    auth::PasswordAuthenticator passwords_;
    std::unique_ptr<auth::PamAuthenticator> pam_;  // instead of them
    runtime::Reloadable<const auth::SenderPolicy> sender_policy_;
};

}  // namespace posthorse
