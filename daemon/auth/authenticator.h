// Whether a login and a password belong together.
//
// Place     Asked by daemon/intake/login.h.
// Contract  check() never blocks and completes exactly once, on `where`. Right or wrong is a value;
//           an unknown login takes as long as a wrong password.
// Errors    unavailable: more checks wait than the bound allows; the client may try later
//           (454 4.7.0).
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "daemon/auth/password_file.h"
#include "daemon/auth/scram_keys.h"
#include "daemon/config/config.h"
#include "daemon/runtime/workers.h"
#include "proto/types/executor.h"
#include "proto/types/result.h"

namespace posthorse::auth {

struct LoginAttempt {
    std::string login;
    std::string password;
    std::string client;  // its address
};

class Authenticator {
public:
    virtual ~Authenticator() = default;
    // Any thread. `where` must outlive the authenticator.
    virtual void check(LoginAttempt attempt, Executor& where, Completion<bool> done) = 0;

    // Whether SCRAM is worth offering. Any thread.
    virtual bool knows_scram() const { return false; }
    // Those of an unknown login are made up. Any thread.
    virtual ScramKeys scram_keys(std::string_view login) const = 0;
};

// Checks against a password file that is kept in memory.
//
// Owner     node.cc. The destructor finishes the checks that were taken.
// Bounds    By default two hashes at once (16 MB each), 512 waiting.
class PasswordAuthenticator final : public Authenticator {
public:
    struct Bounds {
        unsigned threads = 2;
        std::size_t waiting_max = 512;
    };
    explicit PasswordAuthenticator(Bounds bounds);
    PasswordAuthenticator() : PasswordAuthenticator(Bounds{}) {}

    // Reads the file anew and answers what is wrong with it. When it cannot be read at all the
    // passwords of before stay. Any thread, one call at a time.
    std::vector<config::Problem> load(const std::string& path);

    void check(LoginAttempt attempt, Executor& where, Completion<bool> done) override;
    bool knows_scram() const override;
    ScramKeys scram_keys(std::string_view login) const override;

    std::size_t login_count() const;

private:
    std::atomic<std::shared_ptr<const PasswordTable>> table_;
    runtime::Workers workers_;
};

}  // namespace posthorse::auth
