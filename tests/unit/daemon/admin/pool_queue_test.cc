// Operators' calls over a pool of several nodes.
#include "daemon/admin/pool_queue.h"

#include <algorithm>
#include <future>
#include <random>
#include <utility>

#include <doctest/doctest.h>

#include "tests/unit/daemon/admin/admin_client.h"
#include "tests/unit/daemon/admin/pool_fixture.h"

namespace posthorse::admin {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;
using test::act_on;
using test::act_on_all;
using test::Client;
using test::noon;
using test::Other;
using test::Pool;
using test::TestPart;

using Ids = std::vector<std::string>;

Ids ids_of(const std::vector<v1::Message>& messages) {
    Ids ids;
    for (const auto& message : messages) ids.push_back(message.id());
    return ids;
}

// Messages of random times in all partitions of the others, and some here.
Ids fill_at_random(Pool& pool, std::uint32_t count) {
    std::mt19937 random(4);
    Ids ids;
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto at = noon - std::chrono::milliseconds{random() % 1'000'000};
        const auto partition = PartitionId{static_cast<std::uint32_t>(2 + random() % 3)};
        auto& other = partition.value == 4 ? *pool.n3 : *pool.n2;
        pool.node.on_home([&] { ids.push_back(other.queue.add(partition, at, i).id.to_string()); });
    }
    for (int i = 0; i < 20; ++i) {
        pool.node.clock.set(noon - std::chrono::milliseconds{random() % 1'000'000});
        ids.push_back(pool.node.add("a@test", {"b@test"}).to_string());
    }
    pool.node.clock.set(noon);
    std::ranges::sort(ids);
    return ids;
}

void add_to_each(Pool& pool, int count) {
    for (int i = 0; i < count; ++i) {
        const auto counter = static_cast<std::uint32_t>(i);
        pool.node.add("a@one.test", {"b@one.test"});
        pool.node.on_home([&] {
            pool.n2->queue.add({2}, noon, counter, "a@two.test", {"b@two.test"});
            pool.n3->queue.add({4}, noon, counter, "a@three.test", {"b@three.test"});
        });
    }
}

std::string name_and_partitions(const v1::MissingPart& part) {
    auto text = part.node_name();
    for (const auto partition : part.partitions()) text += " " + std::to_string(partition);
    return text;
}

std::vector<std::string> said(const std::vector<v1::MissingPart>& missing) {
    std::vector<std::string> texts;
    for (const auto& part : missing) texts.push_back(name_and_partitions(part));
    return texts;
}

const std::vector<std::string> always_missing{" 5"};  // it has no live owner

TEST_CASE("pages of any size hold every message of three nodes once, oldest first") {
    Pool pool;
    Client client(pool.node);
    const auto ids = fill_at_random(pool, 300);
    for (const int size : {1, 7, 100, 320, 1000}) {
        v1::ListMessagesRequest request;
        request.set_page_size(size);
        CHECK_MESSAGE(ids_of(client.list_all(request)) == ids, "page size ", size);
        CHECK(said(client.missing) == always_missing);
    }
}

TEST_CASE("a part without a live owner is named, with who holds it") {
    Pool pool;
    Client client(pool.node);
    client.list_all({});
    REQUIRE(client.missing.size() == 1);
    const auto& part = client.missing[0];
    CHECK(part.node_id().empty());
    CHECK(part.reason() == "no live owner");
    REQUIRE(part.held_by_size() == 2);
    CHECK(part.held_by(0) == "n2 (02020202)");
    CHECK(part.held_by(1) == "n3 (03030303)");
}

TEST_CASE("a dead node is named with its parts, and the rest is listed") {
    Pool pool;
    Client client(pool.node);
    add_to_each(pool, 3);
    pool.node.on_home([&] { pool.n2->part.mood = TestPart::Mood::fails; });
    CHECK(client.list_all({}).size() == 6);
    REQUIRE(client.missing.size() == 2);
    CHECK(name_and_partitions(client.missing[1]) == "n2 2 3");
    CHECK(client.missing[1].node_id() == tests::test_node(2).to_string());
    CHECK(client.missing[1].reason() == "no answer within 2 s");
    CHECK(client.missing[1].held_by().empty());  // n1 holds one of the two
}

TEST_CASE("a slow node is waited for, one of three") {
    Pool pool;
    Client client(pool.node);
    add_to_each(pool, 1);
    pool.node.on_home([&] { pool.n3->part.mood = TestPart::Mood::silent; });
    auto listed = std::async(std::launch::async, [&] { return client.list_all({}).size(); });
    bool asked = false;
    while (!asked) pool.node.on_home([&] { asked = pool.n3->part.asked == 1; });
    pool.node.on_home([&] { pool.n3->part.answer(); });
    CHECK(listed.get() == 3);
    CHECK(said(client.missing) == always_missing);
}

TEST_CASE("the patience with other nodes: two seconds, five for changes, less for a hasty client") {
    Pool pool;
    Client client(pool.node);
    const auto patience = [&] {
        Duration found{};
        pool.node.on_home([&] { found = pool.node.patience; });
        return found;
    };
    client.list_all({});
    CHECK(patience() == 2s);
    client.act(act_on_all(v1::ACTION_RETRY));
    CHECK(patience() == 5s);

    const auto now = std::chrono::system_clock::now();
    pool.node.clock.set(std::chrono::floor<Duration>(now));
    grpc::ClientContext call;
    call.set_deadline(now + 1s);
    v1::ListMessagesResponse page;
    REQUIRE(client.stub->ListMessages(&call, {}, &page).ok());
    CHECK(patience() < 1s);
    CHECK(patience() > 0ms);
}

TEST_CASE("a partition that goes from one node to another between two answers is listed or named") {
    Pool pool;
    Client client(pool.node);
    QueueId id;
    pool.node.on_home([&] { id = pool.n3->queue.add({4}, noon, 0).id; });
    const auto move_to_n2 = [&] {
        auto state = pool.node.control.read();
        state.partitions[3].owner = tests::test_node(2);
        pool.node.control.become(state);
    };

    // n3 has it no more, n2 has not taken it up.
    pool.node.on_home([&] {
        pool.n3->queue.taken_up.clear();
        move_to_n2();
    });
    CHECK(client.list_all({}).empty());
    REQUIRE(client.missing.size() == 2);
    CHECK(name_and_partitions(client.missing[1]) == "n2 4");
    CHECK(client.missing[1].reason() == "just changing its owner");
    v1::Message message;
    CHECK(client.get(id.to_string(), message).error_code() == StatusCode::UNAVAILABLE);

    pool.node.on_home([&] {
        pool.n2->queue.messages = pool.n3->queue.messages;
        pool.n2->queue.taken_up.insert({4});
    });
    CHECK(client.list_all({}).size() == 1);
    CHECK(said(client.missing) == always_missing);
    CHECK(client.get(id.to_string(), message).ok());
}

TEST_CASE("a message is shown and read from its owner, wherever that is") {
    Pool pool;
    Client client(pool.node);
    QueueId id;
    pool.node.on_home([&] {
        id = pool.n2->queue.add({3}, noon, 0, "far@test").id;
        pool.n2->queue.messages[id].chunk_count = 1;
        pool.n2->queue.bodies[id] = {"head\r\n", "body\r\n"};
    });
    v1::Message message;
    REQUIRE(client.get(id.to_string(), message).ok());
    CHECK(message.sender() == "far@test");
    std::string content;
    REQUIRE(client.read(id.to_string(), content).ok());
    CHECK(content == "head\r\nbody\r\n");

    pool.node.on_home([&] { pool.n2->part.mood = TestPart::Mood::fails; });
    auto status = client.get(id.to_string(), message);
    CHECK(status.error_code() == StatusCode::UNAVAILABLE);
    CHECK(status.error_message() == "n2 (02020202): no answer within 2 s");
    CHECK(client.read(id.to_string(), content).error_code() == StatusCode::UNAVAILABLE);

    const auto ownerless = QueueId::make(noon, {5}, {1}, 0).to_string();
    status = client.get(ownerless, message);
    CHECK(status.error_code() == StatusCode::UNAVAILABLE);
    CHECK(status.error_message().find("partition 5") != std::string::npos);
    CHECK(status.error_message().find("n2 (02020202), n3 (03030303)") != std::string::npos);
    const auto nowhere = QueueId::make(noon, {77}, {1}, 0).to_string();
    CHECK(client.get(nowhere, message).error_code() == StatusCode::NOT_FOUND);
}

TEST_CASE("ids are acted on by their owners; what cannot be asked is told from what is not there") {
    Pool pool;
    Client client(pool.node);
    const auto here = pool.node.add("a@test", {"b@test"});
    QueueId there;
    QueueId far;
    pool.node.on_home([&] {
        there = pool.n2->queue.add({2}, noon, 0).id;
        far = pool.n3->queue.add({4}, noon, 0).id;
        pool.n3->part.mood = TestPart::Mood::fails;
        pool.n3->part.failure = {Errc::unknown, "it may have happened"};
    });
    const auto ownerless = QueueId::make(noon, {5}, {1}, 0);
    const auto nowhere = QueueId::make(noon, {77}, {1}, 0);
    auto request = act_on(v1::ACTION_HOLD, {here.to_string(), there.to_string(), far.to_string(),
                                            ownerless.to_string(), nowhere.to_string()});
    request.set_operator_name("olga");
    std::map<std::string, v1::ActResult> results;
    for (auto& result : client.act(request)) results[result.id()] = result;
    REQUIRE(results.size() == 5);
    CHECK(results[here.to_string()].outcome() == v1::ActResult::OUTCOME_DONE);
    CHECK(results[there.to_string()].outcome() == v1::ActResult::OUTCOME_DONE);
    CHECK(results[far.to_string()].outcome() == v1::ActResult::OUTCOME_UNKNOWN);
    CHECK(results[far.to_string()].detail() == "n3 (03030303): it may have happened");
    CHECK(results[ownerless.to_string()].outcome() == v1::ActResult::OUTCOME_REFUSED);
    CHECK(results[nowhere.to_string()].outcome() == v1::ActResult::OUTCOME_NOT_FOUND);
    CHECK(said(client.missing) == std::vector<std::string>{" 5", "n3 4"});
    CHECK(pool.node.find(here)->held);
    CHECK(pool.n2->queue.messages[there].held);
    REQUIRE(pool.node.audited.size() == 1);
    REQUIRE(pool.n2->queue.audited.size() == 1);
    const std::string by = "operator=olga asked=\"n1 (01010101)\"";
    CHECK(pool.node.audited[0].find(by) != std::string::npos);
    CHECK(pool.n2->queue.audited[0].find(by) != std::string::npos);
}

TEST_CASE("when an owner fails, the ids that it was not asked for yet are not in doubt") {
    Pool pool;
    Client client(pool.node);
    std::vector<std::string> ids;
    pool.node.on_home([&] {
        for (std::uint32_t i = 0; i < 250; ++i) {
            ids.push_back(pool.n3->queue.add({4}, noon, i).id.to_string());
        }
        pool.n3->part.answers_left = 1;
        pool.n3->part.failure = {Errc::unknown, "it may have happened"};
    });
    const auto results = client.act(act_on(v1::ACTION_REMOVE, ids));
    const auto count = [&](v1::ActResult::Outcome outcome) {
        return std::ranges::count_if(
            results, [&](const v1::ActResult& result) { return result.outcome() == outcome; });
    };
    CHECK(results.size() == 250);
    CHECK(count(v1::ActResult::OUTCOME_DONE) == 100);
    CHECK(count(v1::ActResult::OUTCOME_UNKNOWN) == 100);
    CHECK(count(v1::ActResult::OUTCOME_REFUSED) == 50);
    CHECK(said(client.missing) == std::vector<std::string>{"n3 4"});
}

TEST_CASE("a filter acts over the whole pool; a dry run only tells") {
    Pool pool;
    Client client(pool.node);
    add_to_each(pool, 130);
    auto request = act_on_all(v1::ACTION_REMOVE);
    request.set_dry_run(true);
    auto results = client.act(request);
    CHECK(results.size() == 390);
    for (const auto& result : results) {
        CHECK(result.outcome() == v1::ActResult::OUTCOME_WOULD_ACT);
    }
    CHECK(client.list_all({}).size() == 390);
    CHECK(pool.n2->queue.audited.empty());

    v1::ActRequest filtered;
    filtered.set_action(v1::ACTION_REMOVE);
    filtered.mutable_filter()->set_sender("*@two.test");
    CHECK(client.act(filtered).size() == 130);
    CHECK(pool.n2->queue.messages.empty());
    CHECK(pool.n2->queue.audited.size() == 130);
    request.set_dry_run(false);
    CHECK(client.act(request).size() == 260);
    CHECK(said(client.missing) == always_missing);
    CHECK(client.list_all({}).empty());
}

TEST_CASE("a node that fails in the middle of a bulk action stops no other") {
    Pool pool;
    Client client(pool.node);
    add_to_each(pool, 250);
    pool.node.on_home([&] {
        pool.n2->part.answers_left = 1;
        pool.n2->part.failure = {Errc::unknown, "no answer; it may have happened"};
    });
    CHECK(client.act(act_on_all(v1::ACTION_REMOVE)).size() == 600);
    REQUIRE(client.missing.size() == 2);
    CHECK(name_and_partitions(client.missing[1]) == "n2 2 3");
    CHECK(client.missing[1].reason() == "no answer; it may have happened");
}

TEST_CASE("a client that leaves a bulk action leaves the nodes in peace") {
    Pool pool;
    Client client(pool.node);
    pool.node.on_home([&] {
        for (std::uint32_t i = 0; i < 5000; ++i) pool.n2->queue.add({2}, noon, i);
        pool.n3->part.mood = TestPart::Mood::silent;
    });
    grpc::ClientContext call;
    const auto stream = client.stub->Act(&call, act_on_all(v1::ACTION_REMOVE));
    v1::ActResponse batch;
    REQUIRE(stream->Read(&batch));
    call.TryCancel();
    while (stream->Read(&batch)) {
    }
    CHECK(stream->Finish().error_code() == StatusCode::CANCELLED);
    // The call may have ended before the third node was asked; else it waits for its answer.
    auto stopped = std::async(std::launch::async, [&] { pool.node.stop_server(); });
    bool answered = false;
    while (stopped.wait_for(1ms) != std::future_status::ready) {
        pool.node.on_home([&] {
            if (pool.n3->part.asked == 1 && !std::exchange(answered, true)) pool.n3->part.answer();
        });
    }
}

TEST_CASE("a flush and a summary add up over the pool, and name what is missing") {
    Pool pool;
    Client client(pool.node);
    add_to_each(pool, 120);
    const auto flush = [&](bool dry_run) {
        grpc::ClientContext call;
        v1::FlushRequest request;
        request.set_dry_run(dry_run);
        v1::FlushResponse response;
        REQUIRE(client.stub->Flush(&call, request, &response).ok());
        return response;
    };
    const auto summarize = [&] {
        grpc::ClientContext call;
        v1::SummarizeResponse response;
        REQUIRE(client.stub->Summarize(&call, {}, &response).ok());
        return response;
    };
    auto summary = summarize();
    CHECK(summary.total().messages() == 360);
    REQUIRE(summary.domains_size() == 3);
    for (const auto& row : summary.domains()) CHECK(row.messages() == 120);
    CHECK(summary.domains_left_out() == 0);
    CHECK(summary.missing_size() == 1);
    CHECK(flush(true).flushed() == 360);

    pool.node.on_home([&] { pool.n3->part.mood = TestPart::Mood::fails; });
    summary = summarize();
    CHECK(summary.total().messages() == 240);
    CHECK(summary.missing_size() == 2);
    const auto flushed = flush(false);
    CHECK(flushed.flushed() == 240);
    REQUIRE(flushed.missing_size() == 2);
    CHECK(name_and_partitions(flushed.missing(1)) == "n3 4");
    CHECK(pool.n2->queue.messages.begin()->second.due_at == noon);
}

TEST_CASE("a node that has not found its pool says so") {
    test::Node node;
    Client client(node);
    node.on_home([&] { node.control.become({}); });
    CHECK(client.list_all({}).empty());
    REQUIRE(client.missing.size() == 1);
    CHECK(client.missing[0].reason() == "this node has not found its pool yet");
    v1::Message message;
    const auto id = QueueId::make(noon, {1}, {1}, 0).to_string();
    CHECK(client.get(id, message).error_code() == StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace posthorse::admin
