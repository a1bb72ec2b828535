#include "replication/edge/peer_network.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/server_builder.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "posthorse/v1/admin.grpc.pb.h"
#include "posthorse/v1/pool.grpc.pb.h"
#include "replication/edge/control_codec.h"
#include "replication/edge/peer_limits.h"
#include "tests/unit/replication/edge/peer_fixture.h"
#include "tests/unit/replication/edge/same.h"
#include "tests/unit/replication/edge/samples.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;

namespace {

v1::DeliverRequest a_message() {
    v1::DeliverRequest request;
    encode(header(), StartJoin{{7}}, request);
    return request;
}

// Calls from another thread, so that home can judge.
grpc::Status deliver_beside(HomeThread& home,
                            const std::string& address,
                            const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                            const v1::DeliverRequest& request) {
    grpc::Status status;
    bool ended = false;
    std::thread client([&] {
        auto result = deliver(address, credentials, request);
        home.post([&, result] {
            status = result;
            ended = true;
        });
    });
    home.run_until([&] { return ended; });
    client.join();
    return status;
}

// Writes octets to the port and reads until the server hangs up.
void send_raw(std::uint16_t port, const std::string& octets) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(port);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    static_cast<void>(::send(fd, octets.data(), octets.size(), MSG_NOSIGNAL));
    char answer[512];
    while (::recv(fd, answer, sizeof answer, 0) > 0) {
    }
    ::close(fd);
}

// As reflection is: once enabled, of every server that is built later.
class Plugin final : public grpc::ServerBuilderPlugin {
public:
    static inline int servers = 0;
    std::string name() override { return "test"; }
    void InitServer(grpc::ServerInitializer*) override { ++servers; }
    void Finish(grpc::ServerInitializer*) override {}
    void ChangeArguments(const std::string&, void*) override {}
};

// Of those that a node serves to peers beside this one's own.
class OtherService final : public v1::Admin::CallbackService {
public:
    grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context,
                                        const v1::GetStatusRequest*,
                                        v1::GetStatusResponse*) override {
        auto* reactor = context->DefaultReactor();
        const bool authenticated = context->auth_context()->IsPeerAuthenticated();
        reactor->Finish(authenticated ? grpc::Status::OK
                                      : grpc::Status(grpc::StatusCode::UNAUTHENTICATED, ""));
        return reactor;
    }
};

grpc::StatusCode ask_health(const std::string& address,
                            const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    const auto channel = grpc::CreateChannel(address, credentials);
    const grpc::internal::RpcMethod check("/grpc.health.v1.Health/Check",
                                          grpc::internal::RpcMethod::NORMAL_RPC);
    grpc::ClientContext context;
    v1::DeliverResponse nothing;  // as a request, too: it has no fields
    return grpc::internal::BlockingUnaryCall(channel.get(), check, &context, nothing, &nothing)
        .error_code();
}

}  // namespace

TEST_CASE("what the process enables for its other servers is not served to peers") {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder::InternalAddPluginFactory(
        [] { return std::unique_ptr<grpc::ServerBuilderPlugin>(std::make_unique<Plugin>()); });
    HomeThread home;
    const TestAuthority authority;
    TestPeer peer(home, authority, {});
    const auto good = authority.issue({"n1"});
    CHECK(ask_health(peer.address(), tls_client(authority.certificate(), &good)) ==
          grpc::StatusCode::UNIMPLEMENTED);
    CHECK(Plugin::servers == 0);
}

TEST_CASE("a node serves further services on its port, and calls those of peers") {
    HomeThread home;
    const TestAuthority authority;
    OtherService service;
    TestPeer one(home, authority, {.name = "n1"});
    TestPeer two(home, authority, {.name = "n2", .services = {&service}});
    const auto channel = one->channel(two.address());
    REQUIRE(channel != nullptr);
    CHECK(one->channel(two.address()) == channel);
    CHECK(one->channel("") == nullptr);
    const auto stub = v1::Admin::NewStub(channel);
    grpc::ClientContext context;
    v1::GetStatusResponse response;
    CHECK(stub->GetStatus(&context, {}, &response).ok());
    one.send(two.address(), TakeLead{{1}});
    home.run_until([&] { return two.taken.size() == 1; });
    one.stop();
    two.stop();
}

TEST_CASE("two nodes exchange every message") {
    HomeThread home;
    const TestAuthority authority;
    TestPeer one(home, authority, {.name = "n1"});
    TestPeer two(home, authority, {.name = "n2"});
    const auto messages = every_message();
    std::vector<bool> seen(messages.size());
    for (const auto& message : messages) one.send(two.address(), message);
    home.run_until([&] { return two.taken.size() == messages.size(); });
    for (const auto& taken : two.taken) {
        CHECK(taken.header.from == node(1));
        for (std::size_t i = 0; i < messages.size(); ++i)
            seen[i] = seen[i] || same(taken.message, messages[i]);
    }
    CHECK(std::count(seen.begin(), seen.end(), true) ==
          static_cast<std::ptrdiff_t>(messages.size()));
    two.send(one.address(), TakeLead{{3}});
    home.run_until([&] { return one.taken.size() == 1; });
    CHECK(one.taken.front().header.name == "n2");
    home.run_until([&] { return one->figures().sent == messages.size(); });
    CHECK(two->figures().received == messages.size());
    CHECK(one->problems().empty());
}

TEST_CASE("an address of IPv6 is an address") {
    const int probe = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 loopback{};
    loopback.sin6_family = AF_INET6;
    loopback.sin6_addr = in6addr_loopback;
    const bool has_v6 =
        probe >= 0 && ::bind(probe, reinterpret_cast<sockaddr*>(&loopback), sizeof loopback) == 0;
    ::close(probe);
    if (!has_v6) return;
    HomeThread home;
    const TestAuthority authority;
    TestPeer one(home, authority, {.name = "n1"});
    TestPeer two(home, authority, {.name = "n2", .address = "::1"});
    one.send(two.address(), TakeLead{{3}});
    home.run_until([&] { return two.taken.size() == 1; });
}

TEST_CASE("the receiver's verdict is the status, and is counted at both ends") {
    struct Row {
        Refusal refusal;
        grpc::StatusCode code;
        std::string name;
    };
    const TestAuthority authority;
    const auto credentials = authority.issue({"raw"});
    for (const auto& [refusal, code, name] : std::vector<Row>{
             {Refusal::none, grpc::StatusCode::OK, ""},
             {Refusal::other_pool, grpc::StatusCode::FAILED_PRECONDITION, "other_pool"},
             {Refusal::stale_incarnation, grpc::StatusCode::FAILED_PRECONDITION,
              "stale_incarnation"},
             {Refusal::wrong_node, grpc::StatusCode::FAILED_PRECONDITION, "wrong_node"},
             {Refusal::not_a_member, grpc::StatusCode::PERMISSION_DENIED, "not_a_member"},
             {Refusal::not_ready, grpc::StatusCode::UNAVAILABLE, "not_ready"}}) {
        CAPTURE(name);
        HomeThread home;
        TestPeer two(home, authority, {.verdict = refusal});
        const auto status = deliver_beside(
            home, two.address(), tls_client(authority.certificate(), &credentials), a_message());
        CHECK(status.error_code() == code);
        CHECK(status.error_message() == name);
        if (refusal == Refusal::none) continue;
        CHECK(two->figures().refused[name] == 1);
        TestPeer one(home, authority, {});
        one.send(two.address(), TakeLead{{1}});
        home.run_until([&] { return one->figures().failed == 1; });
        REQUIRE(one->problems().size() == 1);
        CHECK(one->problems().front().address == two.address());
        CHECK(one->problems().front().what == name);
    }
}

TEST_CASE("a receiver that drops its verdict refuses the message") {
    HomeThread home;
    const TestAuthority authority;
    TemporaryDirectory directory;
    const auto credentials = authority.issue({"n1"});
    write_file(directory.path() + "/ca", authority.certificate());
    write_file(directory.path() + "/cert", credentials.certificate);
    write_file(directory.path() + "/key", credentials.key);
    auto network =
        PeerNetwork::open({.address = "127.0.0.1",
                           .files = {directory.path() + "/ca", directory.path() + "/cert",
                                     directory.path() + "/key"}},
                          home, [](Header, Message, PeerNetwork::Verdict) {});
    REQUIRE(network.has_value());
    const auto status =
        deliver_beside(home, "127.0.0.1:" + std::to_string((*network)->port()),
                       tls_client(authority.certificate(), &credentials), a_message());
    CHECK(status.error_code() == grpc::StatusCode::UNAVAILABLE);
    bool stopped = false;
    (*network)->stop([&] { stopped = true; });
    home.run_until([&] { return stopped; });
}

TEST_CASE("who shows no good certificate is refused, and nothing is received") {
    HomeThread home;
    const TestAuthority authority;
    const TestAuthority other;
    TestPeer peer(home, authority, {});
    const auto strangers = other.issue({"n1"});
    const auto expired = authority.issue({"n1"}, Age::expired);
    const auto good = authority.issue({"n1"});
    const std::vector<std::pair<std::string, std::shared_ptr<grpc::ChannelCredentials>>> clients{
        {"no certificate", tls_client(authority.certificate(), nullptr)},
        {"of another authority", tls_client(authority.certificate(), &strangers)},
        {"expired", tls_client(authority.certificate(), &expired)},
        {"does not trust the server", tls_client(other.certificate(), &good)},
        {"plain text", grpc::InsecureChannelCredentials()}};
    for (const auto& [what, client] : clients) {
        CAPTURE(what);
        const auto status = deliver(peer.address(), client, a_message());
        CHECK(status.error_code() == grpc::StatusCode::UNAVAILABLE);
    }
    TestPeer stranger(home, other, {});
    stranger.send(peer.address(), TakeLead{{1}});
    home.run_until([&] { return stranger->figures().failed == 1; });
    CHECK(stranger->problems().size() == 1);
    CHECK(peer.taken.empty());
    CHECK(peer->figures().received == 0);
}

TEST_CASE("octets that are no TLS end their connection and nothing else") {
    HomeThread home;
    const TestAuthority authority;
    TestPeer one(home, authority, {});
    TestPeer two(home, authority, {});
    send_raw(two->port(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    send_raw(two->port(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string(64, '\xFF'));
    send_raw(two->port(), "\x16\x03\x01" + std::string(4096, '\xFF'));
    one.send(two.address(), TakeLead{{1}});
    home.run_until([&] { return two.taken.size() == 1; });
}

TEST_CASE("with certificates of nodes, the name in the header must be in the certificate") {
    HomeThread home;
    const TestAuthority authority;
    TestPeer one(home, authority, {.name = "n1", .certificates = PeerCertificates::node});
    TestPeer two(home, authority, {.name = "n2", .certificates = PeerCertificates::node});
    one.send(two.address(), TakeLead{{1}}, "n2");
    home.run_until([&] { return one->figures().failed == 1; });
    CHECK(one->problems().front().what.find("wrong_name") == 0);
    CHECK(two->figures().refused["wrong_name"] == 1);
    CHECK(two.taken.empty());
    one.send(two.address(), TakeLead{{2}}, "N1");
    home.run_until([&] { return one->figures().sent == 1; });
    CHECK(two.taken.size() == 1);
    CHECK(one->problems().empty());
}

TEST_CASE("malformed and too large messages are refused, and nothing is received") {
    HomeThread home;
    const TestAuthority authority;
    TestPeer peer(home, authority, {});
    const auto credentials = authority.issue({"raw"});
    const auto client = tls_client(authority.certificate(), &credentials);
    auto malformed = a_message();
    malformed.mutable_header()->set_from("../../etc/passwd");
    malformed.mutable_header()->set_to("short");
    auto status = deliver(peer.address(), client, malformed);
    CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    CHECK(status.error_message() == "malformed: header.to: must be 16 octets");
    CHECK(peer->figures().refused["malformed"] == 1);

    v1::DeliverRequest large;
    encode(header(), Estranged{}, large);
    large.mutable_estranged()->set_why(std::string(2 * peer_message_bytes_max, 'x'));
    CHECK(deliver(peer.address(), client, large).error_code() ==
          grpc::StatusCode::RESOURCE_EXHAUSTED);
    // Small on the wire, large behind it; and even one that stays small.
    CHECK_FALSE(deliver(peer.address(), client, large, Compression::gzip).ok());
    CHECK_FALSE(deliver(peer.address(), client, a_message(), Compression::gzip).ok());
    CHECK(peer.taken.empty());
}

TEST_CASE("a message that no peer would take is not sent") {
    HomeThread home;
    const TestAuthority authority;
    TestPeer one(home, authority, {});
    TestPeer two(home, authority, {});
    Heartbeat heartbeat;
    heartbeat.leases.resize(peer_message_bytes_max / 10);
    one.send(two.address(), heartbeat);
    one.send("", TakeLead{{1}});
    CHECK(one->figures().dropped == 2);
}

TEST_CASE("messages to a dead address are bounded, and stopping does not wait for them") {
    HomeThread home;
    const TestAuthority authority;
    const SilentServer silent;
    const auto refusing = "127.0.0.1:" + std::to_string(free_port());
    TestPeer one(home, authority, {});
    for (int i = 0; i < 1000; ++i) one.send(silent.address(), published());
    for (int i = 0; i < 1000; ++i) one.send(refusing, published());
    const auto figures = one->figures();
    CHECK(figures.dropped + figures.failed >= 2 * (1000 - peer_calls_max));
    home.run_until([&] { return one->figures().failed >= peer_calls_max; });
    for (int i = 0; i < 10; ++i) one.send(silent.address(), published());
    one.stop();
}

TEST_CASE("more addresses than there are places are dropped while the others are waited for") {
    HomeThread home;
    const TestAuthority authority;
    const SilentServer silent;
    TestPeer one(home, authority, {});
    const auto port = silent.address().substr(silent.address().find(':'));
    for (std::size_t i = 0; i < peer_addresses_max + 10; ++i)
        one.send("127.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1) + port,
                 TakeLead{{1}});
    CHECK(one->figures().dropped == 10);
}

TEST_CASE("a bad new file is refused and named, and what was good stays in use") {
    HomeThread home;
    const TestAuthority authority;
    TestPeer one(home, authority, {});
    TestPeer two(home, authority, {});
    one.send(two.address(), TakeLead{{1}});
    home.run_until([&] { return two.taken.size() == 1; });

    const auto good = authority.issue({"n1"});
    const auto expired = authority.issue({"n1"}, Age::expired);
    const auto other = TestAuthority().issue({"n1"});
    struct Row {
        std::string authorities;
        pool::Credentials credentials;
        std::string named;
    };
    for (const auto& [authorities, credentials, named] : std::vector<Row>{
             {"garbage", good, "/ca.pem: holds no certificate"},
             {authority.certificate().substr(0, 200), good, "/ca.pem: holds a damaged"},
             {authority.certificate(), {"garbage", good.key}, "/cert.pem: holds no certificate"},
             {authority.certificate(),
              {good.certificate, "garbage"},
              "/key.pem: holds no readable"},
             {authority.certificate(), {good.certificate, other.key}, "/key.pem: is not the key"},
             {authority.certificate(), expired, "certificate has expired"},
             {authority.certificate(), other, "/cert.pem: peers would refuse it"}}) {
        CAPTURE(named);
        two.put_files(authorities, credentials);
        const auto reloaded = two->reload();
        REQUIRE(reloaded.has_error());
        CAPTURE(reloaded.error().what);
        CHECK(reloaded.error().code == Errc::invalid);
        CHECK(reloaded.error().what.find(named) != std::string::npos);
    }
    one.send(two.address(), TakeLead{{2}});
    home.run_until([&] { return two.taken.size() == 2; });
    TestPeer newcomer(home, authority, {});
    newcomer.send(two.address(), TakeLead{{3}});
    home.run_until([&] { return two.taken.size() == 3; });
    two.send(newcomer.address(), TakeLead{{4}});
    home.run_until([&] { return newcomer.taken.size() == 1; });
}

TEST_CASE("a new authority takes the place of the old one without a restart") {
    HomeThread home;
    const TestAuthority before;
    const TestAuthority after;
    TestPeer peer(home, before, {});
    const auto old = before.issue({"raw"});
    const auto fresh = after.issue({"raw"});
    const auto with_old = tls_client(before.certificate(), &old);
    const auto with_fresh = tls_client(after.certificate(), &fresh);
    CHECK(deliver_beside(home, peer.address(), with_old, a_message()).ok());
    CHECK_FALSE(deliver(peer.address(), with_fresh, a_message()).ok());

    const auto expires = peer->figures().certificate_expires;
    CHECK(expires > WallTime{});
    peer.put_files(after.certificate(), after.issue({"n1"}));
    REQUIRE(peer->reload().has_value());
    while (!deliver_beside(home, peer.address(), with_fresh, a_message()).ok()) {
    }
    CHECK_FALSE(deliver_beside(home, peer.address(), with_old, a_message()).ok());
    // The sending half too.
    TestPeer newcomer(home, after, {});
    while (newcomer.taken.empty()) {
        const auto before_call = peer->figures();
        peer.send(newcomer.address(), TakeLead{{1}});
        home.run_until([&] {
            const auto now = peer->figures();
            return now.sent + now.failed > before_call.sent + before_call.failed;
        });
    }
}

TEST_CASE("what cannot be opened names the address or file and the mend") {
    HomeThread home;
    const TestAuthority authority;
    TestPeer first(home, authority, {});
    TemporaryDirectory directory;
    const auto credentials = authority.issue({"n1", "192.0.2.1"});
    const PeerFiles files{directory.path() + "/ca", directory.path() + "/cert",
                          directory.path() + "/key"};
    const auto open = [&](PeerNetwork::Settings settings) {
        settings.files = files;
        const auto opened =
            PeerNetwork::open(settings, home, [](Header, Message, PeerNetwork::Verdict) {});
        REQUIRE(opened.has_error());
        return opened.error().what;
    };
    CHECK(open({.address = "127.0.0.1"}).find(files.ca_file) == 0);
    write_file(files.ca_file, authority.certificate());
    write_file(files.certificate_file, credentials.certificate);
    write_file(files.key_file, credentials.key);
    const auto taken = open({.address = "127.0.0.1", .port = first->port()});
    CHECK(taken.find("peer port " + first.address() + ": cannot listen") == 0);
    CHECK(taken.find("pool.port") != std::string::npos);
    const auto nameless =
        open({.address = "127.0.0.1", .certificates = PeerCertificates::node, .name = "n7"});
    CHECK(nameless.find(files.certificate_file) == 0);
    CHECK(nameless.find("pool.name") != std::string::npos);
}

TEST_CASE("messages that come faster than home takes them are refused beyond a bound") {
    HomeThread home;
    const TestAuthority authority;
    TestPeer peer(home, authority, {});
    constexpr std::size_t senders_count = peer_waiting_max / peer_calls_max + 1;
    std::vector<std::unique_ptr<TestPeer>> senders;
    for (std::size_t i = 0; i < senders_count; ++i)
        senders.push_back(std::make_unique<TestPeer>(home, authority, TestPeer::Options{}));
    for (const auto& sender : senders) {
        for (std::size_t i = 0; i < peer_calls_max; ++i)
            sender->send(peer.address(), TakeLead{{i}});
    }
    // Home takes nothing meanwhile.
    while (peer->figures().refused["too_many"] < peer_calls_max) std::this_thread::yield();
    const auto sum = [&](std::uint64_t PeerNetworkFigures::* figure) {
        std::uint64_t sum = 0;
        for (const auto& sender : senders) sum += (*sender)->figures().*figure;
        return sum;
    };
    home.run_until([&] { return sum(&PeerNetworkFigures::sent) == peer_waiting_max; });
    home.run_until([&] { return sum(&PeerNetworkFigures::failed) == peer_calls_max; });
    CHECK(peer.taken.size() == peer_waiting_max);
}
