// Batches of counts between nodes, over gRPC: both ends of posthorse/v1/counting.proto.
//
// Place     On the peer port, beside the messages about the pool (peer_server.h); pool_counts.h
//           sends and receives.
// Contract  What comes passed the checks of peer_network.h: a certificate of the authorities, a
//           header of this pool and of a live member, its name in the certificate where that is
//           wanted. Nothing is tried again.
// Owner     The wiring of the node, beyond the end of the peer port. Home, but for the service,
//           which gRPC's threads call. The destructor requires that stop() has completed, or that
//           nothing was sent.
// Errors    unavailable: the other node did not take the batch, or its answer did not come.
// Bounds    One call to a member at a time (count_core.h), for `deadline`; calls_max come in at
// once.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "posthorse/v1/counting.grpc.pb.h"
#include "proto/types/executor.h"
#include "replication/counting/count_core.h"
#include "replication/edge/peer_network.h"

namespace posthorse::replication {

class CountExchange final : public v1::Counting::CallbackService {
public:
    static constexpr int calls_max = 64;
    static constexpr Duration deadline = std::chrono::seconds{2};

    struct Ports {
        Executor& home;
        PeerCertificates certificates = PeerCertificates::pool;
        PeerNetwork::Identity identity;
        // Null: there is none to be had.
        std::function<std::shared_ptr<grpc::Channel>(const std::string& address)> channel;
        std::function<std::vector<std::uint64_t>(const NodeId& from, const CountBatch&)> receive;
    };
    using Others = std::vector<std::uint64_t>;

    explicit CountExchange(Ports ports);
    ~CountExchange() override;

    void send(const Member& to, const CountBatch& batch, Completion<Others> done);
    // Cancels what is on the way and sends nothing any more. `done` runs on home.
    void stop(UniqueFunction<void()> done);

    grpc::ServerUnaryReactor* Count(grpc::CallbackServerContext* rpc,
                                    const v1::CountRequest* request,
                                    v1::CountResponse* response) override;

private:
    struct Call;

    void ended(std::uint64_t number, const grpc::Status& status);
    void finish(grpc::ServerUnaryReactor* reactor, const grpc::Status& status);

    const Ports ports_;
    std::map<std::uint64_t, std::unique_ptr<Call>> calls_;
    std::uint64_t last_call_ = 0;
    bool stopping_ = false;
    UniqueFunction<void()> stopped_;
    std::atomic<int> under_way_ = 0;  // that came in
};

}  // namespace posthorse::replication
