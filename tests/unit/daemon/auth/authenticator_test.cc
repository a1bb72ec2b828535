#include "daemon/auth/authenticator.h"

#include <doctest/doctest.h>

#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>

#include "daemon/auth/password_hash.h"
#include "tests/unit/daemon/auth/scratch.h"

using namespace posthorse;
using namespace posthorse::auth;

namespace {

// An event loop that the test turns by hand.
class ManualExecutor final : public Executor {
public:
    void post(UniqueFunction<void()> work) override {
        {
            const std::lock_guard lock(mutex_);
            work_.push_back(std::move(work));
        }
        posted_.notify_one();
    }
    // Waits for the next piece of work and runs it here.
    void run_one() {
        UniqueFunction<void()> work;
        {
            std::unique_lock lock(mutex_);
            posted_.wait(lock, [this] { return !work_.empty(); });
            work = std::move(work_.front());
            work_.pop_front();
        }
        work();
    }

private:
    std::mutex mutex_;
    std::condition_variable posted_;
    std::deque<UniqueFunction<void()>> work_;
};

Result<bool> check(PasswordAuthenticator& authenticator, std::string login, std::string password) {
    ManualExecutor executor;
    Result<bool> answer = Error{Errc::unknown, "not answered"};
    authenticator.check(std::move(login), std::move(password), executor,
                        [&](Result<bool> result) { answer = std::move(result); });
    executor.run_one();
    return answer;
}

}  // namespace

TEST_CASE("logins and passwords that belong together pass, others do not") {
    const Scratch scratch;
    const auto path = scratch.file("passwords");
    REQUIRE(add_login(path, "Ann@example.org", *hash_password("secret")).has_value());
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
    REQUIRE(add_login(path, "ann", *hash_password("secret")).has_value());
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
    REQUIRE(add_login(path, "ann", *hash_password("one")).has_value());
    PasswordAuthenticator authenticator;
    authenticator.load(path);
    REQUIRE(change_hash(path, "ann", *hash_password("two")).has_value());
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
        authenticator.check("nobody", "guess", executor, [&](Result<bool> result) {
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
