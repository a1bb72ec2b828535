#include "daemon/auth/user_command.h"

#include <doctest/doctest.h>

#include <sstream>

#include "daemon/auth/password_file.h"
#include "daemon/auth/password_hash.h"
#include "tests/unit/daemon/auth/scratch.h"

using namespace posthorse::auth;

namespace {

struct Run {
    int code;
    std::string out;
    std::string err;
};

Run run(int (*verb)(const UserCommand&, Console),
        const UserCommand& command,
        const std::string& input = {}) {
    std::istringstream in(input);
    std::ostringstream out;
    std::ostringstream err;
    const int code = verb(command, {in, out, err});
    return {code, out.str(), err.str()};
}

}  // namespace

TEST_CASE("users are added, changed, listed and removed") {
    const Scratch scratch;
    UserCommand ann{scratch.file("passwords"), "Ann", PasswordSource::first_line};
    CHECK(run(user_add, ann, "one\nrest").code == 0);
    CHECK(verify_password("one", load_passwords(ann.password_file)->hashes.at("ann")));

    CHECK(load_passwords(ann.password_file)->scram_keys.contains("ann"));

    const auto again = run(user_add, ann, "two\n");
    CHECK(again.code == 1);
    CHECK(again.err.find("already") != std::string::npos);

    CHECK(run(user_passwd, ann, "two\r\n").code == 0);
    CHECK(verify_password("two", load_passwords(ann.password_file)->hashes.at("ann")));

    CHECK(run(user_ls, ann).out == "ann\n");
    CHECK(run(user_rm, ann).code == 0);
    CHECK(run(user_rm, ann).code == 1);
    CHECK(run(user_ls, ann).out.empty());
}

TEST_CASE("without a usable password nothing is written") {
    const Scratch scratch;
    const UserCommand ann{scratch.file("passwords"), "ann", PasswordSource::first_line};
    CHECK(run(user_add, ann, "").code == 1);
    CHECK(run(user_add, ann, "\n").code == 1);
    CHECK_FALSE(load_passwords(ann.password_file).has_value());
    CHECK(run(user_ls, ann).code == 1);
}
