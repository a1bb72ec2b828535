#include "proto/smtp/server_patience.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::smtp;

namespace {

constexpr Limits few{.surplus_recipients_max = 1,
                     .errors_max = 2,
                     .idle_commands_max = 2,
                     .small_chunk_bytes = 10,
                     .small_chunks_max = 1};

const Reply error{500, {5, 5, 2}, "Command not recognised"};

}  // namespace

TEST_CASE("who makes too many errors is sent away, and may still leave in order") {
    Patience patience(few);
    patience.on_reply(error);
    patience.on_reply({250, {2, 0, 0}, "OK"});
    patience.on_reply({452, {4, 5, 3}, "Too many recipients"});
    CHECK_FALSE(patience.on_command(Verb::mail));
    patience.on_reply(error);
    patience.on_message();
    REQUIRE(patience.on_command(Verb::mail));
    CHECK(patience.on_command(Verb::mail)->code == 421);
    CHECK_FALSE(patience.on_command(Verb::quit));
}

TEST_CASE("a message forgives the time that was passed") {
    Patience patience(few);
    CHECK_FALSE(patience.on_command(Verb::noop));
    CHECK_FALSE(patience.on_command(Verb::rset));
    CHECK_FALSE(patience.on_command(Verb::mail));
    patience.on_message();
    CHECK_FALSE(patience.on_command(Verb::noop));
    CHECK_FALSE(patience.on_command(Verb::ehlo));
    CHECK(patience.on_command(Verb::noop));
}

TEST_CASE("small chunks are counted, but for a message's last") {
    Patience patience(few);
    CHECK_FALSE(patience.on_chunk({.bytes = 9}));
    CHECK_FALSE(patience.on_chunk({.bytes = 10}));
    CHECK_FALSE(patience.on_chunk({.bytes = 9, .last = true}));
    CHECK(patience.on_chunk({.bytes = 9}));
}

TEST_CASE("some surplus recipients are no errors yet") {
    Patience patience(few);
    for (int i = 0; i < 2; ++i) patience.on_surplus_recipient();
    CHECK_FALSE(patience.on_command(Verb::rcpt));
    patience.on_surplus_recipient();
    CHECK(patience.on_command(Verb::rcpt));
}
