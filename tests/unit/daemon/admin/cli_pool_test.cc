#include "daemon/admin/cli_pool.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/admin/cli_runs.h"
#include "tests/unit/daemon/admin/pools.h"

namespace posthorse::admin {
namespace {

using test::bravo;
using test::charlie;
using test::has;
using test::Node;
using test::Ran;
using test::run;

// A node of the pool of three.
struct Member : Node {
    Member() {
        on_home([this] { pool = test::three_nodes(); });
    }
    void lose_leader() {
        on_home([this] { pool.status.leader.reset(); });
    }
    Ran at_terminal(std::vector<std::string> words, const std::string& answer) {
        return run(clock, socket(), std::move(words), {answer + "\n", true});
    }
    std::vector<replication::Change> asked() {
        std::vector<replication::Change> changes;
        on_home([&] { changes = std::exchange(proposals, {}); });
        return changes;
    }
    std::vector<std::vector<NodeId>> began() {
        std::vector<std::vector<NodeId>> without;
        on_home([&] { without = std::exchange(begun_without, {}); });
        return without;
    }
};

TEST_CASE("node ls and pool status, as text and as JSON") {
    Member node;
    CHECK(has(run(node, {"node", "ls"}).out, "bravo   aa020000 live     voter"));
    const auto json = run(node, {"node", "ls", "--json"}).out;
    CHECK(std::count(json.begin(), json.end(), '\n') == 3);
    CHECK(has(json, R"("name":"bravo","address":"bravo.test:9626")"));
    CHECK(has(json, R"("lease_left":"8.490s")"));
    CHECK(has(json, R"("lease_left":null)"));
    const auto status = run(node, {"pool", "status"});
    CHECK(status.exit_code == 0);
    CHECK(has(status.out, "leader       alpha (aa010000)\n"));
    CHECK_FALSE(has(status.out, "PARTITION"));
    CHECK(has(run(node, {"pool", "status", "--partitions"}).out, "2 open,solo"));
    CHECK(run(node, {"pool", "status", "--json"}).out.starts_with("{\"pool_id\":\"f00d\","));
}

TEST_CASE("pool move ends when every live member has followed") {
    Member node;
    node.on_home([&] { node.pool.status.control = replication::PoolControl::etcd; });
    const auto moved = run(node, {"pool", "move", "--to", "etcd"});
    CHECK(moved.exit_code == 0);
    CHECK(has(moved.out, "the pool is on etcd now"));
    const auto asked = node.asked();
    REQUIRE(asked.size() == 1);
    CHECK(std::get<replication::SetControl>(asked[0]).control == replication::PoolControl::etcd);
    node.on_home([&] { node.proposal_answer = Error{Errc::conflict, "is there already"}; });
    const auto refused = run(node, {"pool", "move", "--to", "embedded"});
    CHECK(refused.exit_code == 1);
    CHECK(has(refused.err, "is there already"));
    CHECK(run(node, {"pool", "move", "--to", "zookeeper"}).exit_code == 2);
}

TEST_CASE("node drain and resume") {
    Member node;
    const auto drained = run(node, {"node", "drain", "bravo"});
    CHECK(drained.exit_code == 0);
    CHECK(drained.out == "bravo: draining\n");
    auto asked = node.asked();
    REQUIRE(asked.size() == 1);
    CHECK(std::get<replication::SetDraining>(asked[0]).draining);
    CHECK(run(node, {"node", "resume", "aa02"}).out == "aa02: takes part again\n");
    asked = node.asked();
    REQUIRE(asked.size() == 1);
    CHECK_FALSE(std::get<replication::SetDraining>(asked[0]).draining);
    const auto unknown = run(node, {"node", "drain", "delta"});
    CHECK(unknown.exit_code == 1);
    CHECK(has(unknown.err, "no member 'delta'"));
    node.on_home([&] { node.proposal_answer = Error{Errc::unknown, "no answer in time"}; });
    const auto lost = run(node, {"node", "drain", "bravo"});
    CHECK(lost.exit_code == 1);
    CHECK(has(lost.err, "no answer in time; it may have happened"));
    CHECK(run(node, {"node", "drain"}).exit_code == 2);
    CHECK(run(node, {"node", "drain", "bravo", "charlie"}).exit_code == 2);
    CHECK(run(node, {"node"}).exit_code == 2);
}

TEST_CASE("node remove: each by itself, without a question") {
    Member node;
    const auto removed = run(node, {"node", "remove", "charlie", "delta", "bravo"});
    CHECK(removed.exit_code == 1);
    CHECK(removed.out == "charlie: removed\nbravo: removed\n");
    CHECK(has(removed.err, "'delta'"));
    const auto asked = node.asked();
    REQUIRE(asked.size() == 2);
    const auto& first = std::get<replication::RemoveMember>(asked[0]);
    CHECK(first.node == charlie);
    CHECK(first.lost == replication::Lost::refuse);
    CHECK(run(node, {"node", "remove"}).exit_code == 2);
}

TEST_CASE("node remove --force asks at a terminal, and wants --yes elsewhere") {
    Member node;
    const std::vector<std::string> forced{"node", "remove", "charlie", "--force"};
    const auto elsewhere = run(node, forced, "yes\n");
    CHECK(elsewhere.exit_code == 2);
    CHECK(has(elsewhere.err, "--yes"));
    for (const auto* answer : {"no", "", "yess"}) {
        const auto refused = node.at_terminal(forced, answer);
        CHECK(refused.exit_code == 1);
        CHECK(has(refused.err, "nothing was done"));
    }
    CHECK(node.asked().empty());
    const auto done = node.at_terminal(forced, "yes");
    CHECK(done.exit_code == 0);
    CHECK(done.out == "charlie: removed\n");
    CHECK(has(done.err, "older copies go on, in doubt: charlie\n"));
    const auto asked = node.asked();
    REQUIRE(asked.size() == 1);
    CHECK(std::get<replication::RemoveMember>(asked[0]).lost == replication::Lost::accept);
    CHECK(node.began().empty());
}

TEST_CASE("node remove on etcd: --force gives up what one held while there is a lease") {
    Member node;
    node.on_home([&] { node.pool = test::three_on_etcd(); });
    const auto given_up = run(node, {"node", "remove", "charlie", "--force", "--yes"});
    CHECK(given_up.exit_code == 0);
    CHECK(node.asked().size() == 1);
    CHECK(node.began().empty());
}

TEST_CASE("node remove without a leader: --force goes on without all the others") {
    Member node;
    node.lose_leader();
    const auto plain = run(node, {"node", "remove", "bravo", "charlie"});
    CHECK(plain.exit_code == 1);
    CHECK(has(plain.err, "no leader"));
    CHECK(node.began().empty());
    const auto forced = run(node, {"node", "remove", "bravo", "charlie", "--force", "--yes"});
    CHECK(forced.exit_code == 0);
    CHECK(forced.out == "bravo: removed\ncharlie: removed\n");
    CHECK(has(forced.err, "what only they hold: bravo, charlie\n"));
    CHECK_FALSE(has(forced.err, "Go on?"));
    CHECK(node.asked().empty());
    CHECK(node.began() == std::vector<std::vector<NodeId>>{{bravo, charlie}});
    const auto refused = node.at_terminal({"node", "remove", "bravo", "--force"}, "no");
    CHECK(refused.exit_code == 1);
    CHECK(node.began().empty());
}

TEST_CASE("no node: exit 3") {
    const test::SetClock clock;
    const test::ScratchDirectory scratch;
    const auto path = scratch.path("admin.sock");
    for (const auto& words :
         std::vector<std::vector<std::string>>{{"node", "ls"},
                                               {"pool", "status"},
                                               {"node", "drain", "a"},
                                               {"node", "remove", "a", "--force", "--yes"}}) {
        const auto ran = run(clock, path, words);
        CHECK(ran.exit_code == 3);
        CHECK(has(ran.err, path));
    }
}

}  // namespace
}  // namespace posthorse::admin
