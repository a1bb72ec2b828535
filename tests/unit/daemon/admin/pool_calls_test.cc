#include "daemon/admin/pool_calls.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/admin/admin_fixture.h"
#include "tests/unit/daemon/admin/pools.h"

namespace posthorse::admin {
namespace {

using grpc::StatusCode;
using replication::Lost;
using test::alpha;
using test::bravo;
using test::charlie;

// A node of the pool of three, and a client.
struct Pool {
    Pool() : stub(node.connect()) {
        node.on_home([&] { node.pool = test::three_nodes(); });
    }

    grpc::Status drain(const std::string& member, bool draining = true) {
        grpc::ClientContext call;
        v1::SetDrainingRequest request;
        request.set_member(member);
        request.set_draining(draining);
        request.set_operator_name("olga");
        return stub->SetDraining(&call, request, &drained);
    }
    grpc::Status remove(const std::vector<std::string>& members,
                        v1::Removal removal = v1::REMOVAL_SAFE) {
        grpc::ClientContext call;
        v1::RemoveMemberRequest request;
        request.mutable_members()->Assign(members.begin(), members.end());
        request.set_removal(removal);
        return stub->RemoveMember(&call, request, &removed);
    }
    grpc::Status move(v1::PoolControl to) {
        grpc::ClientContext call;
        v1::MovePoolRequest request;
        request.set_to(to);
        v1::MovePoolResponse moved;
        return stub->MovePool(&call, request, &moved);
    }
    void lose_leader() {
        node.on_home([&] { node.pool.status.leader.reset(); });
    }
    void answer(Error error) {
        node.on_home([&] { node.proposal_answer = std::move(error); });
    }
    template <class Change>
    Change proposed() {
        Change change;
        node.on_home([&] {
            REQUIRE(node.proposals.size() == 1);
            REQUIRE(std::holds_alternative<Change>(node.proposals[0]));
            change = std::get<Change>(node.proposals[0]);
        });
        return change;
    }
    bool nothing_asked() {
        bool nothing = false;
        node.on_home([&] { nothing = node.proposals.empty() && node.begun_without.empty(); });
        return nothing;
    }

    test::Node node;
    std::unique_ptr<v1::Admin::Stub> stub;
    v1::SetDrainingResponse drained;
    v1::RemoveMemberResponse removed;
};

bool says(const grpc::Status& status, StatusCode code, const std::string& part) {
    INFO(status.error_code(), ": ", status.error_message());
    return status.error_code() == code && status.error_message().find(part) != std::string::npos;
}

TEST_CASE("GetPool answers with the pool, and before there is one") {
    Pool pool;
    grpc::ClientContext call;
    v1::GetPoolResponse response;
    REQUIRE(pool.stub->GetPool(&call, {}, &response).ok());
    CHECK(response.version() == 17);
    CHECK(response.members_size() == 3);
    pool.node.on_home([&] { pool.node.pool = {}; });
    grpc::ClientContext again;
    REQUIRE(pool.stub->GetPool(&again, {}, &response).ok());
    CHECK(response.pool_id() == "");
}

TEST_CASE("SetDraining proposes the change for the member that was meant") {
    Pool pool;
    bool draining = true;
    SUBCASE("a drain") {}
    SUBCASE("its end") {
        draining = false;
    }
    REQUIRE(pool.drain("aa02", draining).ok());
    const auto change = pool.proposed<replication::SetDraining>();
    CHECK(change.node == bravo);
    CHECK(change.draining == draining);
    CHECK(pool.drained.member_id() == bravo.to_string());
    CHECK(pool.drained.member_name() == "bravo");
}

TEST_CASE("names that mean no member, or several, change nothing") {
    Pool pool;
    pool.node.on_home([&] { pool.node.pool.committed.members[1].facts.name = "alpha"; });
    CHECK(says(pool.drain("delta"), StatusCode::NOT_FOUND, "'delta'"));
    CHECK(says(pool.drain(""), StatusCode::INVALID_ARGUMENT, "its name"));
    CHECK(says(pool.drain("alpha"), StatusCode::FAILED_PRECONDITION, bravo.to_string()));
    CHECK(says(pool.remove({"delta"}), StatusCode::NOT_FOUND, "'delta'"));
    CHECK(says(pool.remove({"alpha"}), StatusCode::FAILED_PRECONDITION, alpha.to_string()));
    CHECK(pool.nothing_asked());
}

TEST_CASE("without a leader nothing is proposed") {
    Pool pool;
    pool.lose_leader();
    CHECK(says(pool.drain("bravo"), StatusCode::FAILED_PRECONDITION, "no leader"));
    CHECK(says(pool.remove({"charlie"}), StatusCode::FAILED_PRECONDITION, "no leader"));
    CHECK(says(pool.remove({"charlie"}, v1::REMOVAL_GIVE_UP), StatusCode::FAILED_PRECONDITION,
               "no leader"));
    CHECK(pool.nothing_asked());
}

TEST_CASE("on etcd who has a lease proposes, and who has none may begin anew") {
    Pool pool;
    const auto set = [&](Duration left) {
        pool.node.on_home([&] {
            pool.node.pool = test::three_on_etcd();
            pool.node.pool.status.lease_left = left;
        });
    };
    const auto begin = [&] { return pool.remove({"bravo", "charlie"}, v1::REMOVAL_BEGIN_WITHOUT); };
    set(std::chrono::seconds{5});
    CHECK(pool.drain("bravo").ok());
    CHECK(says(begin(), StatusCode::FAILED_PRECONDITION, "a lease by etcd again"));
    set(Duration{});
    CHECK(says(pool.drain("bravo"), StatusCode::FAILED_PRECONDITION, "no lease by etcd"));
    CHECK(begin().ok());
}

TEST_CASE("what became of a proposal is answered as the errors of the API say") {
    const struct {
        Errc error;
        StatusCode code;
    } rows[] = {{Errc::conflict, StatusCode::FAILED_PRECONDITION},
                {Errc::unavailable, StatusCode::UNAVAILABLE},
                {Errc::unknown, StatusCode::UNKNOWN}};
    for (const auto& row : rows) {
        Pool pool;
        pool.answer({row.error, "charlie lives"});
        CHECK(says(pool.drain("charlie"), row.code, "charlie lives"));
        CHECK(says(pool.remove({"charlie"}), row.code, "charlie lives"));
    }
}

TEST_CASE("RemoveMember: safe unless told to give up what only the member holds") {
    const struct {
        v1::Removal removal;
        Lost lost;
    } rows[] = {{v1::REMOVAL_UNSPECIFIED, Lost::refuse},
                {v1::REMOVAL_SAFE, Lost::refuse},
                {v1::REMOVAL_GIVE_UP, Lost::accept}};
    for (const auto& row : rows) {
        Pool pool;
        REQUIRE(pool.remove({"charlie"}, row.removal).ok());
        const auto change = pool.proposed<replication::RemoveMember>();
        CHECK(change.node == charlie);
        CHECK(change.lost == row.lost);
        REQUIRE(pool.removed.member_ids_size() == 1);
        CHECK(pool.removed.member_ids(0) == charlie.to_string());
    }
}

TEST_CASE("MovePool proposes the control plane that was named") {
    Pool pool;
    CHECK(says(pool.move(v1::POOL_CONTROL_UNSPECIFIED), StatusCode::INVALID_ARGUMENT, "to"));
    CHECK(pool.nothing_asked());
    v1::PoolControl to = v1::POOL_CONTROL_ETCD;
    auto control = replication::PoolControl::etcd;
    SUBCASE("etcd") {}
    SUBCASE("embedded") {
        to = v1::POOL_CONTROL_EMBEDDED;
        control = replication::PoolControl::embedded;
    }
    REQUIRE(pool.move(to).ok());
    CHECK(pool.proposed<replication::SetControl>().control == control);
    pool.lose_leader();
    CHECK(says(pool.move(to), StatusCode::FAILED_PRECONDITION, "no leader"));
}

TEST_CASE("RemoveMember: counts of members that do not fit are malformed") {
    Pool pool;
    const std::vector<std::string> many(replication::members_max + 1, "charlie");
    const auto bad = StatusCode::INVALID_ARGUMENT;
    CHECK(says(pool.remove({}), bad, "name one"));
    CHECK(says(pool.remove({"bravo", "charlie"}), bad, "name one"));
    CHECK(says(pool.remove({"bravo", "charlie"}, v1::REMOVAL_GIVE_UP), bad, "name one"));
    CHECK(says(pool.remove({}, v1::REMOVAL_BEGIN_WITHOUT), bad, "all members"));
    CHECK(says(pool.remove(many, v1::REMOVAL_BEGIN_WITHOUT), bad, "all members"));
    CHECK(says(pool.remove({"bravo"}, static_cast<v1::Removal>(9)), bad, "removal"));
    CHECK(pool.nothing_asked());
}

TEST_CASE("RemoveMember: begins without the others, each once, only when there is no leader") {
    Pool pool;
    const auto begin = [&](const std::vector<std::string>& members) {
        return pool.remove(members, v1::REMOVAL_BEGIN_WITHOUT);
    };
    CHECK(says(begin({"bravo", "charlie"}), StatusCode::FAILED_PRECONDITION, "has a leader again"));
    pool.lose_leader();
    CHECK(says(begin({"alpha", "bravo"}), StatusCode::FAILED_PRECONDITION, "not alpha"));
    CHECK(pool.nothing_asked());
    REQUIRE(begin({"charlie", "bravo", "cc03"}).ok());
    pool.node.on_home([&] {
        REQUIRE(pool.node.begun_without.size() == 1);
        CHECK(pool.node.begun_without[0] == std::vector{bravo, charlie});
    });
    pool.answer({Errc::conflict, "name every other node"});
    CHECK(says(begin({"bravo"}), StatusCode::FAILED_PRECONDITION, "every other"));
}

}  // namespace
}  // namespace posthorse::admin
