// The way between the nodes of a pool, over gRPC and mutual TLS: messages about the pool, and
// streams of mail.
//
// Place     Between edge/embedded_control.h, which brings and takes messages, the queue, which
//           brings and takes frames, and other nodes. Built of peer_credentials.h, peer_client.h
//           (sends messages), peer_service.h (receives them) and peer_exchange.h (streams).
// Contract  A message that is sent arrives once or never, in any order; nobody hears which. Every
//           message that comes passed these checks: its connection showed a certificate of the
//           authorities, it is well formed (control_codec.h), and with PeerCertificates::node its
//           certificate carries the name in its header. The receiver's verdict goes back as the
//           status of the call. Streams pass the same (peer_streams.h).
//           No octet of who shows no certificate reaches HTTP/2. The port serves this and what
//           Settings::services names: no reflection, no health.
//           reload() takes three new files or, when one is not good, none.
// Owner     node.cc. All calls on home, none blocks but open() and reload(), which read files. The
//           destructor requires that stop() has completed.
// Errors    open(), reload(): name the address or file and the mend. Messages that are lost are
//           counted, and the last reason for each address is kept for people.
// Bounds    The constants in peer_limits.h: messages and octets on the way to an address,
//           addresses, messages that wait for home, octets of one; streams, and what home has of
//           each. Of messages that are beyond, the newest is dropped; a stream waits.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proto/types/executor.h"
#include "replication/core/control_message.h"
#include "replication/edge/certificate_check.h"

namespace grpc {
class Channel;
class Service;
}  // namespace grpc

namespace posthorse::replication {

class PeerClient;
class PeerCredentials;
class PeerExchange;
class PeerServer;
class PeerStreams;
struct PeerCounters;

enum class PeerCertificates : std::uint8_t {
    pool,  // any bearer of a certificate of the authorities is a member
    node,  // the certificate must carry the claimed name
};

struct PeerNetworkFigures {
    std::uint64_t sent = 0;      // and taken
    std::uint64_t failed = 0;    // did not arrive, or was refused
    std::uint64_t dropped = 0;   // never tried: too many on the way, or too large
    std::uint64_t received = 0;  // and handed to the receiver
    // What came and was not taken, by reason: those of Refusal, and "malformed", "wrong_name",
    // "no_certificate", "too_many".
    std::map<std::string, std::uint64_t> refused;
    WallTime certificate_expires{};
};

// Of the streams of peer_exchange.h.
struct PeerStreamFigures {
    std::uint64_t up = 0;  // kept to peers, and taken by them
    std::uint64_t in = 0;  // kept by peers, and taken
    std::uint64_t frames_sent = 0;
    std::uint64_t octets_sent = 0;  // of messages, before encryption
    std::uint64_t frames_received = 0;
    std::uint64_t octets_received = 0;
    std::map<std::string, std::uint64_t> refused;  // that came: as of messages
};

// The last message to an address did not arrive, or the stream to it is not up.
struct PeerProblem {
    std::string address;
    std::string what;
};

class PeerNetwork {
public:
    struct Settings {
        std::string address;     // where to listen
        std::uint16_t port = 0;  // 0: any
        PeerFiles files;
        PeerCertificates certificates = PeerCertificates::pool;
        std::string name;  // of this node; with PeerCertificates::node its certificate carries it
        Duration deadline = std::chrono::seconds{2};  // for a message to arrive
        // Served on the same port, by gRPC's threads, until stop() has completed. Each checks by
        // itself that its caller shows a certificate, and how much it takes: the port takes
        // messages as large as those of streams.
        std::vector<grpc::Service*> services;
    };
    // Called on home. It calls its last argument with the verdict, once, on home, then or later.
    using Verdict = UniqueFunction<void(Refusal)>;
    using Receive = UniqueFunction<void(Header, Message, Verdict)>;
    // For streams. Called on home; without them every stream is refused as not_ready.
    struct Identity {
        std::function<Refusal(const Header&)> judge;  // who comes, or answers
        std::function<Header(NodeId to)> header;      // of this node
    };

    static Result<std::unique_ptr<PeerNetwork>> open(Settings settings,
                                                     Executor& home,
                                                     Receive receive,
                                                     Identity identity = {});
    ~PeerNetwork();
    PeerNetwork(const PeerNetwork&) = delete;
    PeerNetwork& operator=(const PeerNetwork&) = delete;

    void send(Outgoing outgoing);
    // Of an address, for calls of a peer's other services; null when there are too many addresses.
    // Whoever keeps it longer than for a call keeps its connection. A call ends by a deadline of
    // its own: stop() does not know of it.
    std::shared_ptr<grpc::Channel> channel(const std::string& address);
    // Of mail, to the holders of partitions.
    PeerStreams& streams();
    Result<void> reload();
    PeerNetworkFigures figures() const;
    std::vector<PeerProblem> problems() const;
    PeerStreamFigures stream_figures() const;
    std::vector<PeerProblem> stream_problems() const;
    std::uint16_t port() const;  // where it listens
    // Gives up what is on the way. `done` runs on home; neither `receive` nor the receiver of the
    // streams is called any more.
    void stop(UniqueFunction<void()> done);

private:
    PeerNetwork(Settings settings, Executor& home);
    void part_stopped();

    const Settings settings_;
    Executor& home_;
    std::unique_ptr<PeerCounters> counters_;
    std::unique_ptr<PeerCredentials> credentials_;
    std::unique_ptr<PeerExchange> exchange_;
    std::unique_ptr<PeerClient> client_;
    std::unique_ptr<PeerServer> server_;
    int parts_running_ = 0;
    UniqueFunction<void()> stopped_;
};

}  // namespace posthorse::replication
