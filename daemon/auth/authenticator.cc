#include "daemon/auth/authenticator.h"

#include <string.h>

#include "daemon/auth/password_hash.h"
#include "daemon/auth/sasl.h"

namespace posthorse::auth {
namespace {

// One check on its way through the threads. The completion survives a refusal by the queue, whose
// job is lost then.
struct Check {
    LoginAttempt attempt;
    Executor& where;
    Completion<bool> done;

    ~Check() { explicit_bzero(attempt.password.data(), attempt.password.size()); }
};

bool matches(const PasswordTable& table, const LoginAttempt& attempt) {
    const auto login = normalise_login(attempt.login);
    const auto row = login ? table.hashes.find(*login) : table.hashes.end();
    if (row == table.hashes.end()) {
        verify_nothing(attempt.password);
        return false;
    }
    return verify_password(attempt.password, row->second);
}

void answer(Check& check, Result<bool> result) {
    check.where.post([done = std::move(check.done), result = std::move(result)]() mutable {
        done(std::move(result));
    });
}

}  // namespace

PasswordAuthenticator::PasswordAuthenticator(Bounds bounds)
    : table_(std::make_shared<const PasswordTable>()),
      workers_(bounds.threads, bounds.waiting_max, "password") {}

std::vector<config::Problem> PasswordAuthenticator::load(const std::string& path) {
    auto loaded = load_passwords(path);
    if (!loaded) return {{path, 0, loaded.error().what + "; the passwords of before stay", false}};
    auto problems = loaded->problems;
    table_ = std::make_shared<const PasswordTable>(std::move(*loaded));
    return problems;
}

void PasswordAuthenticator::check(LoginAttempt attempt, Executor& where, Completion<bool> done) {
    const std::shared_ptr<Check> check(new Check{std::move(attempt), where, std::move(done)});
    const bool taken = workers_.submit(
        [check, table = table_.load()] { answer(*check, matches(*table, check->attempt)); });
    if (!taken) {
        answer(*check,
               Error{Errc::unavailable, "too many logins wait to be checked; try again later"});
    }
}

bool PasswordAuthenticator::knows_scram() const {
    return !table_.load()->scram_keys.empty();
}

// The made-up keys are always made: a login that is there costs no less.
ScramKeys PasswordAuthenticator::scram_keys(std::string_view login) const {
    const auto table = table_.load();
    const auto name = normalise_login(login);
    auto made_up = made_up_keys(table->scram_secret, name ? *name : login);
    const auto row = name ? table->scram_keys.find(*name) : table->scram_keys.end();
    return row == table->scram_keys.end() ? made_up : row->second;
}

std::size_t PasswordAuthenticator::login_count() const {
    return table_.load()->hashes.size();
}

}  // namespace posthorse::auth
