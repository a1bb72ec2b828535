// Whether PAM lets a login in.
//
// Place     With its source the only file that names libpam. Chosen by auth.backend = "pam".
// Contract  As Authenticator. Each question is a PAM transaction of its own, on a thread of its own
//           pool: modules may block for seconds (pam_exec that asks a directory). Its steps are
//           `auth` and `account`; PAM_RHOST is the client's address; the delays that modules want
//           after a failure are left out, for intake has its own.
//           PAM shows no verifier: SCRAM is not to be had.
// Owner     node.cc. The destructor waits for questions that are under way; those that wait still
//           are answered `unavailable`.
// Errors    unavailable: too many wait, or PAM cannot tell (the directory does not answer, a module
//           is missing).
// Bounds    `threads` at once, `waiting_max` more.
#pragma once

#include <atomic>
#include <string>

#include "daemon/auth/authenticator.h"
#include "daemon/runtime/workers.h"

namespace posthorse::auth {

class PamAuthenticator final : public Authenticator {
public:
    struct Settings {
        std::string service;
        std::string directory;  // of the service's file; empty: the system's
        unsigned threads = 32;
        std::size_t waiting_max = 512;
    };
    explicit PamAuthenticator(Settings settings);
    ~PamAuthenticator() override;

    void check(LoginAttempt attempt, Executor& where, Completion<bool> done) override;
    ScramKeys scram_keys(std::string_view login) const override;

private:
    const Settings settings_;
    std::atomic<bool> stopping_ = false;
    runtime::Workers workers_;  // last: it is joined first
};

}  // namespace posthorse::auth
