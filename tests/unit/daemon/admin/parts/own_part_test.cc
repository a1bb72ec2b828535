#include "daemon/admin/parts/own_part.h"

#include <optional>

#include <doctest/doctest.h>

#include "daemon/admin/admin_requests.h"
#include "daemon/admin/parts/own_summary.h"
#include "tests/unit/daemon/admin/parts/fake_node.h"
#include "tests/unit/replication/core/test_pool.h"
#include "tests/unit/support/manual_clock.h"

namespace posthorse::admin {
namespace {

using namespace std::chrono_literals;
using test::noon;
using tests::test_node;

// Node n1 of two: it owns partitions 1 and 2, n2 owns 3.
struct Rig {
    Rig() {
        clock.set_wall(noon);
        queue.taken_up = {{1}, {2}};
    }

    template <class Response, class Request>
    Result<Response> ask(Request request) {
        const auto asker = test_node(2).bytes;
        request.mutable_caller()->set_from(std::string(asker.begin(), asker.end()));
        std::optional<Result<Response>> answer;
        part.ask(std::move(request), [&](Result<Response> result) { answer = std::move(result); });
        REQUIRE(answer.has_value());
        return *std::move(answer);
    }
    v1::NodeListResponse list(const std::string& after = "", std::uint32_t most = 1000) {
        v1::NodeListRequest request;
        request.set_after(after);
        request.set_messages_max(most);
        return ask<v1::NodeListResponse>(std::move(request)).value();
    }

    tests::ManualClock clock;
    replication::PoolState pool = tests::with_partition(
        tests::with_partition(tests::with_partition(tests::pool_of(2), {1, 2}), {1}), {2, 1});
    test::FakeQueue queue;
    OwnPart part{
        clock, queue.ports(),
        PoolReader{[this]() -> const replication::PoolState& { return pool; }, test_node(1)}};
};

std::vector<std::uint32_t> partitions(const v1::Walked& walked) {
    return {walked.partitions().begin(), walked.partitions().end()};
}

TEST_CASE("a step lists in the order of ids, and says how far it came and what it owned") {
    Rig rig;
    const auto second = rig.queue.add({1}, noon - 1min, 0).id.to_string();
    const auto first = rig.queue.add({2}, noon - 2min, 0).id.to_string();
    const auto third = rig.queue.add({1}, noon, 1).id.to_string();
    auto page = rig.list("", 2);
    REQUIRE(page.messages_size() == 2);
    CHECK(page.messages(0).id() == first);
    CHECK(page.messages(1).id() == second);
    CHECK(page.walked().to() == second);
    CHECK(partitions(page.walked()) == std::vector<std::uint32_t>{1, 2});
    page = rig.list(second, 2);
    REQUIRE(page.messages_size() == 1);
    CHECK(page.messages(0).id() == third);
    CHECK(page.walked().to().empty());
}

TEST_CASE("a step that is full with the very last message is the last one") {
    Rig rig;
    rig.queue.add({1}, noon, 0);
    rig.queue.add({1}, noon, 1);
    CHECK(rig.list("", 2).walked().to().empty());
    CHECK_FALSE(rig.list("", 1).walked().to().empty());
}

TEST_CASE("a partition that is not taken up yet, or goes meanwhile, was not walked") {
    Rig rig;
    rig.queue.taken_up = {{1}};
    CHECK(partitions(rig.list().walked()) == std::vector<std::uint32_t>{1});

    rig.queue.taken_up = {{1}, {2}};
    auto ports = rig.queue.ports();
    ports.list = [&](QueueId, std::size_t, Completion<std::vector<Envelope>> done) {
        rig.queue.taken_up = {{2}};
        done(std::vector<Envelope>{});
    };
    std::optional<v1::Walked> walked;
    const PoolReader reader{[&]() -> const replication::PoolState& { return rig.pool; },
                            test_node(1)};
    OwnWalk::start({rig.clock, ports, reader}, {}, {},
                   [&](Result<v1::Walked> result) { walked = std::move(*result); });
    REQUIRE(walked.has_value());
    CHECK(partitions(*walked) == std::vector<std::uint32_t>{2});
}

TEST_CASE("a step ends when it has taken its time, between two pages") {
    Rig rig;
    for (std::uint32_t i = 0; i < 350; ++i) rig.queue.add({1}, noon, i);
    auto ports = rig.queue.ports();
    ports.list = [&, list = ports.list](QueueId after, std::size_t limit,
                                        Completion<std::vector<Envelope>> done) {
        rig.clock.advance(walk_time / 2);
        list(after, limit, std::move(done));
    };
    const PoolReader reader{[&]() -> const replication::PoolState& { return rig.pool; },
                            test_node(1)};
    std::size_t visited = 0;
    std::optional<v1::Walked> walked;
    OwnWalk::start(
        {rig.clock, ports, reader}, {},
        [&](const Envelope&) {
            ++visited;
            return OwnWalk::Visited::go_on;
        },
        [&](Result<v1::Walked> result) { walked = std::move(*result); });
    REQUIRE(walked.has_value());
    CHECK(visited == 200);
    CHECK_FALSE(walked->to().empty());
}

TEST_CASE("steps of a summary add up to the whole") {
    Rig rig;
    for (std::uint32_t i = 0; i < 5000; ++i) {
        rig.queue.add({1}, noon - 7min, i, "a@test", {"b@" + std::to_string(i) + ".test"});
    }
    v1::NodeSummarizeRequest request;
    std::uint64_t messages = 0;
    int domains = 0;
    int steps = 0;
    do {
        const auto step = rig.ask<v1::NodeSummarizeResponse>(request).value();
        messages += step.total().messages();
        domains += step.domains_size();
        CHECK(step.ByteSizeLong() < 1024 * 1024);
        request.set_after(step.walked().to());
        ++steps;
    } while (!request.after().empty());
    CHECK(messages == 5000);
    CHECK(domains == 5000);
    CHECK(steps == 2);
}

TEST_CASE("a summary of all looks at no message, one with a filter at those that it must") {
    Rig rig;
    rig.queue.add({1}, noon - 7min, 0, "a@test", {"b@one.test"});
    rig.queue.add({2}, noon - 7min, 1, "c@test", {"b@two.test"});
    v1::NodeSummarizeRequest request;
    const auto all = rig.ask<v1::NodeSummarizeResponse>(request).value();
    CHECK(all.total().messages() == 2);
    CHECK(all.domains_size() == 2);
    CHECK(partitions(all.walked()) == std::vector<std::uint32_t>{1, 2});
    CHECK(rig.queue.listed == 0);
    request.mutable_filter()->set_sender("a@test");
    const auto one = rig.ask<v1::NodeSummarizeResponse>(request).value();
    REQUIRE(one.domains_size() == 1);
    CHECK(one.domains(0).domain() == "one.test");
    CHECK(rig.queue.summarized == 1);
}

TEST_CASE("a step of a summary ends when it has taken its time") {
    Rig rig;
    for (std::uint32_t i = 0; i < 3 * summary_page_messages; ++i) rig.queue.add({1}, noon, i);
    auto ports = rig.queue.ports();
    ports.summarize = [&, summarize = ports.summarize](auto from, auto so_far, auto limit,
                                                       auto done) {
        rig.clock.advance(walk_time / 2);
        summarize(from, std::move(so_far), limit, std::move(done));
    };
    const PoolReader reader{[&]() -> const replication::PoolState& { return rig.pool; },
                            test_node(1)};
    std::string after;
    std::vector<std::uint64_t> counted;
    do {
        OwnSummary::start({rig.clock, ports, reader}, after, 100,
                          [&](Result<v1::NodeSummarizeResponse> step) {
                              counted.push_back(step.value().total().messages());
                              after = step->walked().to();
                          });
    } while (!after.empty());
    CHECK(counted == std::vector<std::uint64_t>{2 * summary_page_messages, summary_page_messages});
}

TEST_CASE("where a summary goes on is read as it was written, and nothing else is") {
    const OwnSummary::Place place{.partition = {7},
                                  .at = {.due = noon, .id = QueueId::make(noon, {7}, Epoch{1}, 3)}};
    CHECK(parse_place(to_text(place)) == place);
    const OwnSummary::Place held{.partition = {7}, .at = {.due = never, .id = place.at.id}};
    CHECK(parse_place(to_text(held)) == held);
    CHECK(parse_place("") == OwnSummary::Place{});
    const auto id = place.at.id.to_string();
    for (const auto* text : {"7", "7.", "7.1", ".1.", "-7.1.", "7.-1.", "4294967296.1.", "7 .1."})
        CHECK_MESSAGE(parse_place(text + id) == std::nullopt, text);
    CHECK(parse_place("7.1." + id + "0") == std::nullopt);
    CHECK(parse_place("7.1.x") == std::nullopt);
}

TEST_CASE("a message is shown with its history, and who may still tell of an attempt") {
    Rig rig;
    auto& envelope = rig.queue.add({1}, noon - 1h, 0);
    envelope.in_doubt = 2;
    envelope.doubts = {{.attempt = 4,
                        .recipients = {0},
                        .remote = "mx.test[192.0.2.1]:25",
                        .started = noon - 5min,
                        .by = test_node(2)}};
    envelope.history = {{noon - 1h, test_node(1), "accepted"},
                        {noon - 1min, test_node(7), "attempt 1"}};
    v1::NodeGetRequest request;
    request.set_id(envelope.id.to_string());
    const auto message = rig.ask<v1::NodeGetResponse>(request).value().message();
    CHECK(message.attempts_in_doubt() == 2);
    REQUIRE(message.undecided_size() == 1);
    CHECK(message.undecided(0).attempt() == 4);
    CHECK(message.undecided(0).recipients() == 1);
    CHECK(message.undecided(0).node_name() == "n2");
    REQUIRE(message.history_size() == 2);
    CHECK(message.history(0).node_name() == "n1");
    CHECK(message.history(0).what() == "accepted");
    CHECK(message.history(0).time().seconds() == (noon - 1h).time_since_epoch() / 1s);
    CHECK(message.history(1).node_name().empty());
    CHECK(message.history(1).node_id() == test_node(7).to_string());
    const auto listed = rig.list().messages(0);
    CHECK(listed.undecided_size() == 1);
    CHECK(listed.history().empty());
}

TEST_CASE("a message is read in pieces, across chunks of any size") {
    Rig rig;
    auto& envelope = rig.queue.add({1}, noon, 0);
    envelope.chunk_count = 2;
    const std::string large(read_bytes_max + 5, 'x');
    rig.queue.bodies[envelope.id] = {"head", large, std::string(read_bytes_max, 'y')};
    v1::NodeReadRequest request;
    request.set_id(envelope.id.to_string());
    std::string whole;
    std::vector<std::size_t> pieces;
    for (bool last = false; !last;) {
        const auto piece = rig.ask<v1::NodeReadResponse>(request).value();
        whole += piece.content();
        pieces.push_back(piece.content().size());
        request.set_chunk(piece.next_chunk());
        request.set_offset(piece.next_offset());
        last = piece.last();
    }
    CHECK(whole == "head" + large + std::string(read_bytes_max, 'y'));
    CHECK(pieces == std::vector<std::size_t>{4, read_bytes_max, 5, read_bytes_max});
}

TEST_CASE("what another node owns is not shown, though there is a copy here") {
    Rig rig;
    const auto id = rig.queue.add({3}, noon, 0).id.to_string();
    v1::NodeGetRequest get;
    get.set_id(id);
    CHECK(rig.ask<v1::NodeGetResponse>(get).error().code == Errc::unavailable);
    v1::NodeReadRequest read;
    read.set_id(id);
    CHECK(rig.ask<v1::NodeReadResponse>(read).error().code == Errc::unavailable);
    v1::NodeActRequest act;
    act.set_action(v1::ACTION_REMOVE);
    act.mutable_ids()->add_ids(id);
    const auto acted = rig.ask<v1::NodeActResponse>(act).value();
    REQUIRE(acted.results_size() == 1);
    CHECK(acted.results(0).outcome() == v1::ActResult::OUTCOME_REFUSED);
    CHECK(rig.queue.messages.size() == 1);
}

TEST_CASE("an action is audited where it happens: operator, node that was asked, outcome") {
    Rig rig;
    const auto id = rig.queue.add({1}, noon, 0).id.to_string();
    v1::NodeActRequest request;
    request.set_action(v1::ACTION_REMOVE);
    request.set_operator_name("olga");
    request.set_reason("spam");
    request.mutable_ids()->add_ids(id);
    request.set_dry_run(true);
    CHECK(rig.ask<v1::NodeActResponse>(request).value().results(0).outcome() ==
          v1::ActResult::OUTCOME_WOULD_ACT);
    CHECK(rig.queue.audited.empty());
    request.set_dry_run(false);
    CHECK(rig.ask<v1::NodeActResponse>(request).value().results(0).outcome() ==
          v1::ActResult::OUTCOME_DONE);
    CHECK(rig.ask<v1::NodeActResponse>(request).value().results(0).outcome() ==
          v1::ActResult::OUTCOME_NOT_FOUND);
    REQUIRE(rig.queue.audited.size() == 2);
    CHECK(
        rig.queue.audited[0] ==
        "operator_action action=remove id=" + id +
            " operator=olga asked=\"n2 (02020202)\" reason=spam outcome=OUTCOME_DONE detail=\"\"");
    CHECK(rig.queue.audited[1].find("OUTCOME_NOT_FOUND") != std::string::npos);
}

TEST_CASE("with a filter, a step acts on a hundred, and on none that came after the first step") {
    Rig rig;
    for (std::uint32_t i = 0; i < 150; ++i) rig.queue.add({1}, noon - 1min, i);
    v1::NodeActRequest request;
    request.set_action(v1::ACTION_HOLD);
    request.mutable_filter();
    auto step = rig.ask<v1::NodeActResponse>(request).value();
    CHECK(step.results_size() == 100);
    CHECK(step.began_ms() == noon.time_since_epoch().count());
    rig.clock.advance(1min);
    const auto late = rig.queue.add({2}, noon + 30s, 0).id;
    request.set_began_ms(step.began_ms());
    request.set_after(step.walked().to());
    step = rig.ask<v1::NodeActResponse>(request).value();
    CHECK(step.results_size() == 50);
    CHECK(step.walked().to().empty());
    CHECK_FALSE(rig.queue.messages[late].held);
}

TEST_CASE("a flush leaves a line for what it did; a dry one counts and leaves none") {
    Rig rig;
    const auto id = rig.queue.add({1}, noon, 0).id;
    v1::NodeFlushRequest request;
    request.set_operator_name("olga");
    request.set_dry_run(true);
    CHECK(rig.ask<v1::NodeFlushResponse>(request).value().flushed() == 1);
    CHECK(rig.queue.audited.empty());
    CHECK(rig.queue.messages[id].due_at == noon + 1h);
    request.set_dry_run(false);
    CHECK(rig.ask<v1::NodeFlushResponse>(request).value().flushed() == 1);
    CHECK(rig.queue.messages[id].due_at == noon);
    REQUIRE(rig.queue.audited.size() == 1);
    CHECK(rig.queue.audited[0] ==
          "operator_action action=flush operator=olga asked=\"n2 (02020202)\" flushed=1 failed=0");
}

TEST_CASE("a flush leaves alone what waits for its release") {
    Rig rig;
    const auto id = rig.queue.add({1}, noon, 0).id;
    rig.queue.messages[id].release_at = noon + 1h;
    CHECK(rig.ask<v1::NodeFlushResponse>(v1::NodeFlushRequest{}).value().flushed() == 0);
    rig.queue.messages[id].release_at = noon;
    CHECK(rig.ask<v1::NodeFlushResponse>(v1::NodeFlushRequest{}).value().flushed() == 1);
}

TEST_CASE("malformed requests of other nodes are refused with the field's name") {
    Rig rig;
    const auto names = [](const auto& answer, const char* field) {
        REQUIRE_FALSE(answer.has_value());
        CHECK(answer.error().code == Errc::invalid);
        CHECK_MESSAGE(answer.error().what.find(field) != std::string::npos, answer.error().what);
    };
    v1::NodeListRequest list;
    list.set_after("../..");
    names(rig.ask<v1::NodeListResponse>(list), "after");
    list.clear_after();
    list.mutable_filter()->set_sender("*");
    names(rig.ask<v1::NodeListResponse>(list), "sender");
    v1::NodeSummarizeRequest summarize;
    summarize.set_after("x");
    names(rig.ask<v1::NodeSummarizeResponse>(summarize), "after");
    summarize.mutable_filter()->set_domain("test");
    names(rig.ask<v1::NodeSummarizeResponse>(summarize), "after");
    v1::NodeGetRequest get;
    get.set_id("x");
    names(rig.ask<v1::NodeGetResponse>(get), "id");
    v1::NodeReadRequest read;
    names(rig.ask<v1::NodeReadResponse>(read), "id");
    v1::NodeFlushRequest flush;
    flush.set_after("x");
    names(rig.ask<v1::NodeFlushResponse>(flush), "after");
    v1::NodeActRequest act;
    names(rig.ask<v1::NodeActResponse>(act), "action");
    act.set_action(v1::ACTION_HOLD);
    names(rig.ask<v1::NodeActResponse>(act), "target");
    for (int i = 0; i <= node_act_ids_max; ++i) {
        act.mutable_ids()->add_ids(std::string(26, '0'));
    }
    names(rig.ask<v1::NodeActResponse>(act), "ids");
}

TEST_CASE("a caller that names no node is audited as what it is") {
    Rig rig;
    v1::NodeFlushRequest request;
    request.mutable_caller()->set_from("short");
    std::optional<Result<v1::NodeFlushResponse>> answer;
    rig.part.ask(request, [&](Result<v1::NodeFlushResponse> result) { answer = result; });
    REQUIRE(rig.queue.audited.size() == 1);
    CHECK(rig.queue.audited[0].find("asked=00000000 ") != std::string::npos);
}

}  // namespace
}  // namespace posthorse::admin
