#include "daemon/auth/authenticator.h"

#include <string.h>

#include "daemon/auth/password_hash.h"

namespace posthorse::auth {
namespace {

// One check on its way through the threads. The completion survives a refusal by the queue, whose
// job is lost then.
struct Check {
    std::string login;
    std::string password;
    Executor& where;
    Completion<bool> done;

    ~Check() { explicit_bzero(password.data(), password.size()); }
};

bool matches(const PasswordTable& table, const Check& check) {
    const auto login = normalise_login(check.login);
    const auto row = login ? table.hashes.find(*login) : table.hashes.end();
    if (row == table.hashes.end()) {
        verify_nothing(check.password);
        return false;
    }
    return verify_password(check.password, row->second);
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

void PasswordAuthenticator::check(std::string login,
                                  std::string password,
                                  Executor& where,
                                  Completion<bool> done) {
    const std::shared_ptr<Check> check(
        new Check{std::move(login), std::move(password), where, std::move(done)});
    const bool taken = workers_.submit(
        [check, table = table_.load()] { answer(*check, matches(*table, *check)); });
    if (!taken) {
        answer(*check,
               Error{Errc::unavailable, "too many logins wait to be checked; try again later"});
    }
}

std::size_t PasswordAuthenticator::login_count() const {
    return table_.load()->hashes.size();
}

}  // namespace posthorse::auth
