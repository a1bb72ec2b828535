// Two ends of NodeQueue over real sockets: peer_parts.h asks, node_queue_service.h answers.
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>

#include <optional>

#include <doctest/doctest.h>

#include "daemon/admin/parts/node_queue_service.h"
#include "daemon/admin/parts/peer_parts.h"
#include "daemon/admin/pool_queue.h"
#include "tests/unit/daemon/admin/parts/fake_node.h"
#include "tests/unit/replication/core/test_pool.h"
#include "tests/unit/replication/edge/peer_fixture.h"
#include "tests/unit/support/manual_clock.h"

namespace posthorse::admin {
namespace {

using namespace std::chrono_literals;
using replication::PeerCertificates;
using test::noon;
using test::TestPart;
using tests::test_node;

constexpr Duration patience = 10s;

replication::PoolState pool_of_two() {
    return tests::with_partition(tests::with_partition(tests::pool_of(2), {1}), {2, 1});
}

// n2, which answers. Its queue is a table.
struct Asked {
    Asked(tests::HomeThread& home_thread,
          const tests::TestAuthority& authority,
          CertificatesName certificates = CertificatesName::pool,
          const std::string& name = "n2")
        : service(home_thread, reader(), part, certificates, metrics),
          port(home_thread, authority, {.name = name, .services = {&service}}) {
        clock.set_wall(noon);
        queue.taken_up = {{2}};
    }
    PoolReader reader() {
        return {[this]() -> const replication::PoolState& { return pool; }, test_node(2)};
    }
    // As the node that owns it is known to the asking one.
    replication::Member member() const {
        auto known = *pool.member(test_node(2));
        known.facts.address = port.address();
        return known;
    }

    replication::PoolState pool = pool_of_two();
    tests::ManualClock clock;
    runtime::Metrics metrics;
    test::FakeQueue queue;
    OwnPart own{clock, queue.ports(), reader()};
    TestPart part{own};
    NodeQueueService service;
    tests::TestPeer port;
};

// n1, which asks.
struct Asking {
    Asking(tests::HomeThread& home_thread,
           const tests::TestAuthority& authority,
           CertificatesName certificates = CertificatesName::pool,
           const std::string& name = "n1")
        : home(home_thread),
          port(home_thread, authority, {.name = name}),
          parts(
              home_thread,
              [this](const std::string& address) { return port->channel(address); },
              certificates,
              metrics) {}
    ~Asking() {
        bool stopped = false;
        parts.stop([&] { stopped = true; });
        home.run_until([&] { return stopped; });
    }

    // As PoolQueue stamps it.
    template <class Request>
    static Request stamped(Request request) {
        const auto from = test_node(1).bytes;
        const auto to = test_node(2).bytes;
        request.mutable_caller()->set_pool_id("pool");
        request.mutable_caller()->set_pool_incarnation(1);
        request.mutable_caller()->set_from(std::string(from.begin(), from.end()));
        request.mutable_caller()->set_to(std::string(to.begin(), to.end()));
        return request;
    }
    template <class Response, class Request>
    Result<Response> ask(const replication::Member& member,
                         Request request,
                         Duration within = patience) {
        std::optional<Result<Response>> answer;
        parts.part(member, within)->ask(std::move(request), [&](Result<Response> result) {
            answer = std::move(result);
        });
        home.run_until([&] { return answer.has_value(); });
        return *std::move(answer);
    }

    tests::HomeThread& home;
    runtime::Metrics metrics;
    tests::TestPeer port;
    PeerParts parts;
};

bool has(const std::string& text, const std::string& part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

TEST_CASE("another node is listed, summarised, shown, read, acted on and flushed") {
    tests::HomeThread home;
    const tests::TestAuthority authority;
    Asked asked(home, authority);
    Asking asking(home, authority);
    const auto to = asked.member();
    const auto id = asked.queue.add({2}, noon, 0).id;
    asked.queue.bodies[id] = {"Subject: hello\r\n\r\n"};

    v1::NodeListRequest list;
    list.set_messages_max(10);
    const auto listed = asking.ask<v1::NodeListResponse>(to, Asking::stamped(list)).value();
    REQUIRE(listed.messages_size() == 1);
    CHECK(listed.messages(0).id() == id.to_string());
    CHECK(listed.walked().partitions(0) == 2);

    const auto sums =
        asking.ask<v1::NodeSummarizeResponse>(to, Asking::stamped(v1::NodeSummarizeRequest{}));
    CHECK(sums.value().total().messages() == 1);

    v1::NodeGetRequest get;
    get.set_id(id.to_string());
    const auto shown = asking.ask<v1::NodeGetResponse>(to, Asking::stamped(get));
    CHECK(shown.value().message().sender() == "a@test");

    v1::NodeReadRequest read;
    read.set_id(id.to_string());
    const auto piece = asking.ask<v1::NodeReadResponse>(to, Asking::stamped(read)).value();
    CHECK(piece.content() == "Subject: hello\r\n\r\n");
    CHECK(piece.last());

    const auto flushed =
        asking.ask<v1::NodeFlushResponse>(to, Asking::stamped(v1::NodeFlushRequest{}));
    CHECK(flushed.value().flushed() == 1);

    v1::NodeActRequest act;
    act.set_action(v1::ACTION_REMOVE);
    act.set_operator_name("olga");
    act.mutable_ids()->add_ids(id.to_string());
    const auto acted = asking.ask<v1::NodeActResponse>(to, Asking::stamped(act)).value();
    CHECK(acted.results(0).outcome() == v1::ActResult::OUTCOME_DONE);
    CHECK(asked.queue.messages.empty());
    REQUIRE(asked.queue.audited.size() == 2);
    CHECK(has(asked.queue.audited[1], "operator=olga asked=\"n1 (01010101)\""));

    const auto gone = asking.ask<v1::NodeGetResponse>(to, Asking::stamped(get));
    CHECK(gone.error().code == Errc::not_found);
    CHECK(has(asking.metrics.text(), "posthorse_node_queue_calls_total{result=\"answered\"} 6"));
    CHECK(has(asking.metrics.text(), "posthorse_node_queue_calls_total{result=\"failed\"} 1"));
}

TEST_CASE("who is not of the pool, or means another node, is refused and counted") {
    tests::HomeThread home;
    const tests::TestAuthority authority;
    Asked asked(home, authority);
    Asking asking(home, authority);
    const auto refused = [&](const char* why, auto spoil) {
        auto request = Asking::stamped(v1::NodeListRequest{});
        spoil(*request.mutable_caller());
        const auto answer = asking.ask<v1::NodeListResponse>(asked.member(), request);
        REQUIRE_FALSE(answer.has_value());
        CHECK(answer.error().code == Errc::unavailable);
        CHECK(has(answer.error().what, why));
        CHECK(has(asked.metrics.text(),
                  std::string("posthorse_node_queue_refused_total{reason=\"") + why + "\"} 1"));
    };
    refused("other_pool", [](auto& caller) { caller.set_pool_id("other"); });
    refused("wrong_node", [](auto& caller) { caller.set_to(caller.from()); });
    refused("not_a_member", [](auto& caller) { caller.set_from(std::string(16, '\x07')); });
    CHECK(asked.part.asked == 0);

    auto begun_anew = Asking::stamped(v1::NodeListRequest{});
    begun_anew.mutable_caller()->set_pool_incarnation(2);
    CHECK_FALSE(asking.ask<v1::NodeListResponse>(asked.member(), begun_anew).has_value());
    CHECK(asking.ask<v1::NodeListResponse>(asked.member(), Asking::stamped(v1::NodeListRequest{}))
              .has_value());
}

TEST_CASE("with certificates of one node both ends must carry the names that the pool knows") {
    tests::HomeThread home;
    const tests::TestAuthority authority;
    const auto list = Asking::stamped(v1::NodeListRequest{});
    {
        Asked asked(home, authority, CertificatesName::node);
        Asking asking(home, authority, CertificatesName::node);
        CHECK(asking.ask<v1::NodeListResponse>(asked.member(), list).has_value());
        Asking other(home, authority, CertificatesName::node, "n3");
        const auto answer = other.ask<v1::NodeListResponse>(asked.member(), list);
        REQUIRE_FALSE(answer.has_value());
        CHECK(has(answer.error().what, "wrong_name"));
    }
    Asked impostor(home, authority, CertificatesName::pool, "n3");
    Asking asking(home, authority, CertificatesName::node);
    const auto answer = asking.ask<v1::NodeListResponse>(impostor.member(), list);
    REQUIRE_FALSE(answer.has_value());
    CHECK(has(answer.error().what, "certificate"));
}

TEST_CASE("without a certificate nobody is served") {
    tests::HomeThread home;
    const tests::TestAuthority authority;
    Asked asked(home, authority);
    const auto channel = grpc::CreateChannel(asked.port.address(),
                                             tests::tls_client(authority.certificate(), nullptr));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 10s);
    v1::NodeListResponse response;
    const auto status = v1::NodeQueue::NewStub(channel)->List(
        &context, Asking::stamped(v1::NodeListRequest{}), &response);
    CHECK_FALSE(status.ok());
    CHECK(asked.part.asked == 0);
}

TEST_CASE("a node that keeps silent, or is not there, has not answered within its time") {
    tests::HomeThread home;
    const tests::TestAuthority authority;
    Asked asked(home, authority);
    Asking asking(home, authority);
    asked.part.mood = TestPart::Mood::silent;
    const auto late = asking.ask<v1::NodeListResponse>(
        asked.member(), Asking::stamped(v1::NodeListRequest{}), 100ms);
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().code == Errc::unavailable);
    CHECK(late.error().what == "no answer within 0.100 s");

    v1::NodeActRequest act;
    act.set_action(v1::ACTION_REMOVE);
    const auto unknown =
        asking.ask<v1::NodeActResponse>(asked.member(), Asking::stamped(act), 100ms);
    REQUIRE_FALSE(unknown.has_value());
    CHECK(unknown.error().code == Errc::unknown);
    CHECK(has(unknown.error().what, "may have happened"));
    act.set_dry_run(true);
    const auto dry = asking.ask<v1::NodeActResponse>(asked.member(), Asking::stamped(act), 100ms);
    CHECK(dry.error().code == Errc::unavailable);

    asked.part.answer();  // nobody waits for it any more
    auto nobody = asked.member();
    nobody.facts.address = "127.0.0.1:" + std::to_string(tests::free_port());
    const auto refused =
        asking.ask<v1::NodeListResponse>(nobody, Asking::stamped(v1::NodeListRequest{}));
    CHECK(refused.error().code == Errc::unavailable);
    nobody.facts.address = "";
    const auto nowhere =
        asking.ask<v1::NodeListResponse>(nobody, Asking::stamped(v1::NodeListRequest{}));
    CHECK(nowhere.error().what == "no way to its address");
}

TEST_CASE("a stop ends what is under way, and nothing is asked any more") {
    tests::HomeThread home;
    const tests::TestAuthority authority;
    Asked asked(home, authority);
    asked.part.mood = TestPart::Mood::silent;
    runtime::Metrics metrics;
    tests::TestPeer port(home, authority, {.name = "n1"});
    PeerParts parts(
        home, [&](const std::string& address) { return port->channel(address); },
        CertificatesName::pool, metrics);
    const auto part = parts.part(asked.member(), 10min);
    std::optional<Result<v1::NodeListResponse>> answer;
    part->ask(Asking::stamped(v1::NodeListRequest{}),
              [&](Result<v1::NodeListResponse> result) { answer = std::move(result); });
    home.run_until([&] { return asked.part.asked == 1; });
    bool stopped = false;
    parts.stop([&] { stopped = true; });
    home.run_until([&] { return stopped; });
    REQUIRE(answer.has_value());
    CHECK(answer->error().code == Errc::unavailable);
    answer.reset();
    part->ask(Asking::stamped(v1::NodeListRequest{}),
              [&](Result<v1::NodeListResponse> result) { answer = std::move(result); });
    REQUIRE(answer.has_value());
    CHECK(answer->error().what == "this node stops");
    asked.part.answer();
}

TEST_CASE("more calls than are served at once, of all connections, are refused") {
    tests::HomeThread home;
    const tests::TestAuthority authority;
    Asked asked(home, authority);
    Asking one(home, authority);
    Asking other(home, authority);
    asked.part.mood = TestPart::Mood::silent;
    int answered = 0;
    const auto part = one.parts.part(asked.member(), 10min);
    for (int i = 0; i < NodeQueueService::calls_max; ++i) {
        part->ask(Asking::stamped(v1::NodeListRequest{}),
                  [&](Result<v1::NodeListResponse> result) { answered += result.has_value(); });
    }
    home.run_until([&] { return asked.part.asked == NodeQueueService::calls_max; });
    const auto list = Asking::stamped(v1::NodeListRequest{});
    const auto refused = other.ask<v1::NodeListResponse>(asked.member(), list);
    REQUIRE_FALSE(refused.has_value());
    CHECK(has(refused.error().what, "too_many"));
    asked.part.mood = TestPart::Mood::answers;
    asked.part.answer();
    home.run_until([&] { return answered == NodeQueueService::calls_max; });
    CHECK(other.ask<v1::NodeListResponse>(asked.member(), list).has_value());
}

}  // namespace
}  // namespace posthorse::admin
