#include "replication/edge/count_exchange.h"

#include <doctest/doctest.h>
#include <grpcpp/create_channel.h>

#include <optional>

#include "replication/edge/count_codec.h"
#include "tests/unit/replication/edge/peer_fixture.h"
#include "tests/unit/replication/edge/samples.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;

namespace {

CountBatch some_counts() {
    return {header().incarnation,
            {{{"login-failed/192.0.2.1", Duration{600'000}}, {{3'000'000, 2}, {3'000'001, 1}}},
             {{"sent/ann@example.org", Duration{86'400'000}}, {}}}};
}

// One node's end, on a peer port of its own.
struct Counting {
    Counting(HomeThread& home, const TestAuthority& authority, Refusal verdict = Refusal::none)
        : exchange({.home = home,
                    .identity = {.judge = [verdict](const Header&) { return verdict; },
                                 .header = [](NodeId) { return header(); }},
                    .channel = [this](const std::string& to) { return peer->channel(to); },
                    .receive =
                        [this](const NodeId&, const CountBatch& batch) {
                            received.push_back(batch);
                            return CountExchange::Others{7, 8};
                        }}),
          peer(home, authority, {.services = {&exchange}}),
          home_(home) {}
    ~Counting() {
        bool stopped = false;
        exchange.stop([&] { stopped = true; });
        home_.run_until([&] { return stopped; });
        peer.stop();
        peer.forget();
    }

    std::vector<CountBatch> received;
    CountExchange exchange;
    TestPeer peer;

private:
    HomeThread& home_;
};

Result<CountExchange::Others> tell(HomeThread& home, Counting& from, Counting& to) {
    std::optional<Result<CountExchange::Others>> answer;
    Member member;
    member.facts.address = to.peer.address();
    from.exchange.send(member, some_counts(),
                       [&](Result<CountExchange::Others> others) { answer = std::move(others); });
    home.run_until([&] { return answer.has_value(); });
    return *answer;
}

}  // namespace

TEST_CASE("counts go to a peer, and what the others counted comes back") {
    HomeThread home;
    const TestAuthority authority;
    Counting one(home, authority);
    Counting other(home, authority);
    const auto others = tell(home, one, other);
    REQUIRE(others.has_value());
    CHECK(*others == CountExchange::Others{7, 8});
    REQUIRE(other.received.size() == 1);
    CHECK(other.received[0].entries == some_counts().entries);
    CHECK(other.received[0].incarnation == header().incarnation);
}

TEST_CASE("who is not of this pool, or shows no certificate, counts nothing") {
    HomeThread home;
    const TestAuthority authority;
    Counting one(home, authority);
    Counting other(home, authority, Refusal::other_pool);
    const auto refused = tell(home, one, other);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::unavailable);
    CHECK(other.received.empty());

    const auto stub = v1::Counting::NewStub(
        grpc::CreateChannel(other.peer.address(), tls_client(authority.certificate(), nullptr)));
    grpc::ClientContext context;
    v1::CountRequest request;
    v1::CountResponse response;
    encode(header(), some_counts(), request);
    CHECK_FALSE(stub->Count(&context, request, &response).ok());
    CHECK(other.received.empty());
}

TEST_CASE("what is no count is refused by its field") {
    v1::CountRequest good;
    encode(header(), some_counts(), good);
    CHECK(decode(good)->batch.entries == some_counts().entries);
    auto nameless = good;
    nameless.mutable_counts(0)->clear_name();
    CHECK(decode(nameless).error().what.starts_with("name: "));
    auto endless = good;
    endless.mutable_counts(1)->set_window_ms(1ll << 60);
    CHECK(decode(endless).error().what.starts_with("window_ms: "));
    auto crowded = good;
    for (int i = 0; i < 100; ++i) crowded.mutable_counts(0)->add_slots()->set_number(i);
    CHECK(decode(crowded).error().what.starts_with("slots: "));
    CHECK_FALSE(decode(v1::CountRequest{}).has_value());
}
