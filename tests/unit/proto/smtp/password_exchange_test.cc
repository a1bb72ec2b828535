#include "proto/smtp/password_exchange.h"

#include <doctest/doctest.h>

using namespace posthorse::smtp;

namespace {

PasswordStep plain(std::string_view message) {
    return PasswordExchange("PLAIN").begin(std::string(message));
}

std::string text(const char* octets, std::size_t size) {
    return {octets, size};
}

}  // namespace

TEST_CASE("PLAIN names the user and his password, as they were typed") {
    const auto step = plain(text("a\0a\0 b\xc3\xa9", 8));
    REQUIRE(std::holds_alternative<Credentials>(step));
    CHECK(std::get<Credentials>(step).user == "a");
    CHECK(std::get<Credentials>(step).password == " b\xc3\xa9");
    CHECK(std::holds_alternative<Credentials>(plain(text("\0a\0b", 4))));
}

TEST_CASE("what can be nobody's credentials is refused (S14)") {
    for (const auto& message : {text("", 0), text("a", 1), text("a\0b", 3), text("\0\0b", 3),
                                text("\0a\0", 3), text("\0a\0b\0", 5), text("root\0a\0b", 8)}) {
        CHECK(std::holds_alternative<NoCredentials>(plain(message)));
    }
}

TEST_CASE("PLAIN without an initial response is asked for it by an empty challenge") {
    PasswordExchange exchange("PLAIN");
    CHECK(std::get<Challenge>(exchange.begin(std::nullopt)).octets.empty());
    CHECK(std::holds_alternative<Credentials>(exchange.respond(text("\0a\0b", 4))));
}

TEST_CASE("LOGIN asks for what the first line did not bring") {
    PasswordExchange asked("LOGIN");
    CHECK(std::get<Challenge>(asked.begin(std::nullopt)).octets == "Username:");
    CHECK(std::get<Challenge>(asked.respond("a")).octets == "Password:");
    const auto step = asked.respond("b");
    CHECK(std::get<Credentials>(step).user == "a");
    CHECK(std::get<Credentials>(step).password == "b");
    PasswordExchange told("LOGIN");
    CHECK(std::get<Challenge>(told.begin("a")).octets == "Password:");
    CHECK(std::holds_alternative<NoCredentials>(told.respond("")));
}
