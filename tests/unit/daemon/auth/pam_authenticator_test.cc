// The system's libpam and its modules, on service files of the test.
#include "daemon/auth/pam_authenticator.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "tests/unit/daemon/auth/manual_executor.h"
#include "tests/unit/daemon/auth/scratch.h"

using namespace posthorse;
using namespace posthorse::auth;

namespace {

class Services {
public:
    void write(const std::string& service, const std::string& rules) {
        std::ofstream(scratch_.file(service)) << rules;
    }
    // A program that pam_exec hands the password; its exit code is the answer.
    std::string program(const std::string& name, const std::string& text) {
        const auto path = scratch_.file(name);
        std::ofstream(path) << "#!/bin/sh\n" << text;
        REQUIRE(chmod(path.c_str(), 0755) == 0);
        return path;
    }
    std::string file(const std::string& name) const { return scratch_.file(name); }
    PamAuthenticator::Settings settings(const std::string& service) const {
        return {.service = service, .directory = scratch_.file(""), .threads = 2};
    }

private:
    Scratch scratch_;
};

Result<bool> check(Authenticator& authenticator, LoginAttempt attempt) {
    ManualExecutor executor;
    Result<bool> answer = Error{Errc::unknown, "not answered"};
    authenticator.check(std::move(attempt), executor,
                        [&](Result<bool> result) { answer = std::move(result); });
    executor.run_one();
    return answer;
}

std::string read_all(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("pam_permit lets in, pam_deny does not, for auth and for account") {
    Services services;
    services.write("yes", "auth required pam_permit.so\naccount required pam_permit.so\n");
    services.write("no", "auth required pam_deny.so\naccount required pam_permit.so\n");
    services.write("closed", "auth required pam_permit.so\naccount required pam_deny.so\n");
    PamAuthenticator yes(services.settings("yes"));
    PamAuthenticator no(services.settings("no"));
    PamAuthenticator closed(services.settings("closed"));
    CHECK(*check(yes, {"ann", "secret", "192.0.2.1"}));
    CHECK_FALSE(*check(no, {"ann", "secret", "192.0.2.1"}));
    CHECK_FALSE(*check(closed, {"ann", "secret", "192.0.2.1"}));
    CHECK_FALSE(*check(yes, {"", "secret", "192.0.2.1"}));
    CHECK_FALSE(*check(yes, {"ann", "", "192.0.2.1"}));
    CHECK_FALSE(*check(yes, {"ann\n", "secret", "192.0.2.1"}));
    CHECK_FALSE(*check(yes, {"ann", std::string("a\0b", 3), "192.0.2.1"}));
}

TEST_CASE("pam_exec gets the login, the password and the client's address") {
    Services services;
    const auto seen = services.file("seen");
    const auto script =
        services.program("ask", "read -r password\necho \"$PAM_USER $PAM_RHOST $password\" > " +
                                    seen + "\n[ \"$password\" = secret ]\n");
    services.write("exec", "auth required pam_exec.so quiet expose_authtok " + script +
                               "\naccount required pam_permit.so\n");
    PamAuthenticator authenticator(services.settings("exec"));
    CHECK(*check(authenticator, {"Ann@example.org", "secret", "192.0.2.1"}));
    CHECK(read_all(seen) == "ann@example.org 192.0.2.1 secret\n");
    CHECK_FALSE(*check(authenticator, {"ann@example.org", "guess", "192.0.2.1"}));
}

TEST_CASE("what PAM cannot tell is unavailable, not a refusal") {
    Services services;
    services.write("broken", "auth required pam_of_nobody.so\naccount required pam_permit.so\n");
    PamAuthenticator missing_module(services.settings("broken"));
    const auto answer = check(missing_module, {"ann", "secret", "192.0.2.1"});
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.error().code == Errc::unavailable);
    CHECK(answer.error().what.find("'broken'") != std::string::npos);
    CHECK_FALSE(missing_module.knows_scram());
}

TEST_CASE("modules that block hold up nobody: beyond the bound it refuses at once") {
    Services services;
    const auto gate = services.file("gate");
    const auto script =
        services.program("wait", "while [ ! -e " + gate + " ]; do sleep 0.02; done\n");
    services.write(
        "slow", "auth required pam_exec.so quiet " + script + "\naccount required pam_permit.so\n");
    auto settings = services.settings("slow");
    settings.threads = 1;
    settings.waiting_max = 1;
    PamAuthenticator authenticator(settings);
    ManualExecutor executor;
    int let_in = 0;
    int refused = 0;
    const auto count = [&](Result<bool> result) { ++(result ? let_in : refused); };
    constexpr int logins = 8;
    for (int i = 0; i < logins; ++i) authenticator.check({"ann", "secret", ""}, executor, count);
    // One is under way and one waits, or the first has not begun yet.
    for (int i = 0; i < logins - 2; ++i) executor.run_one();
    CHECK(refused == logins - 2);
    std::ofstream(gate) << "open";
    executor.run_one();
    executor.run_one();
    CHECK(let_in + refused == logins);
    CHECK(let_in >= 1);
}
