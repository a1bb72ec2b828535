#include "replication/edge/peer_exchange.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "proto/types/limits.h"
#include "tests/unit/replication/edge/frame_samples.h"
#include "tests/unit/replication/edge/same.h"
#include "tests/unit/replication/edge/samples.h"
#include "tests/unit/replication/edge/stream_peer.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;

namespace {

constexpr std::size_t mebibyte = 1024 * 1024;
// A message of a stream may be on its way to home when the bound is reached.
constexpr std::size_t unread_bytes_most =
    exchange_unread_bytes + exchange_batch_bytes + chunk_bytes;

// So many acknowledgements, in order.
bool is_sequence(const std::vector<Frame>& frames, std::uint64_t count) {
    if (frames.size() != count) return false;
    for (std::uint64_t i = 0; i < count; ++i) {
        if (number_of(frames[i]) != i) return false;
    }
    return true;
}

struct Pair {
    Pair() { one.keep(two); }
    void rise() {
        home.run_until([&] { return one.ups == 1; });
    }

    HomeThread home;
    TestAuthority authority;
    StreamPeer one{home, authority, {.number = 1}};
    StreamPeer two{home, authority, {.number = 2}};
};

}  // namespace

// ------------------------------------------------------------------ both ways

TEST_CASE("every frame arrives, both ways and in order") {
    Pair pair;
    auto& [home, authority, one, two] = pair;
    pair.rise();
    CHECK(two.frames.empty());
    const auto all = every_frame();
    constexpr std::size_t rounds = 100;
    two.on_came = [&](LinkId link, const Frame& frame) { two.streams().answer(link, frame); };
    for (std::size_t round = 0; round < rounds; ++round) {
        for (const auto& frame : all) one.send(two, frame);
    }
    home.run_until([&] { return one.answers.size() == rounds * all.size(); });
    REQUIRE(two.frames.size() == rounds * all.size());
    for (std::size_t i = 0; i < two.frames.size(); ++i) {
        REQUIRE(same(two.frames[i], all[i % all.size()]));
        REQUIRE(same(one.answers[i], all[i % all.size()]));
    }
    CHECK(two.from.node == one.id());
    CHECK(two.from.incarnation == Incarnation{1, 101});
    CHECK(one.downs == 0);
    CHECK(two.ups == 0);
    CHECK(one.problem().empty());
    home.run_until([&] { return two.streams().backlog(two.link) == 0; });
    CHECK(one.streams().backlog(two.id()) == 0);
    const auto sender = one.network->stream_figures();
    const auto receiver = two.network->stream_figures();
    CHECK(sender.up == 1);
    CHECK(receiver.up == 0);
    CHECK(sender.in == 0);
    CHECK(receiver.in == 1);
    CHECK(sender.frames_sent == rounds * all.size());
    CHECK(receiver.frames_received == rounds * all.size());
    CHECK(sender.octets_sent == receiver.octets_received);
    CHECK(receiver.octets_sent == sender.octets_received);
}

TEST_CASE("a pair has a stream each way, and each says what its own owner says") {
    Pair pair;
    auto& [home, authority, one, two] = pair;
    two.keep(one);
    home.run_until([&] { return one.ups == 1 && two.ups == 1; });
    one.send(two, ack(1));
    two.send(one, ack(2));
    home.run_until([&] { return one.frames.size() == 1 && two.frames.size() == 1; });
    CHECK(number_of(one.frames.front()) == 2);
    CHECK(number_of(two.frames.front()) == 1);
    CHECK(one.answers.empty());
    CHECK(two.answers.empty());
}

// ------------------------------------------------------------------ up and down

TEST_CASE("a stream to a node that goes and comes back is down, and up again by itself") {
    HomeThread home;
    const TestAuthority authority;
    StreamPeer one(home, authority, {.number = 1});
    auto two = std::make_unique<StreamPeer>(home, authority, StreamPeer::Options{.number = 2});
    const auto port = two->network->port();
    const auto address = two->network.address();
    one.keep(*two);
    home.run_until([&] { return one.ups == 1; });
    one.streams().keep(two->id(), address);  // is kept already
    const auto node = two->id();

    two.reset();
    home.run_until([&] { return one.downs == 1 && !one.problem().empty(); });
    one.streams().send(node, ack(1));
    CHECK(one.streams().backlog(node) == 0);
    CHECK(one.network->stream_problems().front().address == address);
    CHECK(one.network->stream_figures().up == 0);

    two = std::make_unique<StreamPeer>(home, authority,
                                       StreamPeer::Options{.number = 2, .start = 2, .port = port});
    home.run_until([&] { return one.ups == 2; });
    CHECK(one.problem().empty());
    one.send(*two, ack(2));
    home.run_until([&] { return two->frames.size() == 1; });
    CHECK(number_of(two->frames.front()) == 2);
}

TEST_CASE("a node is waited for, and left in peace when nobody keeps a stream to it") {
    HomeThread home;
    const TestAuthority authority;
    StreamPeer one(home, authority, {.number = 1});
    const auto port = free_port();
    const auto address = "127.0.0.1:" + std::to_string(port);
    one.streams().keep(node(2), address);
    home.run_until([&] { return !one.problem().empty(); });
    StreamPeer two(home, authority, {.number = 2, .port = port});
    home.run_until([&] { return one.ups == 1; });
    one.send(two, ack(0));
    home.run_until([&] { return two.frames.size() == 1; });
    one.streams().leave(two.id());
    home.run_until([&] { return two.ends.size() == 1; });
    CHECK(two.ends.front() == two.link);
    CHECK(one.downs == 0);  // whoever leaves knows
    CHECK(one.network->stream_problems().empty());
    one.streams().leave(two.id());
    one.send(two, ack(1));
    CHECK(one.streams().backlog(two.id()) == 0);
}

TEST_CASE("another address replaces the stream") {
    HomeThread home;
    const TestAuthority authority;
    StreamPeer one(home, authority, {.number = 1});
    StreamPeer before(home, authority, {.number = 2});
    StreamPeer after(home, authority, {.number = 2, .start = 2});
    one.keep(before);
    home.run_until([&] { return one.ups == 1; });
    one.keep(after);
    CHECK(one.downs == 0);  // not inside the call
    home.run_until([&] { return one.ups == 2; });
    CHECK(one.downs == 1);
    one.send(after, ack(3));
    home.run_until([&] { return after.frames.size() == 1; });
    home.run_until([&] { return before.network->stream_figures().in == 0; });
    CHECK(before.frames.empty());
}

TEST_CASE("a receiver may leave, and answer, inside what it hears") {
    Pair pair;
    auto& [home, authority, one, two] = pair;
    pair.rise();
    two.on_came = [&](LinkId link, const Frame&) {
        for (std::uint64_t i = 0; i < 100; ++i) two.streams().answer(link, ack(i));
    };
    one.on_answered = [&](const Frame& frame) {
        if (number_of(frame) == 10) one.streams().leave(two.id());
    };
    one.send(two, ack(0));
    home.run_until([&] { return two.ends.size() == 1; });
    CHECK(is_sequence(one.answers, 11));
}

// ------------------------------------------------------------------ back-pressure

TEST_CASE("what a receiver does not work off stays with the sender, until it does") {
    Pair pair;
    auto& [home, authority, one, two] = pair;
    pair.rise();
    two.works_off = false;
    two.remembers = false;
    constexpr std::size_t count = 64 * mebibyte / chunk_bytes;
    const auto bytes = make_chunk(std::string(chunk_bytes, 'x'));
    const auto all_bytes = count * size_of(body(bytes));
    for (std::uint32_t i = 1; i <= count; ++i) one.send(two, body(bytes, i));
    CHECK(one.streams().backlog(two.id()) >= 64 * mebibyte);
    home.run_until([&] { return two.unread_bytes >= exchange_unread_bytes; });
    // The pool goes on meanwhile, and takes its time.
    for (std::uint64_t i = 0; i < 100; ++i) {
        one.network.send(two.network.address(), TakeLead{{i}});
        home.run_until([&] { return two.network.taken.size() == i + 1; });
    }
    CHECK(two.unread_bytes <= unread_bytes_most);
    CHECK(one.streams().backlog(two.id()) >= backlog_high_bytes);
    CHECK(one.drains == 0);

    two.works_off = true;
    two.streams().read_on(two.link, std::exchange(two.unread_bytes, 0));
    home.run_until([&] { return two.frames_bytes == all_bytes; });
    home.run_until([&] { return one.streams().backlog(two.id()) == 0; });
    CHECK(one.drains == 1);
    CHECK(two.unread_bytes_most <= unread_bytes_most);
}

TEST_CASE("answers have a backlog of their own, which drains") {
    Pair pair;
    auto& [home, authority, one, two] = pair;
    one.remembers = false;
    pair.rise();
    one.send(two, ack(0));
    home.run_until([&] { return two.frames.size() == 1; });
    const auto bytes = make_chunk(std::string(chunk_bytes, 'x'));
    constexpr std::size_t count = 16 * mebibyte / chunk_bytes;
    const auto all_bytes = count * size_of(body(bytes));
    for (std::uint32_t i = 1; i <= count; ++i) two.streams().answer(two.link, body(bytes, i));
    CHECK(two.streams().backlog(two.link) >= 16 * mebibyte);
    home.run_until([&] { return one.answers_bytes == all_bytes; });
    home.run_until([&] { return two.streams().backlog(two.link) == 0; });
    CHECK(two.drains == 1);
}

TEST_CASE("100 MB pass through a sender that pauses, with little of them anywhere") {
    Pair pair;
    auto& [home, authority, one, two] = pair;
    two.remembers = false;
    two.works_off = false;
    pair.rise();
    const auto bytes = make_chunk(std::string(chunk_bytes, 'x'));
    constexpr std::size_t count = 400;
    const auto all_bytes = count * size_of(body(bytes));
    std::size_t sent = 0;
    std::size_t way_most = 0;
    const auto send_on = [&] {
        while (sent < count && one.streams().backlog(two.id()) < backlog_high_bytes) {
            one.send(two, body(bytes, static_cast<std::uint32_t>(++sent)));
            way_most = std::max(way_most, sent * size_of(body(bytes)) - two.frames_bytes);
        }
    };
    home.run_until([&] {
        send_on();
        if (two.unread_bytes > 0)  // a disk that takes one at a time
            two.streams().read_on(two.link, std::exchange(two.unread_bytes, 0));
        return two.frames_bytes == all_bytes;
    });
    CHECK(sent == count);
    CHECK(two.unread_bytes_most <= unread_bytes_most);
    CHECK(way_most <= 32 * mebibyte);
    CHECK(two.network->stream_figures().octets_received > count * chunk_bytes);
}

TEST_CASE("a frame larger than a message ends its stream, and nothing goes after it") {
    Pair pair;
    auto& [home, authority, one, two] = pair;
    pair.rise();
    auto huge = envelope();
    huge.recipients.assign(40'000, {std::string(250, 'a'), RecipientState::pending, 0, {}});
    REQUIRE(size_of(Record{slice(), huge, nullptr}) >
            static_cast<std::size_t>(exchange_message_bytes_max));
    one.send(two, ack(0));
    home.run_until([&] { return two.frames.size() == 1; });
    one.send(two, Record{slice(), huge, nullptr});
    one.send(two, ack(1));
    CHECK(one.downs == 0);  // not inside the call
    home.run_until([&] { return one.downs == 1; });
    home.run_until([&] { return one.problem().find("a frame of ") == 0; });
    home.run_until([&] { return one.ups == 2; });
    CHECK(two.frames.size() == 1);
    one.send(two, ack(2));
    home.run_until([&] { return two.frames.size() == 2; });
    CHECK(number_of(two.frames.back()) == 2);
}

// ------------------------------------------------------------------ one of a node

TEST_CASE("a later start of a node replaces its stream, an earlier one is refused") {
    HomeThread home;
    const TestAuthority authority;
    StreamPeer two(home, authority, {.number = 2});
    StreamPeer earlier(home, authority, {.number = 1, .start = 4});
    StreamPeer later(home, authority, {.number = 1, .start = 5});
    earlier.keep(two);
    home.run_until([&] { return earlier.ups == 1; });
    earlier.send(two, ack(0));
    home.run_until([&] { return two.frames.size() == 1; });
    const auto link = two.link;
    later.keep(two);
    home.run_until([&] { return later.ups == 1; });
    CHECK(two.ends == std::vector{link});
    home.run_until([&] { return earlier.downs == 1; });
    home.run_until([&] { return earlier.problem() == "stale_incarnation"; });
    later.send(two, ack(1));
    home.run_until([&] { return two.frames.size() == 2; });
    CHECK(two.link != link);
    CHECK(two.from.incarnation.counter == 5);
    CHECK(later.downs == 0);
    CHECK(two.network->stream_figures().in == 1);
}

TEST_CASE("when a later start is heard of otherwise, the earlier one's stream ends") {
    Pair pair;
    auto& [home, authority, one, two] = pair;
    pair.rise();
    one.send(two, ack(0));
    home.run_until([&] { return two.frames.size() == 1; });
    two.judge = [](const Header&) { return Refusal::stale_incarnation; };
    one.send(two, ack(1));
    home.run_until([&] { return one.problem() == "stale_incarnation"; });
    CHECK(one.downs == 1);
    CHECK(two.ends == std::vector{two.link});
    CHECK(two.frames.size() == 1);
    // And of the node that answers.
    two.judge = [](const Header&) { return Refusal::none; };
    home.run_until([&] { return one.ups == 2; });
    one.judge = [](const Header&) { return Refusal::stale_incarnation; };
    two.on_came = [&](LinkId link, const Frame& frame) { two.streams().answer(link, frame); };
    one.send(two, ack(2));
    home.run_until([&] { return one.problem() == "stale_incarnation"; });
    CHECK(one.answers.empty());
}

// ------------------------------------------------------------------ stop

TEST_CASE("a node stops while both send as fast as they can") {
    Pair pair;
    auto& [home, authority, one, two] = pair;
    two.keep(one);
    home.run_until([&] { return one.ups == 1 && two.ups == 1; });
    const auto bytes = make_chunk(std::string(chunk_bytes, 'x'));
    for (auto* peer : {&one, &two}) {
        peer->remembers = false;
        peer->on_came = [&, peer](LinkId link, const Frame&) {
            peer->streams().answer(link, body(bytes));
        };
    }
    const auto send_on = [&](StreamPeer& from, StreamPeer& to) {
        while (from.streams().backlog(to.id()) < backlog_high_bytes && from.network->port() != 0)
            from.send(to, body(bytes));
    };
    home.run_until([&] {
        send_on(one, two);
        send_on(two, one);
        return one.frames_bytes > 8 * mebibyte && two.frames_bytes > 8 * mebibyte;
    });
    const auto heard = two.frames_bytes + two.answers_bytes + two.ends.size();
    two.network.stop();
    CHECK(two.frames_bytes + two.answers_bytes + two.ends.size() == heard);
    CHECK(two.downs == 0);
    home.run_until([&] { return one.downs == 1 && one.ends.size() == 1; });
    one.network.stop();
}

TEST_CASE("a node stops inside what it hears, and before anything is up") {
    HomeThread home;
    const TestAuthority authority;
    const SilentServer silent;
    bool stopped = false;
    {
        StreamPeer one(home, authority, {.number = 1});
        one.streams().keep(node(2), "127.0.0.1:" + std::to_string(free_port()));
        one.streams().keep(node(3), silent.address());
        one.streams().keep(node(4), one.network.address());
    }
    StreamPeer two(home, authority, {.number = 2});
    StreamPeer one(home, authority, {.number = 1});
    two.on_came = [&](LinkId, const Frame& frame) {
        if (number_of(frame) == 1) two.network->stop([&] { stopped = true; });
    };
    one.keep(two);
    home.run_until([&] { return one.ups == 1; });
    for (std::uint64_t i = 0; i < 10; ++i) one.send(two, ack(i));
    home.run_until([&] { return stopped; });
    CHECK(is_sequence(two.frames, 2));
    CHECK(two.ends.empty());
    home.run_until([&] { return one.downs == 1; });
    two.network.forget();
}
