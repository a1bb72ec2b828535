#include "daemon/admin/pool_figures.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/admin/pools.h"

namespace posthorse::admin {
namespace {

using test::alpha;
using test::bravo;
using test::charlie;

TEST_CASE("a node holds what it owns and what it is in sync with") {
    const auto state = test::three_nodes().committed;
    CHECK(holdings_of(state, alpha).owned == 2);
    CHECK(holdings_of(state, alpha).in_sync == 3);
    CHECK(holdings_of(state, charlie).owned == 0);
    CHECK(holdings_of(state, charlie).in_sync == 1);
    CHECK(holdings_of(state, test::node_id(1)).in_sync == 0);
}

TEST_CASE("a partition is short of copies") {
    auto state = test::three_nodes().committed;
    const auto is_short_now = [&](std::vector<NodeId> in_sync) {
        return is_short(state, test::partition(9, std::move(in_sync)));
    };
    CHECK(is_short_now({alpha}));
    CHECK_FALSE(is_short_now({alpha, bravo}));
    CHECK_FALSE(is_short_now({alpha, bravo, charlie}));
    SUBCASE("an open solo one is of one node on purpose, a closing one is not") {
        auto solo = test::partition(9, {alpha});
        solo.solo = true;
        CHECK_FALSE(is_short(state, solo));
        solo.phase = replication::PartitionPhase::closing;
        CHECK(is_short(state, solo));
    }
    SUBCASE("a pool with fewer nodes than copies wants as many as it has, away or not") {
        state.settings.copies = 5;
        CHECK(is_short_now({alpha, bravo}));
        CHECK_FALSE(is_short_now({alpha, bravo, charlie}));
        state.members.resize(1);
        CHECK_FALSE(is_short_now({alpha}));
    }
}

TEST_CASE("states of members") {
    auto member = test::member(alpha, "alpha", "");
    CHECK(state_of(member) == MemberState::live);
    member.draining = true;
    CHECK(state_of(member) == MemberState::draining);
    member.live = false;
    CHECK(state_of(member) == MemberState::away);
}

}  // namespace
}  // namespace posthorse::admin
