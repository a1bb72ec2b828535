// The commands about the queue, over a pool of which parts are missing.
#include <doctest/doctest.h>

#include "tests/unit/daemon/admin/cli_runs.h"
#include "tests/unit/daemon/admin/pool_fixture.h"

namespace posthorse::admin {
namespace {

using namespace std::chrono_literals;
using test::has;
using test::noon;
using test::Pool;
using test::Ran;
using test::run;
using test::TestPart;

constexpr int incomplete = 75;
const std::string ownerless_is_missing =
    "posthorse: missing: partition 5: no live owner; held by n2 (02020202), n3 (03030303)\n";

// Everything has an owner that answers.
void make_whole(Pool& pool) {
    pool.node.on_home([&] {
        auto state = pool.node.control.read();
        state.partitions.pop_back();
        pool.node.control.become(state);
    });
}

void fail(Pool& pool, test::Other& other) {
    pool.node.on_home([&] { other.part.mood = TestPart::Mood::fails; });
}

TEST_CASE("queue ls: the whole pool, exit 0; with a part missing that part is named, exit 75") {
    Pool pool;
    pool.node.add("near@test", {"b@test"});
    pool.node.on_home([&] {
        for (std::uint32_t i = 0; i < 600; ++i) pool.n2->queue.add({2}, noon, i, "far@test");
    });
    auto ran = run(pool.node, {"queue", "ls"});
    CHECK(ran.exit_code == incomplete);
    CHECK(has(ran.out, "-- 601 messages"));
    CHECK(ran.err == ownerless_is_missing);  // once, though it is on both pages

    ran = run(pool.node, {"queue", "ls", "--json", "--sender", "near@test"});
    CHECK(ran.exit_code == incomplete);
    CHECK(std::count(ran.out.begin(), ran.out.end(), '\n') == 1);
    CHECK(ran.err ==
          "{\"missing\":{\"node_id\":\"\",\"node_name\":\"\",\"partitions\":[5],"
          "\"held_by\":[\"n2 (02020202)\",\"n3 (03030303)\"],\"reason\":\"no live owner\"}}\n");

    make_whole(pool);
    ran = run(pool.node, {"queue", "ls"});
    CHECK(ran.exit_code == 0);
    CHECK(ran.err.empty());

    fail(pool, *pool.n2);
    ran = run(pool.node, {"queue", "ls"});
    CHECK(ran.exit_code == incomplete);
    CHECK(has(ran.out, "-- 1 message,"));
    CHECK(ran.err == "posthorse: missing: n2 with partitions 2, 3: no answer within 2 s\n");
}

TEST_CASE("queue summary and flush: what is missing is named, in JSON it is a field too") {
    Pool pool;
    pool.node.add("near@test", {"b@test"});
    auto ran = run(pool.node, {"queue", "summary"});
    CHECK(ran.exit_code == incomplete);
    CHECK(has(ran.out, "TOTAL       1       1"));
    CHECK(ran.err == ownerless_is_missing);
    ran = run(pool.node, {"queue", "summary", "--json"});
    CHECK(has(ran.out, "\"missing\":[{\"node_id\":\"\""));

    ran = run(pool.node, {"queue", "flush", "--dry-run"});
    CHECK(ran.exit_code == incomplete);
    CHECK(ran.out == "-- 1 would be made due now, 0 not\n");
    CHECK(pool.node.audited.empty());
    make_whole(pool);
    ran = run(pool.node, {"queue", "flush"});
    CHECK(ran.exit_code == 0);
    CHECK(ran.out == "-- 1 made due now, 0 not\n");
}

TEST_CASE("bulk actions: what is missing counts more than what was refused") {
    Pool pool;
    QueueId far;
    pool.node.on_home([&] { far = pool.n3->queue.add({4}, noon, 0).id; });
    auto ran = run(pool.node, {"queue", "hold", "--all"});
    CHECK(ran.exit_code == incomplete);
    CHECK(ran.out == far.to_string() + "  hold: done\n-- 1 done, 0 not\n");
    CHECK(ran.err == ownerless_is_missing);

    fail(pool, *pool.n3);
    ran = run(pool.node, {"queue", "resume", far.to_string()});
    CHECK(ran.exit_code == incomplete);
    CHECK(has(ran.out, "resume: refused: n3 (03030303): no answer within 2 s"));
    CHECK(ran.err ==
          "posthorse: missing: n3 with partition 4: no answer within 2 s; "
          "also held by n2 (02020202)\n");
}

TEST_CASE("queue show and cat: a message whose owner does not answer may be there: exit 75") {
    Pool pool;
    const auto ownerless = QueueId::make(noon, {5}, {1}, 0).to_string();
    const auto nowhere = QueueId::make(noon, {77}, {1}, 0).to_string();
    CHECK(run(pool.node, {"queue", "show", ownerless}).exit_code == incomplete);
    CHECK(run(pool.node, {"queue", "cat", ownerless}).exit_code == incomplete);
    CHECK(run(pool.node, {"queue", "show", nowhere}).exit_code == 1);
    const auto both = run(pool.node, {"queue", "show", ownerless, nowhere});
    CHECK(both.exit_code == incomplete);
    CHECK(has(both.err, "which has no live owner: it waits for n2 (02020202), n3 (03030303)"));
}

TEST_CASE("queue ls --in-doubt and queue search find across the pool") {
    Pool pool;
    make_whole(pool);
    QueueId doubtful;
    QueueId refused;
    pool.node.on_home([&] {
        auto& first = pool.n2->queue.add({3}, noon, 0, "anna@one.test");
        first.in_doubt = 2;
        first.doubts.resize(1);
        first.message_id = "<abc@one.test>";
        doubtful = first.id;
        auto& second = pool.n3->queue.add({4}, noon, 0, "bob@two.test");
        second.recipients[0].last = {.reply = {450, {4, 2, 0}, "Mailbox is full"},
                                     .remote = "mx.test[192.0.2.1]:25",
                                     .tls = "",
                                     .at = noon};
        refused = second.id;
    });
    const auto only = [](const Ran& ran, QueueId id) {
        CHECK(has(ran.out, id.to_string()));
        CHECK(has(ran.out, "-- 1 message,"));
    };
    const auto doubt = run(pool.node, {"queue", "ls", "--in-doubt"});
    only(doubt, doubtful);
    CHECK(has(doubt.out, "in doubt: 2 attempts, 1 undecided\n"));
    only(run(pool.node, {"queue", "ls", "--message-id", "ABC@one.test"}), doubtful);
    only(run(pool.node, {"queue", "ls", "--reply", "is FULL"}), refused);
    only(run(pool.node, {"queue", "search", "full"}), refused);
    only(run(pool.node, {"queue", "search", "anna"}), doubtful);
    only(run(pool.node, {"queue", "search", "test", "--sender", "*@two.test"}), refused);
    CHECK(run(pool.node, {"queue", "search", "nobody"}).out == "No message matches.\n");
    CHECK(run(pool.node, {"queue", "search"}).exit_code == 2);
    CHECK(has(run(pool.node, {"queue", "hold", "--in-doubt"}).out, "-- 1 done, 0 not\n"));
    CHECK(pool.n2->queue.messages[doubtful].held);
    CHECK_FALSE(pool.n3->queue.messages[refused].held);
}

TEST_CASE("queue show: the timeline, with the nodes where it happened") {
    Pool pool;
    QueueId id;
    pool.node.on_home([&] {
        auto& envelope = pool.n2->queue.add({2}, noon - 1h, 0);
        envelope.history = {{noon - 1h, tests::test_node(3), "accepted from 192.0.2.7 on mx"},
                            {noon, tests::test_node(9), "attempt 1: 450 4.2.0 later"}};
        id = envelope.id;
    });
    const auto text = run(pool.node, {"queue", "show", id.to_string()}).out;
    CHECK(has(text,
              "history      2024-10-04T11:00:00Z  n3        accepted from 192.0.2.7 on mx\n"
              "             2024-10-04T12:00:00Z  09090909  attempt 1: 450 4.2.0 later\n"));
    const auto json = run(pool.node, {"queue", "show", id.to_string(), "--json"}).out;
    CHECK(has(json,
              "\"history\":[{\"time\":\"2024-10-04T11:00:00Z\",\"node_id\":"
              "\"03030303030303030303030303030303\",\"node_name\":\"n3\","
              "\"what\":\"accepted from 192.0.2.7 on mx\"},"));
}

}  // namespace
}  // namespace posthorse::admin
