// What operators see and do of copies that were set aside, in a pool of which parts are missing.
#include "daemon/admin/aside_calls.h"

#include "tests/unit/daemon/admin/admin_client.h"
#include "tests/unit/daemon/admin/cli_runs.h"
#include "tests/unit/daemon/admin/pool_fixture.h"

namespace posthorse::admin {
namespace {

using namespace std::chrono_literals;
using test::Client;
using test::has;
using test::noon;
using test::Pool;
using test::run;

const std::string directory = "20260701T120501Z-aa";

QueueId id_in(std::uint32_t partition, std::uint32_t counter = 1) {
    return QueueId::make(noon - 1h, PartitionId{partition}, Epoch{1}, counter);
}

aside::Found found(QueueId id) {
    auto envelope = test::message(1, 2h, "old@test", {"one@test", "two@test"});
    envelope.id = id;
    envelope.recipients[0].state = RecipientState::delivered;
    return {.directory = directory,
            .why = "its disk went back",
            .pool_id = "pool",
            .id = id,
            .envelope = envelope,
            .problem = {},
            .adopted_as = {},
            .open_attempts = 1};
}

// What daemon/aside would do with copies of its own.
struct Copies {
    std::vector<aside::Found> messages;
    std::vector<aside::Order> orders;
    std::size_t tidied = 0;
    Result<void> answer;

    explicit Copies(test::Node& node) {
        node.aside.list = [this](const std::string& only, const aside::Place& from,
                                 std::size_t limit, auto done) { done(list(only, from, limit)); };
        node.aside.find = [this](const std::string&, const std::vector<QueueId>& ids, auto done) {
            std::vector<aside::Found> some;
            for (const auto& one : messages) {
                if (std::ranges::count(ids, one.id) > 0) some.push_back(one);
            }
            done(some);
        };
        node.aside.act = [this](const aside::Order& order, auto done) { done(act(order)); };
        node.aside.tidy = [this](auto done) {
            ++tidied;
            done({});
        };
    }
    aside::Page list(const std::string& only, const aside::Place& from, std::size_t limit) const {
        aside::Page page;
        for (const auto& one : messages) {
            if (!only.empty() && one.directory != only) continue;
            if (aside::Place{one.directory, one.id} <= from) continue;
            if (page.found.size() == limit) {
                page.next = {page.found.back().directory, page.found.back().id};
                break;
            }
            page.found.push_back(one);
        }
        return page;
    }
    std::vector<aside::Done> act(const aside::Order& order) {
        orders.push_back(order);
        std::vector<aside::Done> done;
        for (const auto& task : order.tasks) {
            done.push_back({task.message, {}, answer});
            const bool adopts = task.deed == aside::Deed::adopt && !order.dry_run;
            if (adopts && answer) done.back().new_id = id_in(1, 77);
        }
        return done;
    }
    // Of all orders.
    std::vector<QueueId> acted_on(aside::Deed deed) const {
        std::vector<QueueId> ids;
        for (const auto& order : orders) {
            for (const auto& task : order.tasks) {
                if (task.deed == deed) ids.push_back(task.message.id);
            }
        }
        return ids;
    }
};

// One message of each presence: queued at n2, finished at n3, gone, and one that nobody can tell.
struct Rig {
    Pool pool;
    Copies copies{pool.node};
    QueueId queued, finished = id_in(4), gone = id_in(88), unknown = id_in(5);

    Rig() {
        pool.node.on_home([this] {
            queued = pool.n2->queue.add({2}, noon - 1h, 1).id;
            for (const auto id : {queued, finished, gone, unknown})
                copies.messages.push_back(found(id));
        });
    }
    std::vector<v1::SetAsideResult> act(const v1::ActOnSetAsideRequest& request) {
        Client client(pool.node);
        grpc::ClientContext call;
        const auto stream = client.stub->ActOnSetAside(&call, request);
        std::vector<v1::SetAsideResult> results;
        for (v1::ActOnSetAsideResponse batch; stream->Read(&batch);)
            results.insert(results.end(), batch.results().begin(), batch.results().end());
        const auto status = stream->Finish();
        REQUIRE_MESSAGE(status.ok(), status.error_message());
        return results;
    }
};

v1::ActOnSetAsideRequest adopt_all() {
    v1::ActOnSetAsideRequest request;
    request.set_action(v1::SET_ASIDE_ACTION_ADOPT);
    request.set_all(true);
    request.set_operator_name("olga");
    return request;
}

TEST_CASE("ListSetAside: what was set aside, and what the pool knows of it") {
    Rig rig;
    rig.copies.messages[0].envelope->held = true;
    Client client(rig.pool.node);
    grpc::ClientContext call;
    v1::ListSetAsideResponse page;
    REQUIRE(client.stub->ListSetAside(&call, {}, &page).ok());
    REQUIRE(page.messages_size() == 4);
    CHECK(page.next_page_token().empty());
    const auto& first = page.messages(0);
    CHECK(first.directory() == directory);
    CHECK(first.why() == "its disk went back");
    CHECK(first.id() == rig.queued.to_string());
    CHECK(first.sender() == "old@test");
    REQUIRE(first.pending_size() == 1);
    CHECK(first.pending(0) == "two@test");
    CHECK(first.size_bytes() == 1000);
    CHECK(first.held());
    CHECK(first.attempts_in_doubt() == 1);
    CHECK(first.presence() == v1::POOL_PRESENCE_QUEUED);
    CHECK(page.messages(1).presence() == v1::POOL_PRESENCE_FINISHED);
    CHECK(page.messages(2).presence() == v1::POOL_PRESENCE_GONE);
    CHECK(page.messages(3).presence() == v1::POOL_PRESENCE_UNKNOWN);
    CHECK(has(page.messages(3).presence_detail(), "no live owner"));
}

TEST_CASE("ListSetAside: of what former holders do not vouch for nothing can be told") {
    Rig rig;
    rig.pool.node.on_home([&] {
        auto state = rig.pool.node.control.read();
        for (auto& partition : state.partitions) partition.unvouched = true;
        rig.pool.node.control.become(std::move(state));
    });
    Client client(rig.pool.node);
    grpc::ClientContext call;
    v1::ListSetAsideResponse page;
    REQUIRE(client.stub->ListSetAside(&call, {}, &page).ok());
    REQUIRE(page.messages_size() == 4);
    for (const int one : {0, 1, 3})
        CHECK(page.messages(one).presence() == v1::POOL_PRESENCE_UNKNOWN);
    CHECK(page.messages(2).presence() == v1::POOL_PRESENCE_GONE);
}

TEST_CASE("ListSetAside: pages, and more ids of one node than it is asked for at once") {
    Rig rig;
    rig.pool.node.on_home([&] {
        rig.copies.messages.clear();
        for (std::uint32_t i = 0; i < 250; ++i) rig.copies.messages.push_back(found(id_in(4, i)));
    });
    Client client(rig.pool.node);
    std::size_t seen = 0;
    v1::ListSetAsideRequest request;
    v1::ListSetAsideResponse page;
    do {
        grpc::ClientContext call;
        page.Clear();
        REQUIRE(client.stub->ListSetAside(&call, request, &page).ok());
        seen += static_cast<std::size_t>(page.messages_size());
        for (const auto& one : page.messages()) CHECK(one.presence() == v1::POOL_PRESENCE_FINISHED);
        request.set_page_token(page.next_page_token());
    } while (!page.next_page_token().empty());
    CHECK(seen == 250);

    Presences presences;
    rig.pool.node.on_home([&] {
        std::vector<QueueId> ids;
        for (std::uint32_t i = 0; i < 250; ++i) ids.push_back(id_in(4, i));
        ask_presence(*rig.pool.node.pool_queue, ids, 1s,
                     [&](Presences answer) { presences = std::move(answer); });
    });
    CHECK(presences.size() == 250);
}

TEST_CASE("ListSetAside: malformed requests are refused with the field's name") {
    Rig rig;
    Client client(rig.pool.node);
    const auto refused = [&](const char* field, auto set) {
        v1::ListSetAsideRequest request;
        set(request);
        grpc::ClientContext call;
        v1::ListSetAsideResponse page;
        const auto status = client.stub->ListSetAside(&call, request, &page);
        CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
        CHECK_MESSAGE(has(status.error_message(), field), status.error_message());
    };
    refused("page_size", [](auto& r) { r.set_page_size(101); });
    refused("page_token", [](auto& r) { r.set_page_token("x"); });
    refused("page_token", [](auto& r) { r.set_page_token("x/y"); });
    refused("directory", [](auto& r) { r.set_directory("../queue"); });
    refused("directory", [](auto& r) { r.set_directory(".."); });
}

TEST_CASE("adopt: only what nobody else can have sent, unless it is forced") {
    Rig rig;
    const auto results = rig.act(adopt_all());
    REQUIRE(results.size() == 4);
    CHECK(rig.copies.acted_on(aside::Deed::adopt) == std::vector{rig.gone});
    std::map<std::string, v1::SetAsideResult> by_id;
    for (const auto& one : results) by_id[one.id()] = one;
    for (const auto id : {rig.queued, rig.finished, rig.unknown})
        CHECK(by_id[id.to_string()].outcome() == v1::ActResult::OUTCOME_REFUSED);
    CHECK(has(by_id[rig.queued.to_string()].detail(), "in the pool's queue"));
    CHECK(has(by_id[rig.finished.to_string()].detail(), "finished"));
    CHECK(has(by_id[rig.unknown.to_string()].detail(), "no live owner"));
    CHECK(by_id[rig.gone.to_string()].outcome() == v1::ActResult::OUTCOME_DONE);
    CHECK(by_id[rig.gone.to_string()].adopted_as() == id_in(1, 77).to_string());
    CHECK(rig.copies.tidied == 1);
    CHECK(rig.pool.node.audited.size() == 4);
    CHECK(rig.pool.node.audited.back() ==
          "operator_action action=adopt id=" + rig.gone.to_string() + " directory=" + directory +
              " adopted_as=" + id_in(1, 77).to_string() +
              " operator=olga reason=\"\" outcome=OUTCOME_DONE detail=\"\"");

    auto forced = adopt_all();
    forced.set_force(true);
    rig.act(forced);
    CHECK(rig.copies.orders.back().tasks.size() == 4);
}

TEST_CASE("adopt: a dry run says what would be done, changes nothing and is not audited") {
    Rig rig;
    auto request = adopt_all();
    request.set_dry_run(true);
    const auto results = rig.act(request);
    REQUIRE(results.size() == 4);
    CHECK(results.back().outcome() == v1::ActResult::OUTCOME_WOULD_ACT);
    REQUIRE(rig.copies.orders.size() == 1);
    CHECK(rig.copies.orders[0].dry_run);
    CHECK(rig.copies.tidied == 0);
    CHECK(rig.pool.node.audited.empty());
}

TEST_CASE(
    "adopt: one that was adopted before only leaves the copy, and one that may have been "
    "is refused") {
    Rig rig;
    rig.pool.node.on_home([&] {
        rig.copies.messages = {found(rig.gone), found(id_in(89))};
        rig.copies.messages[0].adopted_as = rig.queued;
        rig.copies.messages[1].adopted_as = rig.finished;
    });
    const auto results = rig.act(adopt_all());
    REQUIRE(results.size() == 2);
    CHECK(rig.copies.acted_on(aside::Deed::remove) == std::vector{rig.gone});
    CHECK(rig.copies.acted_on(aside::Deed::adopt).empty());
    CHECK(results[0].outcome() == v1::ActResult::OUTCOME_REFUSED);
    CHECK(has(results[0].detail(), "its adoption as " + rig.finished.to_string()));
    CHECK(results[1].outcome() == v1::ActResult::OUTCOME_DONE);
    CHECK(results[1].adopted_as() == rig.queued.to_string());
}

TEST_CASE("adopt: the ids of another pool say nothing of this one's") {
    Rig rig;
    rig.pool.node.on_home([&] {
        rig.copies.messages = {found(rig.finished)};
        rig.copies.messages[0].pool_id = "another";
    });
    CHECK(rig.act(adopt_all())[0].outcome() == v1::ActResult::OUTCOME_DONE);
}

TEST_CASE(
    "ids: each is answered, one that nothing has as not found; a copy that cannot be opened "
    "is said") {
    Rig rig;
    v1::ActOnSetAsideRequest request;
    request.set_action(v1::SET_ASIDE_ACTION_REMOVE);
    request.mutable_ids()->add_ids(rig.queued.to_string());
    request.mutable_ids()->add_ids(id_in(90).to_string());
    const auto results = rig.act(request);
    REQUIRE(results.size() == 2);
    CHECK(results[0].outcome() == v1::ActResult::OUTCOME_NOT_FOUND);
    CHECK(results[1].outcome() == v1::ActResult::OUTCOME_DONE);
    CHECK(rig.copies.acted_on(aside::Deed::remove) == std::vector{rig.queued});

    rig.pool.node.on_home([&] {
        rig.copies.messages = {found(QueueId{})};
        rig.copies.messages[0].envelope.reset();
        rig.copies.messages[0].problem = "there is no database in it";
    });
    request.set_all(true);
    const auto unopened = rig.act(request);
    REQUIRE(unopened.size() == 1);
    CHECK(unopened[0].outcome() == v1::ActResult::OUTCOME_REFUSED);
    CHECK(unopened[0].id().empty());
    CHECK(has(unopened[0].detail(), "no database"));
}

TEST_CASE("ActOnSetAside: nothing is done on a request without a target or an action") {
    Rig rig;
    Client client(rig.pool.node);
    for (int fault = 0; fault < 3; ++fault) {
        auto request = adopt_all();
        if (fault == 0) request.clear_target();
        if (fault == 1) request.set_action(v1::SET_ASIDE_ACTION_UNSPECIFIED);
        if (fault == 2) request.mutable_ids()->add_ids("nonsense");
        grpc::ClientContext call;
        const auto stream = client.stub->ActOnSetAside(&call, request);
        v1::ActOnSetAsideResponse batch;
        CHECK_FALSE(stream->Read(&batch));
        CHECK(stream->Finish().error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    }
    CHECK(rig.copies.orders.empty());
}

// --- the command line

TEST_CASE("queue ls --set-aside: a table by directory; unknown is exit code 75") {
    Rig rig;
    const auto ran = run(rig.pool.node, {"queue", "ls", "--set-aside"});
    CHECK(ran.exit_code == 75);
    CHECK(ran.out.starts_with(directory + ": its disk went back\nQUEUE ID "));
    CHECK(has(ran.out, rig.gone.to_string() + "  2h00m  1.0K gone     old@test"));
    CHECK(has(ran.out, "two@test\n"));
    CHECK_FALSE(has(ran.out, "one@test"));
    CHECK(has(ran.out, "unknown: "));
    CHECK(has(ran.out, "-- 4 messages, 3.9K: 1 queued, 1 finished, 1 gone, 1 unknown\n"));

    const auto json = run(rig.pool.node, {"queue", "ls", "--set-aside", "--json"});
    CHECK(std::count(json.out.begin(), json.out.end(), '\n') == 4);
    CHECK(has(json.out, "\"presence\":\"gone\""));
    CHECK(has(json.out, "\"pending\":[\"two@test\"]"));

    rig.pool.node.on_home([&] { rig.copies.messages.clear(); });
    const auto empty = run(rig.pool.node, {"queue", "ls", "--set-aside"});
    CHECK(empty.exit_code == 0);
    CHECK(empty.out == "No message is set aside here.\n");
}

TEST_CASE("queue adopt and queue rm --set-aside: results, totals and exit codes") {
    Rig rig;
    auto ran = run(rig.pool.node, {"queue", "adopt", rig.gone.to_string()});
    CHECK(ran.exit_code == 0);
    CHECK(ran.out == rig.gone.to_string() + "  adopt: done as " + id_in(1, 77).to_string() +
                         "\n-- 1 done, 0 not\n");
    ran = run(rig.pool.node, {"queue", "adopt", "--all", "--dry-run"});
    CHECK(ran.exit_code == 1);
    CHECK(has(ran.out, "-- 1 would be done, 3 not\n"));
    ran = run(rig.pool.node, {"queue", "rm", "--set-aside", "-"}, rig.gone.to_string() + "\n");
    CHECK(ran.out == rig.gone.to_string() + "  remove: done\n-- 1 done, 0 not\n");
    ran = run(rig.pool.node, {"queue", "rm", "--set-aside", "--all", "--from", "other"});
    CHECK(ran.out == "-- 0 done, 0 not\n");
}

TEST_CASE("what does not go together is a usage error, and nothing is touched") {
    Rig rig;
    for (const auto& words :
         std::vector<std::vector<std::string>>{{"queue", "adopt"},
                                               {"queue", "adopt", "--all", rig.gone.to_string()},
                                               {"queue", "rm", "--set-aside"},
                                               {"queue", "rm", "--set-aside", "--sender", "a@test"},
                                               {"queue", "rm", "--all", "--from", directory},
                                               {"queue", "ls", "--set-aside", "--state", "held"},
                                               {"queue", "ls", "--from", directory}}) {
        CHECK(run(rig.pool.node, words).exit_code == 2);
    }
    CHECK(rig.copies.orders.empty());
}

}  // namespace
}  // namespace posthorse::admin
