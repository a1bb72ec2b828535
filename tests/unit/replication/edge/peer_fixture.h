// Certificates, a home that other threads post to, and nodes that talk over real sockets.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "daemon/pool/certificate_authority.h"
#include "replication/edge/peer_network.h"
#include "tests/unit/support/temporary_directory.h"

namespace grpc {
class ChannelCredentials;
class Status;
}  // namespace grpc
namespace posthorse::v1 {
class DeliverRequest;
}

namespace posthorse::tests {

// The thread that waits is home.
class HomeThread final : public Executor {
public:
    void post(UniqueFunction<void()> work) override;
    // Runs what is posted until `condition` holds; aborts the test when it never does.
    void run_until(const std::function<bool()>& condition);

private:
    std::mutex mutex_;
    std::condition_variable posted_;
    std::deque<UniqueFunction<void()>> work_;
};

enum class Age { good, expired };

class TestAuthority {
public:
    TestAuthority();
    const std::string& certificate() const { return own_.certificate; }
    pool::Credentials issue(const std::vector<std::string>& names, Age age = Age::good) const;

private:
    pool::Credentials own_;
};

void write_file(const std::string& path, const std::string& content);
// A port of loopback where nobody listens.
std::uint16_t free_port();

// A socket that listens and never answers.
class SilentServer {
public:
    SilentServer();
    ~SilentServer();
    SilentServer(const SilentServer&) = delete;
    SilentServer& operator=(const SilentServer&) = delete;
    const std::string& address() const { return address_; }

private:
    int fd_;
    std::string address_;
};

// A node's end of the network, with its files in a directory of its own.
class TestPeer {
public:
    struct Options {
        std::string name = "n1";
        replication::PeerCertificates certificates = replication::PeerCertificates::pool;
        replication::Refusal verdict = replication::Refusal::none;
        std::string address = "127.0.0.1";
        Duration deadline = std::chrono::minutes{1};
        std::vector<grpc::Service*> services;
        std::uint16_t port = 0;
        replication::PeerNetwork::Identity identity = {};
    };
    TestPeer(HomeThread& home, const TestAuthority& authority, const Options& options);
    ~TestPeer() { stop(); }

    void put_files(const std::string& authorities, const pool::Credentials& credentials);
    std::string address() const;
    // As `name`, or by its own.
    void send(const std::string& address, replication::Message message, std::string name = "");
    void stop();
    void forget() { network_.reset(); }  // it was stopped otherwise
    replication::PeerNetwork* operator->() { return network_.get(); }
    const replication::PeerNetwork& get() const { return *network_; }

    struct Taken {
        replication::Header header;
        replication::Message message;
    };
    std::vector<Taken> taken;

private:
    HomeThread& home_;
    const Options options_;
    TemporaryDirectory directory_;
    std::unique_ptr<replication::PeerNetwork> network_;
};

// A client of gRPC's own that does what PeerNetwork would not.
std::shared_ptr<grpc::ChannelCredentials> tls_client(const std::string& authorities,
                                                     const pool::Credentials* identity);
enum class Compression { none, gzip };
grpc::Status deliver(const std::string& address,
                     const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                     const v1::DeliverRequest& request,
                     Compression compression = Compression::none);

}  // namespace posthorse::tests
