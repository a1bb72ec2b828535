#include "daemon/admin/parts/node_queue_service.h"

#include "daemon/admin/admin_messages.h"
#include "replication/edge/peer_verdict.h"

namespace posthorse::admin {
namespace {

constexpr const char* refused_name = "posthorse_node_queue_refused_total";
constexpr const char* refused_help = "Calls of other nodes about this node's queue, refused.";

std::string bytes_of(const NodeId& node) {
    return {node.bytes.begin(), node.bytes.end()};
}

const replication::Member* find_caller(const replication::PoolState& state,
                                       const v1::NodeCaller& caller) {
    for (const auto& member : state.members) {
        if (bytes_of(member.id) == caller.from()) return &member;
    }
    return nullptr;
}

}  // namespace

// Without a reason: the call is served.
struct NodeQueueService::Refusal {
    const char* reason = nullptr;
    grpc::StatusCode code = grpc::StatusCode::OK;
    const char* what = "";
};

NodeQueueService::NodeQueueService(Executor& home,
                                   PoolReader pool,
                                   QueuePart& own,
                                   CertificatesName certificates,
                                   runtime::Metrics& metrics)
    : home_(home), pool_(std::move(pool)), own_(own), certificates_(certificates) {
    for (const char* reason :
         {"no_certificate", "other_pool", "wrong_node", "not_a_member", "wrong_name", "too_many"}) {
        refused_.emplace(reason, metrics.counter(refused_name, refused_help, {{"reason", reason}}));
    }
}

// On home.
NodeQueueService::Refusal NodeQueueService::check(const grpc::ServerContextBase& rpc,
                                                  const v1::NodeCaller& caller) const {
    using grpc::StatusCode;
    const auto& state = pool_.committed();
    if (caller.pool_id() != state.pool_id || caller.pool_incarnation() != state.incarnation)
        return {"other_pool", StatusCode::FAILED_PRECONDITION, "other_pool: of another pool"};
    if (caller.to() != bytes_of(pool_.self))
        return {"wrong_node", StatusCode::FAILED_PRECONDITION, "wrong_node: another node is here"};
    const auto* member = find_caller(state, caller);
    if (member == nullptr)
        return {"not_a_member", StatusCode::PERMISSION_DENIED,
                "not_a_member: the pool does not know the caller"};
    const bool named = certificates_ == CertificatesName::pool ||
                       replication::carries_name(*rpc.auth_context(), member->facts.name);
    if (!named)
        return {"wrong_name", StatusCode::PERMISSION_DENIED,
                "wrong_name: the certificate does not carry the caller's name"};
    return {};
}

grpc::Status NodeQueueService::count(const Refusal& refusal) {
    auto counter = refused_.at(refusal.reason);
    counter.add();
    return {refusal.code, refusal.what};
}

void NodeQueueService::finish(Unary* reactor, const grpc::Status& status) {
    --under_way_;
    reactor->Finish(status);
}

template <class Request, class Response>
NodeQueueService::Unary* NodeQueueService::answer(Rpc* rpc,
                                                  const Request* request,
                                                  Response* response) {
    using grpc::StatusCode;
    auto* reactor = rpc->DefaultReactor();
    const auto peer = rpc->auth_context();
    const bool room = ++under_way_ <= calls_max;
    if (peer == nullptr || !peer->IsPeerAuthenticated()) {
        finish(reactor, count({"no_certificate", StatusCode::UNAUTHENTICATED,
                               "no_certificate: show one of the pool's authority"}));
    } else if (!room) {
        finish(reactor, count({"too_many", StatusCode::RESOURCE_EXHAUSTED,
                               "too_many: calls are under way"}));
    } else {
        home_.post([this, rpc, reactor, request, response] {
            answer_on_home(rpc, reactor, request, response);
        });
    }
    return reactor;
}

template <class Request, class Response>
void NodeQueueService::answer_on_home(Rpc* rpc,
                                      Unary* reactor,
                                      const Request* request,
                                      Response* response) {
    const auto refusal = check(*rpc, request->caller());
    if (refusal.reason != nullptr) return finish(reactor, count(refusal));
    own_.ask(*request, [this, reactor, response](Result<Response> result) {
        if (!result) return finish(reactor, to_status(result.error()));
        *response = std::move(*result);
        finish(reactor, grpc::Status::OK);
    });
}

NodeQueueService::Unary* NodeQueueService::List(Rpc* rpc,
                                                const v1::NodeListRequest* request,
                                                v1::NodeListResponse* response) {
    return answer(rpc, request, response);
}

NodeQueueService::Unary* NodeQueueService::Summarize(Rpc* rpc,
                                                     const v1::NodeSummarizeRequest* request,
                                                     v1::NodeSummarizeResponse* response) {
    return answer(rpc, request, response);
}

NodeQueueService::Unary* NodeQueueService::Get(Rpc* rpc,
                                               const v1::NodeGetRequest* request,
                                               v1::NodeGetResponse* response) {
    return answer(rpc, request, response);
}

NodeQueueService::Unary* NodeQueueService::Read(Rpc* rpc,
                                                const v1::NodeReadRequest* request,
                                                v1::NodeReadResponse* response) {
    return answer(rpc, request, response);
}

NodeQueueService::Unary* NodeQueueService::Act(Rpc* rpc,
                                               const v1::NodeActRequest* request,
                                               v1::NodeActResponse* response) {
    return answer(rpc, request, response);
}

NodeQueueService::Unary* NodeQueueService::Flush(Rpc* rpc,
                                                 const v1::NodeFlushRequest* request,
                                                 v1::NodeFlushResponse* response) {
    return answer(rpc, request, response);
}

}  // namespace posthorse::admin
