// The service of posthorse/v1/node_queue.proto: other nodes ask for this node's part of the queue.
//
// Place     On the peer port, beside the messages about the pool (replication/edge/peer_server.h).
// Contract  Before the part is asked: the connection has shown a certificate of the authorities;
//           the request is of this pool, meant for this node, and from a member; with certificates
//           of one node, the certificate carries the name that the pool knows the member by.
//           Refusals are counted by reason.
// Owner     The wiring of the node, beyond the end of the peer port. gRPC's threads call; the part
//           and the pool's value are touched on home alone, which runs until the port has stopped.
// Bounds    calls_max calls under way; what is beyond is refused.
#pragma once

#include <atomic>
#include <map>
#include <string>

#include "daemon/admin/parts/queue_part.h"
#include "daemon/admin/pool_reader.h"
#include "daemon/runtime/metrics.h"
#include "posthorse/v1/node_queue.grpc.pb.h"
#include "proto/types/executor.h"

namespace posthorse::admin {

enum class CertificatesName : std::uint8_t { pool, node };

class NodeQueueService final : public v1::NodeQueue::CallbackService {
public:
    using Rpc = grpc::CallbackServerContext;
    using Unary = grpc::ServerUnaryReactor;
    static constexpr int calls_max = 64;

    NodeQueueService(Executor& home,
                     PoolReader pool,
                     QueuePart& own,
                     CertificatesName certificates,
                     runtime::Metrics& metrics);

    Unary* List(Rpc* rpc,
                const v1::NodeListRequest* request,
                v1::NodeListResponse* response) override;
    Unary* Summarize(Rpc* rpc,
                     const v1::NodeSummarizeRequest* request,
                     v1::NodeSummarizeResponse* response) override;
    Unary* Get(Rpc* rpc, const v1::NodeGetRequest* request, v1::NodeGetResponse* response) override;
    Unary* Read(Rpc* rpc,
                const v1::NodeReadRequest* request,
                v1::NodeReadResponse* response) override;
    Unary* Act(Rpc* rpc, const v1::NodeActRequest* request, v1::NodeActResponse* response) override;
    Unary* Flush(Rpc* rpc,
                 const v1::NodeFlushRequest* request,
                 v1::NodeFlushResponse* response) override;

private:
    struct Refusal;
    struct Counters;

    template <class Request, class Response>
    Unary* answer(Rpc* rpc, const Request* request, Response* response);
    template <class Request, class Response>
    void answer_on_home(Rpc* rpc, Unary* reactor, const Request* request, Response* response);
    Refusal check(const grpc::ServerContextBase& rpc, const v1::NodeCaller& caller) const;
    void finish(Unary* reactor, const grpc::Status& status);
    grpc::Status count(const Refusal& refusal);

    Executor& home_;
    const PoolReader pool_;
    QueuePart& own_;
    const CertificatesName certificates_;
    std::map<std::string, runtime::Counter> refused_;  // by reason
    std::atomic<int> under_way_ = 0;
};

}  // namespace posthorse::admin
