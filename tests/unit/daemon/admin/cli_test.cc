#include "daemon/admin/cli.h"

#include <sstream>

#include <doctest/doctest.h>
#include <CLI/CLI.hpp>

#include "tests/unit/daemon/admin/cli_runs.h"

namespace posthorse::admin {
namespace {

using namespace std::chrono_literals;
using test::has;
using test::Node;
using test::noon;
using test::run;

TEST_CASE("queue ls: an empty queue says so, in JSON it is nothing") {
    Node node;
    const auto plain = run(node, {"queue", "ls"});
    CHECK(plain.exit_code == 0);
    CHECK(plain.out == "The queue is empty.\n");
    CHECK(run(node, {"queue", "ls", "--json"}).out == "");
    CHECK(run(node, {"queue", "ls", "--sender", "a@b"}).out == "No message matches.\n");
}

TEST_CASE("queue ls: over several pages, with filters, a limit, and JSON") {
    Node node;
    for (int i = 0; i < 600; ++i) node.add("a@one.test", {"b@two.test"});
    node.clock.set(noon + 1h);
    const auto last = node.add("c@three.test", {"d@two.test"});
    CHECK(has(run(node, {"queue", "ls"}).out, "-- 601 messages"));
    CHECK(has(run(node, {"queue", "ls", "--limit", "7"}).out, "-- 7 messages"));
    const auto young = run(node, {"queue", "ls", "--newer-than", "30m"});
    CHECK(has(young.out, last.to_string()));
    CHECK(has(young.out, "-- 1 message,"));
    const auto json = run(node, {"queue", "ls", "--sender", "*@three.test", "--json"}).out;
    CHECK(json.starts_with("{\"id\":\"" + last.to_string() + "\",\"state\":\"deferred\""));
    CHECK(std::count(json.begin(), json.end(), '\n') == 1);
}

TEST_CASE("queue show and cat") {
    Node node;
    const auto id = node.add("a@test", {"b@test"}, noon, {"more\r\n"}).to_string();
    CHECK(has(run(node, {"queue", "show", id}).out, "sender       a@test\n"));
    CHECK(run(node, {"queue", "cat", id}).out == std::string(Node::head) + "more\r\n");

    const std::string unknown = "7ZZZZZZZZZZZZZZZZZZZZZZZZZ";
    const auto some = run(node, {"queue", "show", id, unknown, "--json"});
    CHECK(some.exit_code == 1);
    CHECK(has(some.out, id));
    CHECK(has(some.err, "posthorse: "));
    CHECK(run(node, {"queue", "cat", unknown}).exit_code == 1);
    CHECK(run(node, {"queue", "cat", "nonsense"}).exit_code == 2);
    CHECK(run(node, {"queue", "cat"}).exit_code == 2);
}

TEST_CASE("queue hold, resume, retry, rm and bounce by id") {
    Node node;
    const auto id = node.add("a@test", {"b@test"});
    const auto text = id.to_string();
    const auto held = run(node, {"queue", "hold", text, "--reason", "looks odd"});
    CHECK(held.exit_code == 0);
    CHECK(held.out == text + "  hold: done\n-- 1 done, 0 not\n");
    CHECK(node.find(id)->held_why == "looks odd");
    CHECK(has(run(node, {"queue", "ls"}).out, "held: looks odd"));
    CHECK(run(node, {"queue", "resume", text}).exit_code == 0);
    CHECK_FALSE(node.find(id)->held);
    CHECK(run(node, {"queue", "retry", text}).exit_code == 0);
    CHECK(node.find(id)->due_at == noon);
    CHECK(has(run(node, {"queue", "bounce", text, "--json"}).out, "\"outcome\":\"done\""));
    const auto gone = run(node, {"queue", "rm", text});
    CHECK(gone.exit_code == 1);
    CHECK(has(gone.out, "not found"));
    CHECK(has(gone.out, "-- 0 done, 1 not\n"));
}

TEST_CASE("bulk actions want ids, filters or --all, and just one of them") {
    Node node;
    const auto id = node.add("a@test", {"b@test"}).to_string();
    for (const auto& words :
         std::vector<std::vector<std::string>>{{"queue", "rm"},
                                               {"queue", "rm", "--dry-run"},
                                               {"queue", "rm", id, "--all"},
                                               {"queue", "rm", "--all", "--sender", "a@test"},
                                               {"queue", "rm", id, "--domain", "test"}}) {
        const auto refused = run(node, words);
        CHECK(refused.exit_code == 2);
        CHECK(has(refused.err, "ids, filters, or --all"));
    }
    CHECK(has(run(node, {"queue", "ls"}).out, "-- 1 message,"));
}

TEST_CASE(
    "bulk actions: dry run, filter, all, and more ids from standard input than a call takes") {
    Node node;
    std::string ids;
    for (int i = 0; i < 1005; ++i) ids += node.add("a@one.test", {"b@test"}).to_string() + "\n";
    node.add("a@two.test", {"b@test"});
    node.add("a@three.test", {"b@test"});

    const auto dry = run(node, {"queue", "rm", "--all", "--dry-run"});
    CHECK(dry.exit_code == 0);
    CHECK(has(dry.out, "-- 1007 would be done, 0 not\n"));
    CHECK(has(run(node, {"queue", "rm", "-"}, ids).out, "-- 1005 done, 0 not\n"));
    CHECK(has(run(node, {"queue", "rm", "--sender", "*@two.test"}).out, "-- 1 done, 0 not\n"));
    CHECK(has(run(node, {"queue", "rm", "--all"}).out, "-- 1 done, 0 not\n"));
    CHECK(run(node, {"queue", "rm", "-"}, "").out == "-- 0 done, 0 not\n");
    CHECK(run(node, {"queue", "ls"}).out == "The queue is empty.\n");
}

TEST_CASE("queue flush and summary, status and reload") {
    Node node;
    node.add("a@test", {"b@slow.test"});
    CHECK(run(node, {"queue", "flush"}).out == "-- 1 made due now, 0 not\n");
    CHECK(run(node, {"queue", "flush", "--json"}).out ==
          "{\"flushed\":0,\"failed\":0,\"missing\":[]}\n");
    CHECK(has(run(node, {"queue", "summary"}).out, "slow.test       1       1"));
    CHECK(has(run(node, {"queue", "summary", "--json"}).out, "\"domain\":\"slow.test\""));
    CHECK(has(run(node, {"status"}).out, "host         node.test\n"));
    CHECK(has(run(node, {"status", "--json"}).out, "\"messages\":1,"));
    CHECK(run(node, {"reload"}).exit_code == 0);
    node.on_home([&] { node.reload_problems = {"keys:3: no such file; write it"}; });
    const auto reload = run(node, {"reload"});
    CHECK(reload.exit_code == 1);
    CHECK(reload.err == "posthorse: keys:3: no such file; write it\n");
}

TEST_CASE("malformed options are usage errors") {
    Node node;
    CHECK(run(node, {"queue"}).exit_code == 2);
    CHECK(run(node, {"queue", "frobnicate"}).exit_code == 2);
    CHECK(run(node, {"queue", "ls", "--state", "angry"}).exit_code == 2);
    CHECK(run(node, {"queue", "ls", "--older-than", "5 parsecs"}).exit_code == 2);
    CHECK(run(node, {"queue", "ls", "--limit", "0"}).exit_code == 2);
    CHECK(run(node, {"queue", "ls", "--sender", "a*b@test"}).exit_code == 2);
    CHECK(run(node, {"queue", "summary", "--top", "0"}).exit_code == 2);
}

TEST_CASE("no node: exit 3, with the socket's path and what to do") {
    const test::SetClock clock;
    const test::ScratchDirectory scratch;
    const auto path = scratch.path("admin.sock");
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"status"}, {"queue", "ls"}, {"queue", "flush"}, {"queue", "rm", "--all"}}) {
        const auto ran = run(clock, path, words);
        CHECK(ran.exit_code == 3);
        CHECK(has(ran.err, path));
        CHECK(has(ran.err, "posthorse serve"));
        CHECK(has(ran.err, "--socket"));
    }
}

TEST_CASE("--socket goes before the configuration, whose fault is a usage error") {
    Node node;
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    AdminCliContext context{
        .socket_path = [] { return Result<std::string>(Error{Errc::invalid, "no such file"}); },
        .clock = node.clock,
        .in = in,
        .out = out,
        .err = err};
    CLI::App app;
    add_admin_commands(app, context);
    app.parse(std::vector<std::string>{"status"});
    CHECK(context.exit_code == 2);
    CHECK(err.str() == "posthorse: no such file\n");
    app.parse(std::vector<std::string>{node.socket(), "--socket", "status"});
    CHECK(context.exit_code == 0);
}

}  // namespace
}  // namespace posthorse::admin
