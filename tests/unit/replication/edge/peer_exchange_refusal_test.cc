#include <doctest/doctest.h>
#include <grpcpp/create_channel.h>

#include <thread>

#include "posthorse/v1/exchange.grpc.pb.h"
#include "replication/edge/control_codec.h"
#include "replication/edge/data_codec.h"
#include "replication/edge/peer_exchange.h"
#include "tests/unit/replication/edge/frame_samples.h"
#include "tests/unit/replication/edge/samples.h"
#include "tests/unit/replication/edge/stream_peer.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;

namespace {

// A stream of gRPC's own, that says what PeerExchange would not.
class RawStream {
public:
    RawStream(const std::string& address,
              const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
        grpc::ChannelArguments arguments;
        arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        stub_ = v1::Exchange::NewStub(grpc::CreateCustomChannel(address, credentials, arguments));
    }
    // Writes all of them from another thread, while home judges, and reads to the end.
    grpc::Status say(HomeThread& home, const std::vector<v1::ExchangeMessage>& messages) {
        grpc::Status status;
        bool ended = false;
        std::thread talker([&] {
            grpc::ClientContext context;
            const auto stream = stub_->Exchange(&context);
            for (const auto& message : messages) {
                if (!stream->Write(message)) break;
            }
            v1::ExchangeMessage answer;
            while (stream->Read(&answer)) {
            }
            const auto result = stream->Finish();
            home.post([&, result] {
                status = result;
                ended = true;
            });
        });
        home.run_until([&] { return ended; });
        talker.join();
        return status;
    }

private:
    std::unique_ptr<v1::Exchange::Stub> stub_;
};

v1::ExchangeMessage hello(NodeId to) {
    v1::ExchangeMessage message;
    put(Header{.pool_id = "pool",
               .pool_incarnation = 1,
               .from = node(9),
               .incarnation = {1, 1},
               .name = "raw",
               .address = "n9.example:9626",
               .to = to},
        *message.mutable_header());
    return message;
}

v1::ExchangeMessage with_frames(std::size_t count) {
    v1::ExchangeMessage message;
    for (std::size_t i = 0; i < count; ++i) encode(ack(i), *message.add_frames());
    return message;
}

}  // namespace

TEST_CASE("a header that is judged bad ends the stream before a frame is heard") {
    for (const auto refusal :
         {Refusal::other_pool, Refusal::not_a_member, Refusal::stale_incarnation,
          Refusal::wrong_node, Refusal::not_ready}) {
        CAPTURE(to_string(refusal));
        HomeThread home;
        const TestAuthority authority;
        StreamPeer one(home, authority, {.number = 1});
        StreamPeer two(home, authority, {.number = 2});
        two.judge = [&](const Header& from) {
            CHECK(from.from == one.id());
            return refusal;
        };
        one.keep(two);
        home.run_until([&] { return one.problem() == to_string(refusal); });
        CHECK(two.network->stream_figures().refused[to_string(refusal)] >= 1);
        CHECK(one.ups == 0);
        CHECK(two.frames.empty());
        // As soon as it is good, it is taken.
        two.judge = [](const Header&) { return Refusal::none; };
        home.run_until([&] { return one.ups == 1; });
    }
}

TEST_CASE("the node that answers is judged too") {
    HomeThread home;
    const TestAuthority authority;
    StreamPeer one(home, authority, {.number = 1});
    StreamPeer two(home, authority, {.number = 2});
    StreamPeer stranger(home, authority, {.number = 3, .pool_id = "another"});
    one.judge = [](const Header&) { return Refusal::stale_incarnation; };
    one.keep(two);
    home.run_until([&] { return one.problem() == "stale_incarnation"; });
    one.streams().leave(two.id());
    one.judge = [](const Header&) { return Refusal::none; };
    one.streams().keep(node(7), two.network.address());
    home.run_until([&] { return one.problem().find("wrong_node") == 0; });
    one.streams().leave(node(7));
    one.keep(stranger);
    home.run_until([&] { return one.problem() == "other_pool"; });
    CHECK(stranger.network->stream_figures().refused["other_pool"] >= 1);
    CHECK(one.ups == 0);
}

TEST_CASE("with certificates of nodes, both ends must carry the name that they claim") {
    constexpr auto named = PeerCertificates::node;
    HomeThread home;
    const TestAuthority authority;
    StreamPeer good(home, authority, {.number = 1, .certificates = named});
    StreamPeer other(home, authority, {.number = 2, .certificates = named});
    StreamPeer liar(home, authority, {.number = 3, .certificates = named, .claimed_name = "n1"});
    good.keep(other);
    home.run_until([&] { return good.ups == 1; });
    liar.keep(other);
    home.run_until([&] { return liar.problem().find("wrong_name") == 0; });
    CHECK(other.network->stream_figures().refused["wrong_name"] >= 1);
    other.keep(liar);
    home.run_until([&] { return other.problem().find("wrong_name") == 0; });
    CHECK(liar.ups == 0);
    CHECK(other.ups == 0);
    CHECK(good.downs == 0);
}

TEST_CASE("who has no good certificate begins no stream") {
    HomeThread home;
    const TestAuthority authority;
    const TestAuthority other;
    StreamPeer two(home, authority, {.number = 2});
    const auto strangers = other.issue({"n1"});
    for (const auto& client : {tls_client(authority.certificate(), nullptr),
                               tls_client(authority.certificate(), &strangers)}) {
        RawStream raw(two.network.address(), client);
        CHECK(raw.say(home, {hello(two.id())}).error_code() == grpc::StatusCode::UNAVAILABLE);
    }
    StreamPeer stranger(home, other, {.number = 1});
    stranger.keep(two);
    home.run_until([&] { return !stranger.problem().empty(); });
    CHECK(two.network->stream_figures().in == 0);
}

TEST_CASE("what is malformed ends its stream and names the field") {
    HomeThread home;
    const TestAuthority authority;
    StreamPeer two(home, authority, {.number = 2});
    const auto credentials = authority.issue({"raw"});
    const auto client = tls_client(authority.certificate(), &credentials);
    const auto said = [&](const std::vector<v1::ExchangeMessage>& messages) {
        RawStream raw(two.network.address(), client);
        const auto status = raw.say(home, messages);
        CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
        return status.error_message();
    };
    auto damaged = hello(two.id());
    damaged.mutable_header()->set_from("short");
    CHECK(said({damaged}) == "malformed: header.from: must be 16 octets");
    CHECK(said({with_frames(1)}) == "malformed: header: must come first, and once");
    CHECK(said({v1::ExchangeMessage()}) == "malformed: header: must come first, and once");
    auto both = hello(two.id());
    *both.add_frames() = with_frames(1).frames(0);
    CHECK(said({both}) == "malformed: header: must come without frames");
    CHECK(two.frames.empty());
    CHECK(said({hello(two.id()), with_frames(1), hello(two.id())}) ==
          "malformed: header: must come first, and once");
    CHECK(two.frames.size() == 1);
    auto unknown = with_frames(2);
    unknown.mutable_frames(1)->clear_frame();
    CHECK(said({hello(two.id()), unknown}) ==
          "malformed: frame: must be one that this release knows");
    CHECK(two.frames.size() == 1);
    CHECK(two.network->stream_figures().refused["malformed"] == 6);
    CHECK(two.network->stream_figures().in == 0);
}

TEST_CASE("streams beyond a bound are refused, those that say nothing too") {
    using Stream = grpc::ClientReaderWriter<v1::ExchangeMessage, v1::ExchangeMessage>;
    HomeThread home;
    const TestAuthority authority;
    StreamPeer two(home, authority, {.number = 2});
    const auto credentials = authority.issue({"raw"});
    const auto client = tls_client(authority.certificate(), &credentials);
    std::vector<std::unique_ptr<v1::Exchange::Stub>> stubs;  // of a connection each
    std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
    std::vector<std::unique_ptr<Stream>> streams;
    for (std::size_t i = 0; i < exchange_streams_max + 8; ++i) {
        if (i % peer_streams_max == 0) {
            grpc::ChannelArguments arguments;
            arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
            stubs.push_back(v1::Exchange::NewStub(
                grpc::CreateCustomChannel(two.network.address(), client, arguments)));
        }
        contexts.push_back(std::make_unique<grpc::ClientContext>());
        streams.push_back(stubs.back()->Exchange(contexts.back().get()));
    }
    RawStream one_more(two.network.address(), client);
    grpc::Status status;
    while (status.error_code() != grpc::StatusCode::RESOURCE_EXHAUSTED)
        status = one_more.say(home, {hello(node(5))});
    CHECK(status.error_message().find("too_many") == 0);
    CHECK(two.network->stream_figures().refused["too_many"] >= 1);
    for (const auto& context : contexts) context->TryCancel();
    while (status.error_code() != grpc::StatusCode::FAILED_PRECONDITION)
        status = one_more.say(home, {hello(node(5))});
    for (const auto& stream : streams) CHECK_FALSE(stream->Finish().ok());
}
