#include "daemon/admin/cli_pool_text.h"

#include <doctest/doctest.h>

#include "daemon/admin/pool_messages.h"
#include "tests/unit/daemon/admin/pools.h"

namespace posthorse::admin {
namespace {

using test::alpha;
using test::bravo;

bool has(const std::string& text, const std::string& part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

TEST_CASE("the table of nodes") {
    CHECK(nodes_text(to_pool(test::three_nodes())) ==
          "NAME    ID       STATE    ROLE    LEASE ZONE RELEASE  OWNS HOLDS ADDRESS\n"
          "alpha   aa010000 live     leader   8.4s east 0.1.0       2     3 alpha.test:9626\n"
          "bravo   aa020000 live     voter    7.0s west 0.2.0       1     2 bravo.test:9626\n"
          "charlie cc030000 away     voter       - -    0.1.0       0     1 charlie.test:9626\n"
          "-- 3 nodes: 2 live, 1 away\n");
}

TEST_CASE("the table of nodes: draining, waiting, and nodes without a name") {
    auto view = test::three_nodes();
    view.committed.members[1].draining = true;
    view.committed.members[1].facts.name.clear();
    view.status.incarnation = {6, 2};  // this node's earlier start has not ended
    view.status.voters = {};
    const auto text = nodes_text(to_pool(view));
    CHECK(has(text, "alpha   aa010000 waiting  leader"));
    CHECK(has(text, "-       aa020000 draining -     "));
    CHECK(has(text, "-- 3 nodes: 1 draining, 1 waiting, 1 away\n"));
    CHECK(text.find("-       aa02") < text.find("alpha"));  // by name
    view.status.incarnation = {5, 1};
    view.committed.members[0].live = false;
    CHECK(has(nodes_text(to_pool(view)), "alpha   aa010000 waiting"));
}

TEST_CASE("before there is a pool") {
    PoolView view;
    view.name = "alpha";
    view.status.self = alpha;
    view.status.phase = "looking for a pool";
    view.status.waits_for = "2 nodes of 3";
    CHECK(nodes_text(to_pool(view)) ==
          "This node has no pool yet: looking for a pool; it waits for 2 nodes of 3.\n");
    CHECK(pool_text(to_pool(view)) ==
          "pool         none yet\n"
          "this node    alpha (aa010000), looking for a pool, incarnation 0\n"
          "waits for    2 nodes of 3\n");
}

TEST_CASE("who is waited for because it may have a copy of what a removed node held") {
    auto view = test::three_nodes();
    const auto away = view.committed.members[2].id;
    auto& partition = view.committed.partitions[0];
    partition.unvouched = true;
    CHECK_FALSE(has(pool_text(to_pool(view)), "of a removed node"));
    partition.in_sync.push_back(away);
    CHECK(has(pool_text(to_pool(view)),
              "1 partition of a removed node: charlie may have a copy and is waited for; bring it "
              "back, or remove it\n"));
}

TEST_CASE("the pool's figures, and what is wrong") {
    auto view = test::three_nodes();
    view.set_aside = {"/var/lib/posthorse/stranger-1"};
    CHECK(pool_text(to_pool(view)) ==
          "pool         f00d, incarnation 1\n"
          "version      17, term 3\n"
          "leader       alpha (aa010000)\n"
          "voters       alpha, bravo, charlie\n"
          "nodes        3 nodes: 2 live, 1 away\n"
          "copies       2\n"
          "this node    alpha (aa010000), member, incarnation 5, lease 8.4s\n"
          "release      0.1.0, 0.2.0 (mixed), features of level 2\n"
          "partitions   4, 1 closing\n"
          "problem      1 partition without an owner: mail in there waits for charlie\n"
          "problem      1 partition with fewer in-sync nodes than copies\n"
          "problem      charlie (cc030000) is away\n"
          "problem      set aside, its mail is not sent: /var/lib/posthorse/stranger-1\n");
}

TEST_CASE("nothing is wrong") {
    auto view = test::three_nodes();
    view.committed.members.pop_back();
    view.committed.partitions.pop_back();
    view.status.voters = {{alpha, bravo}};
    CHECK(has(pool_text(to_pool(view)), "-- nothing is wrong\n"));
    CHECK_FALSE(has(pool_text(to_pool(view)), "problem"));
}

TEST_CASE("without a leader, and without a lease") {
    auto view = test::three_nodes();
    view.status.leader.reset();
    view.status.voters_change = true;
    view.status.lease_left = Duration{20};
    auto text = pool_text(to_pool(view));
    CHECK(has(text, "leader       none\n"));
    CHECK(has(text, "voters       alpha, bravo, charlie (changing)\n"));
    CHECK(has(text, "problem      no leader is heard here"));
    CHECK(has(nodes_text(to_pool(view)), "1 away; no leader is heard, this was agreed last\n"));
    CHECK(has(text, "problem      this node has no lease"));
    view.status.lease_left.reset();
    CHECK(has(pool_text(to_pool(view)), "problem      this node has no lease"));
    view.status.evictable = false;
    text = pool_text(to_pool(view));
    CHECK_FALSE(has(text, "no lease"));
    CHECK(has(text, "incarnation 5, cannot be evicted\n"));
}

TEST_CASE("a pool on etcd has no leader, and misses none") {
    auto view = test::three_on_etcd();
    auto text = pool_text(to_pool(view));
    CHECK(has(text, "version      17\ndecides      etcd\nnodes "));
    CHECK_FALSE(has(text, "leader"));
    CHECK_FALSE(has(text, "voters"));
    CHECK(has(nodes_text(to_pool(view)), "1 away\n"));

    view.status.lease_left = Duration{};
    view.status.waits_for = "etcd: https://etcd-1:2379: connection refused";
    text = pool_text(to_pool(view));
    CHECK(has(text, "waits for    etcd: https://etcd-1:2379: connection refused\n"));
    CHECK(has(text, "problem      this node has no lease by etcd"));
    CHECK(has(nodes_text(to_pool(view)), "without a lease by etcd, this was heard last\n"));
}

TEST_CASE("the table of partitions") {
    CHECK(partitions_text(to_pool(test::three_nodes())) ==
          "PARTITION STATE              EPOCH OWNER   IN SYNC\n"
          "        1 open                  11 alpha   alpha, bravo\n"
          "        2 open,solo             12 alpha   alpha\n"
          "        3 closing               13 bravo   bravo, alpha\n"
          "        4 open,short            14 -       charlie\n");
}

}  // namespace
}  // namespace posthorse::admin
