#include "daemon/auth/authenticator.h"

#include <doctest/doctest.h>

#include <fstream>

#include "daemon/auth/password_hash.h"
#include "tests/unit/daemon/auth/manual_executor.h"
#include "tests/unit/daemon/auth/scratch.h"

using namespace posthorse;
using namespace posthorse::auth;

namespace {

Result<bool> check(PasswordAuthenticator& authenticator, std::string login, std::string password) {
    ManualExecutor executor;
    Result<bool> answer = Error{Errc::unknown, "not answered"};
    authenticator.check({std::move(login), std::move(password), "192.0.2.1"}, executor,
                        [&](Result<bool> result) { answer = std::move(result); });
    executor.run_one();
    return answer;
}

}  // namespace

TEST_CASE("logins and passwords that belong together pass, others do not") {
    const Scratch scratch;
    const auto path = scratch.file("passwords");
    REQUIRE(add_login(path, "Ann@example.org", {*hash_password("secret")}).has_value());
    PasswordAuthenticator authenticator;
    CHECK(authenticator.load(path).empty());
    CHECK(authenticator.login_count() == 1);
    CHECK(*check(authenticator, "ann@example.org", "secret"));
    CHECK(*check(authenticator, "ANN@EXAMPLE.ORG", "secret"));
    CHECK_FALSE(*check(authenticator, "ann@example.org", "Secret"));
    CHECK_FALSE(*check(authenticator, "ann@example.org", ""));
    CHECK_FALSE(*check(authenticator, "ann@example.org", std::string("secret\0", 7)));
    CHECK_FALSE(*check(authenticator, "ann@example.org", std::string(600, 's')));
    CHECK_FALSE(*check(authenticator, "bob@example.org", "secret"));
    CHECK_FALSE(*check(authenticator, "", "secret"));
    CHECK_FALSE(*check(authenticator, std::string("ann\0@example.org", 16), "secret"));
}

TEST_CASE("without a file nobody passes, and a file that goes away changes nothing") {
    const Scratch scratch;
    const auto path = scratch.file("passwords");
    PasswordAuthenticator authenticator;
    REQUIRE(authenticator.load(path).size() == 1);
    CHECK_FALSE(*check(authenticator, "ann", "secret"));
    REQUIRE(add_login(path, "ann", {*hash_password("secret")}).has_value());
    CHECK(authenticator.load(path).empty());
    REQUIRE(std::filesystem::remove(path));
    const auto problems = authenticator.load(path);
    REQUIRE(problems.size() == 1);
    CHECK_FALSE(problems[0].fatal);
    CHECK(*check(authenticator, "ann", "secret"));
}

TEST_CASE("a load takes effect for the checks after it") {
    const Scratch scratch;
    const auto path = scratch.file("passwords");
    REQUIRE(add_login(path, "ann", {*hash_password("one")}).has_value());
    PasswordAuthenticator authenticator;
    authenticator.load(path);
    REQUIRE(change_login(path, "ann", {*hash_password("two")}).has_value());
    CHECK(*check(authenticator, "ann", "one"));
    authenticator.load(path);
    CHECK_FALSE(*check(authenticator, "ann", "one"));
    CHECK(*check(authenticator, "ann", "two"));
}

TEST_CASE("beyond its bound it refuses at once, and answers each check exactly once") {
    PasswordAuthenticator authenticator({.threads = 1, .waiting_max = 4});
    ManualExecutor executor;
    constexpr int checks = 20;  // made in less time than the first hash takes
    int answered = 0;
    int refused = 0;
    for (int i = 0; i < checks; ++i) {
        authenticator.check({"nobody", "guess", "192.0.2.1"}, executor, [&](Result<bool> result) {
            ++answered;
            if (result) return;
            CHECK(result.error().code == Errc::unavailable);
            ++refused;
        });
    }
    for (int i = 0; i < checks; ++i) executor.run_one();
    CHECK(answered == checks);
    CHECK(refused > 0);
    CHECK(refused <= checks - 4);
}
