#include "daemon/auth/password_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "daemon/auth/password_hash.h"
#include "daemon/auth/sasl.h"
#include "tests/unit/daemon/auth/scratch.h"

using namespace posthorse;
using namespace posthorse::auth;

namespace {

constexpr const char* some_hash = "$y$j9T$salt$hash";

std::string read_all(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

void write_all(const std::string& path, std::string_view text) {
    std::ofstream(path) << text;
}

unsigned mode_of(const std::string& path) {
    struct stat status{};
    REQUIRE(stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("a password is verified by its hash, and by no other") {
    const auto hash = hash_password("correct horse");
    REQUIRE(hash.has_value());
    CHECK(hash->starts_with("$y$"));
    CHECK(is_known_hash(*hash));
    CHECK(verify_password("correct horse", *hash));
    CHECK_FALSE(verify_password("correct horsf", *hash));
    CHECK_FALSE(verify_password("", *hash));
    CHECK(*hash_password("correct horse") != *hash);  // salted
    CHECK_FALSE(verify_password("x", ""));
    CHECK_FALSE(verify_password("x", "*"));
    CHECK_FALSE(verify_password("x", "$y$garbage"));
}

TEST_CASE("what cannot be a password is refused, not cut") {
    CHECK(hash_password(std::string(password_bytes_max, 'p')).has_value());
    CHECK(hash_password(std::string(password_bytes_max + 1, 'p')).error().code == Errc::invalid);
    CHECK(hash_password("").error().code == Errc::invalid);
    CHECK(hash_password(std::string("a\0b", 3)).error().code == Errc::invalid);
}

TEST_CASE("hashes of other methods of libcrypt are taken, plain text is not") {
    const std::string sha512 =  // openssl passwd -6 -salt saltsalt secret
        "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq."
        "H91p5hVO1";
    CHECK(verify_password("secret", sha512));
    CHECK_FALSE(verify_password("secreT", sha512));
    CHECK(is_known_hash("$6$saltsalt$x"));
    CHECK_FALSE(is_known_hash("secret"));
    CHECK_FALSE(is_known_hash(""));
    CHECK_FALSE(is_known_hash("$unknown$x"));
}

TEST_CASE("logins are lower case without colon, space or control") {
    CHECK(normalise_login("Ann@Example.ORG") == "ann@example.org");
    for (const std::string_view bad : {"", "a b", "a:b", "#a", "a\n", "a\x7f", "\xc3\xa9"}) {
        CHECK_FALSE(normalise_login(bad));
    }
    CHECK_FALSE(normalise_login(std::string(321, 'a')));
}

TEST_CASE("malformed rows are skipped and named, the rest is used") {
    const auto table = parse_passwords(
        "# "
        "people\n\nann:$y$j9T$salt$hash\nbob\n:$y$j9T$x\nAnn:$y$j9T$other$hash\ncarl:secret\ndora:$"
        "y$j9T$s$h\r\n",
        "passwords");
    CHECK(table.hashes.size() == 2);
    CHECK(table.hashes.at("ann") == some_hash);
    CHECK(table.hashes.at("dora") == "$y$j9T$s$h");
    REQUIRE(table.problems.size() == 4);
    CHECK(table.problems[0].to_string().starts_with("passwords:4: "));
    CHECK(table.problems[1].line == 5);
    CHECK(table.problems[2].line == 6);
    CHECK(table.problems[3].what.find("carl") != std::string::npos);
    CHECK(table.problems[3].what.find("secret") == std::string::npos);
    for (const auto& problem : table.problems) CHECK_FALSE(problem.fatal);
}

TEST_CASE("a row may carry keys for SCRAM, in the form of gsasl --mkpasswd") {
    const std::string keys =
        "{SCRAM-SHA-256}4096,2IO/jass1I2ss55Q,ApPVCsQnCip1wX3+6GnBkGx7GBH/KIB9H20ZFF7mVJ8=,"
        "1VipE/RDIU2OOzmO8ERt8uf/k5HD7z7pgyvjI07tppk=";
    const auto table = parse_passwords(
        "#scram-secret:MDEyMzQ1Njc4OWFiY2RlZg==\nann:" + std::string(some_hash) + ':' + keys + '\n',
        "passwords");
    CHECK(table.problems.empty());
    CHECK(table.hashes.at("ann") == some_hash);
    CHECK(table.scram_secret == "0123456789abcdef");
    CHECK(table.scram_keys.at("ann").iterations == 4096);
    CHECK(to_text(table.scram_keys.at("ann")) == keys);
}

TEST_CASE("unusable keys and logins without keys are named; their passwords still count") {
    const std::string row = "ann:" + std::string(some_hash);
    for (const char* keys :
         {"", "x", "{SCRAM-SHA-256}4095,c2FsdA==,A,B", "{SCRAM-SHA-1}4096,c2FsdA==,A,B",
          "{SCRAM-SHA-256}4096,c2FsdA==,c2hvcnQ=,c2hvcnQ="}) {
        const auto table = parse_passwords(row + ':' + keys, "passwords");
        CHECK(table.hashes.contains("ann"));
        CHECK(table.scram_keys.empty());
        REQUIRE(table.problems.size() == 1);
        CHECK(table.problems[0].what.find("'ann' has unusable SCRAM keys") != std::string::npos);
    }
    const auto mixed = parse_passwords(
        row + "\nbob:" + some_hash +
            ":{SCRAM-SHA-256}4096,2IO/jass1I2ss55Q,ApPVCsQnCip1wX3+6GnBkGx7GBH/KIB9H20ZFF7mVJ8=,"
            "1VipE/RDIU2OOzmO8ERt8uf/k5HD7z7pgyvjI07tppk=",
        "passwords");
    REQUIRE(mixed.problems.size() == 2);
    CHECK(mixed.problems[0].what.starts_with("1 logins have no SCRAM keys"));
    CHECK(mixed.problems[1].what.find("#scram-secret:") != std::string::npos);
}

TEST_CASE("the secret comes with the first keys, once") {
    const Scratch scratch;
    const auto path = scratch.file("passwords");
    const Verifiers with_keys{some_hash, *make_scram_keys("secret", "saltsaltsaltsalt")};
    REQUIRE(add_login(path, "ann", {some_hash}).has_value());
    CHECK(load_passwords(path)->scram_secret.empty());
    REQUIRE(change_login(path, "ann", with_keys).has_value());
    const auto secret = load_passwords(path)->scram_secret;
    CHECK(secret.size() == 32);
    REQUIRE(add_login(path, "bob", with_keys).has_value());
    CHECK(load_passwords(path)->scram_secret == secret);
    CHECK(load_passwords(path)->problems.empty());
    CHECK(load_passwords(path)->scram_keys.size() == 2);
}

TEST_CASE("logins are added, changed and removed; other lines stay") {
    const Scratch scratch;
    const auto path = scratch.file("passwords");
    REQUIRE(add_login(path, "Ann", {some_hash}).has_value());
    CHECK(read_all(path) == "ann:$y$j9T$salt$hash\n");
    CHECK(mode_of(path) == 0600);

    CHECK(add_login(path, "ann", {some_hash}).error().code == Errc::conflict);
    CHECK(add_login(path, "a b", {some_hash}).error().code == Errc::invalid);
    CHECK(change_login(path, "bob", {some_hash}).error().code == Errc::not_found);
    CHECK(remove_login(path, "bob").error().code == Errc::not_found);

    write_all(path, "# keep\nbroken row\nann:$y$old\nbob:$y$bob\n");
    REQUIRE(change_login(path, "ANN", {some_hash}).has_value());
    REQUIRE(remove_login(path, "bob").has_value());
    REQUIRE(add_login(path, "carl", {"$y$carl"}).has_value());
    CHECK(read_all(path) == "# keep\nbroken row\nann:$y$j9T$salt$hash\ncarl:$y$carl\n");
}

TEST_CASE("a changed file keeps its mode, but never lets others read") {
    const Scratch scratch;
    const auto path = scratch.file("passwords");
    write_all(path, "");
    REQUIRE(chmod(path.c_str(), 0644) == 0);
    REQUIRE(add_login(path, "ann", {some_hash}).has_value());
    CHECK(mode_of(path) == 0640);
}

TEST_CASE("no file is left behind by a change or a refusal") {
    const Scratch scratch;
    const auto path = scratch.file("passwords");
    REQUIRE(add_login(path, "ann", {some_hash}).has_value());
    CHECK_FALSE(add_login(path, "ann", {some_hash}).has_value());
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(path).parent_path())) {
        ++files;
    }
    CHECK(files == 1);
    CHECK(add_login("/nonexistent/passwords", "ann", {some_hash}).error().code == Errc::io);
    CHECK(load_passwords("/nonexistent/passwords").error().code == Errc::io);
}

TEST_CASE("writers side by side lose nothing") {
    const Scratch scratch;
    const auto path = scratch.file("passwords");
    const auto add_many = [&](char who) {
        for (int i = 0; i < 20; ++i) {
            if (!add_login(path, who + std::to_string(i), {some_hash})) return;
        }
    };
    std::thread one(add_many, 'a');
    std::thread other(add_many, 'b');
    one.join();
    other.join();
    CHECK(load_passwords(path)->hashes.size() == 40);
}
