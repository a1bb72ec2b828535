#include "proto/smtp/server_body.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace posthorse;
using namespace posthorse::smtp;
using End = ServerBody::End;

namespace {

struct Taken {
    std::string bytes;
    End end = End::none;
    std::string_view rest;
};

// Feeds `input` until an end, or all of it.
Taken take(ServerBody& body, std::string_view input) {
    Taken taken;
    do {
        const auto step = body.next(input);
        taken.bytes.append(step.bytes).append(step.line_end);
        taken.end = step.end;
        input.remove_prefix(step.taken);
        if (step.taken == 0) break;
    } while (taken.end == End::none && !input.empty());
    taken.rest = input;
    return taken;
}

const Reply no_message{503, {5, 5, 1}, "Send MAIL first"};

}  // namespace

TEST_CASE("DATA ends at its dot, and what follows stays") {
    ServerBody body{Limits{}};
    body.begin_data();
    CHECK(body.is_open());
    const auto taken = take(body, "a\r\n..b\r\n.\r\nQUIT\r\n");
    CHECK(taken.bytes == "a\r\n.b\r\n");
    CHECK(taken.end == End::message);
    CHECK(taken.rest == "QUIT\r\n");
    CHECK_FALSE(body.refusal());
    CHECK(body.close());
    CHECK_FALSE(body.close());
}

TEST_CASE("chunks make one message, whose last line gets its end") {
    ServerBody body{Limits{}};
    body.begin_chunk({.bytes = 3});
    CHECK(take(body, "a\r\nBDAT").end == End::chunk);
    CHECK(body.is_open());
    body.begin_chunk({.bytes = 1, .last = true});
    const auto taken = take(body, "bQUIT\r\n");
    CHECK(taken.bytes == "b\r\n");
    CHECK(taken.end == End::message);
    CHECK(taken.rest == "QUIT\r\n");
    CHECK_FALSE(body.refusal());
}

TEST_CASE("a line end may be cut by the end of a chunk") {
    ServerBody body{Limits{}};
    body.begin_chunk({.bytes = 2});
    CHECK(take(body, "a\r").end == End::chunk);
    CHECK_FALSE(body.refusal());
    body.begin_chunk({.bytes = 1, .last = true});
    CHECK(take(body, "\n").bytes == "\n");
    CHECK_FALSE(body.refusal());
}

TEST_CASE("an empty chunk ends without an octet") {
    ServerBody body{Limits{}};
    body.begin_chunk({.bytes = 0, .last = true});
    const auto step = body.next({});
    CHECK(step.taken == 0);
    CHECK(step.end == End::message);
    CHECK(step.line_end.empty());
}

TEST_CASE("a chunk that is no message's is passed over and answered behind its last octet") {
    ServerBody body{Limits{}};
    body.skip_chunk({.bytes = 4, .last = true}, no_message);
    CHECK_FALSE(body.is_open());
    CHECK(take(body, "QU").end == End::none);
    const auto taken = take(body, "ITNOOP\r\n");
    CHECK(taken.bytes.empty());
    CHECK(taken.end == End::skipped);
    CHECK(taken.rest == "NOOP\r\n");
    CHECK(body.refusal() == no_message);
}

TEST_CASE("nothing of a message comes out behind its first fault, which is told at the end") {
    ServerBody body{Limits{}};
    body.begin_data();
    CHECK(take(body, "a\nb\r\nc\r\n").bytes.empty());
    CHECK(take(body, "d\r\n.\r\n").bytes.empty());
    REQUIRE(body.refusal());
    CHECK(body.refusal()->code == 550);
    body.close();

    SUBCASE("the next one begins anew") {
        body.begin_data();
        CHECK(take(body, "a\r\n.\r\n").bytes == "a\r\n");
        CHECK_FALSE(body.refusal());
    }
    SUBCASE("by chunks, too") {
        body.begin_chunk({.bytes = 1, .last = true});
        CHECK(take(body, "a").bytes == "a\r\n");
        CHECK_FALSE(body.refusal());
    }
}
