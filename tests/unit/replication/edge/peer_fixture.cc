#include "tests/unit/replication/edge/peer_fixture.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "posthorse/v1/pool.grpc.pb.h"
#include "tests/unit/replication/edge/samples.h"

namespace posthorse::tests {

using namespace replication;

namespace {

constexpr auto patience = std::chrono::seconds{60};  // for a machine that is very busy

WallTime now() {
    return std::chrono::floor<Duration>(std::chrono::system_clock::now());
}

pool::Validity validity(Age age) {
    using std::chrono::hours;
    if (age == Age::expired) return {now() - hours{48}, now() - hours{24}};
    return {now() - hours{24 * 7}, now() + hours{24}};
}

}  // namespace

void HomeThread::post(UniqueFunction<void()> work) {
    const std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
    posted_.notify_one();
}

void HomeThread::run_until(const std::function<bool()>& condition) {
    const auto give_up = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        std::unique_lock lock(mutex_);
        REQUIRE(posted_.wait_until(lock, give_up, [&] { return !work_.empty(); }));
        auto work = std::move(work_.front());
        work_.pop_front();
        lock.unlock();
        work();
    }
}

TestAuthority::TestAuthority()
    : own_(pool::make_authority(validity(Age::good)).value().credentials) {}

pool::Credentials TestAuthority::issue(const std::vector<std::string>& names, Age age) const {
    return pool::issue(own_, {names, validity(age)}).value().credentials;
}

void write_file(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

std::uint16_t free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof any;
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&any), length) == 0);
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&any), &length) == 0);
    ::close(fd);
    return ntohs(any.sin_port);
}

SilentServer::SilentServer() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof any;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&any), length) == 0);
    REQUIRE(::listen(fd_, 16) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&any), &length) == 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(any.sin_port));
}

SilentServer::~SilentServer() {
    ::close(fd_);
}

TestPeer::TestPeer(HomeThread& home, const TestAuthority& authority, const Options& options)
    : home_(home), options_(options) {
    put_files(authority.certificate(), authority.issue({options.name}));
    const auto& at = directory_.path();
    auto network = PeerNetwork::open(
        {.address = options.address,
         .port = options.port,
         .files = {at + "/ca.pem", at + "/cert.pem", at + "/key.pem"},
         .certificates = options.certificates,
         .name = options.name,
         .deadline = options.deadline,
         .services = options.services},
        home,
        [this](Header header, Message message, PeerNetwork::Verdict verdict) {
            taken.push_back({std::move(header), std::move(message)});
            verdict(options_.verdict);
        },
        options.identity);
    if (!network) FAIL(network.error().what);
    network_ = *std::move(network);
}

void TestPeer::put_files(const std::string& authorities, const pool::Credentials& credentials) {
    write_file(directory_.path() + "/ca.pem", authorities);
    write_file(directory_.path() + "/cert.pem", credentials.certificate);
    write_file(directory_.path() + "/key.pem", credentials.key);
}

std::string TestPeer::address() const {
    const auto& host = options_.address;
    return (host == "::1" ? "[::1]" : host) + ":" + std::to_string(network_->port());
}

void TestPeer::send(const std::string& to, Message message, std::string name) {
    auto from = header();
    from.name = name.empty() ? options_.name : name;
    network_->send({to, from, std::move(message)});
}

void TestPeer::stop() {
    if (!network_) return;
    bool stopped = false;
    network_->stop([&] { stopped = true; });
    home_.run_until([&] { return stopped; });
    network_.reset();
}

std::shared_ptr<grpc::ChannelCredentials> tls_client(const std::string& authorities,
                                                     const pool::Credentials* identity) {
    namespace tls = grpc::experimental;
    std::vector<tls::IdentityKeyCertPair> pairs;
    if (identity != nullptr) pairs.push_back({identity->key, identity->certificate});
    tls::TlsChannelCredentialsOptions options;
    options.set_certificate_provider(
        std::make_shared<tls::StaticDataCertificateProvider>(authorities, pairs));
    options.watch_root_certs();
    if (identity != nullptr) options.watch_identity_key_cert_pairs();
    options.set_check_call_host(false);
    options.set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
    return tls::TlsCredentials(options);
}

grpc::Status deliver(const std::string& address,
                     const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                     const v1::DeliverRequest& request,
                     Compression compression) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = v1::Pool::NewStub(grpc::CreateCustomChannel(address, credentials, arguments));
    grpc::ClientContext context;
    if (compression == Compression::gzip) context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    context.set_deadline(std::chrono::system_clock::now() + patience);
    v1::DeliverResponse response;
    return stub->Deliver(&context, request, &response);
}

}  // namespace posthorse::tests
