#include "daemon/admin/admin_service.h"

#include "daemon/admin/admin_calls.h"
#include "daemon/admin/aside_calls.h"
#include "daemon/admin/operator_check.h"
#include "daemon/admin/pool_calls.h"
#include "daemon/admin/pool_messages.h"
#include "daemon/runtime/log.h"
#include "proto/types/reply.h"

namespace posthorse::admin {
namespace {

constexpr std::size_t list_page_standard = 100;
constexpr std::size_t list_page_most = 1000;
constexpr std::size_t summary_domains_standard = 50;
constexpr std::size_t summary_domains_most = 10'000;

// Answers a request that is not worth a call.
template <class Reactor>
class Refusal final : public Reactor {
public:
    explicit Refusal(const Error& error) { this->Finish(to_status(error)); }
    void OnDone() override { delete this; }
};

using UnaryRefusal = Refusal<grpc::ServerUnaryReactor>;

Result<ListOrder> parse_list(const v1::ListMessagesRequest& request) {
    const auto filter = parse_filter(request.filter());
    if (!filter) return filter.error();
    const auto size =
        parse_count("page_size", request.page_size(), list_page_standard, list_page_most);
    if (!size) return size.error();
    const auto after = parse_after("page_token", request.page_token());
    if (!after) return after.error();
    return ListOrder{request.filter(), *size, *after};
}

v1::GetStatusResponse to_status_response(const StatusValues& values) {
    const auto& counters = values.queue;
    v1::GetStatusResponse out;
    out.set_node_id(values.node.to_string());
    out.set_host_name(values.host_name);
    out.set_release(values.release);
    *out.mutable_start_time() = to_timestamp(values.started_at);
    out.set_ready(values.not_ready_why.empty());
    out.set_not_ready_reason(sanitise(values.not_ready_why));
    out.set_messages(counters.messages);
    out.set_active(counters.claimed);
    out.set_attempts_in_doubt(counters.in_doubt);
    out.set_under_replicated(counters.under_replicated);
    out.set_set_aside(values.set_aside);
    out.set_disk_free_bytes(values.disk_free_bytes);
    out.set_accepting(values.accepting);
    out.set_incoming_sessions(values.incoming_sessions);
    out.set_outgoing_connections(values.outgoing_connections);
    return out;
}

void answer_reload(AdminContext& context,
                   const std::string& operator_name,
                   v1::ReloadResponse& response) {
    for (const auto& problem : context.ports.reload()) {
        response.add_problems(sanitise(problem, 1024));
    }
    runtime::log::info("operator_action", {{"action", "reload"},
                                           {"operator", operator_name},
                                           {"problems", response.problems_size()}});
}

}  // namespace

AdminService::AdminService(AdminContext context,
                           const runtime::Reloadable<const Operators>& operators)
    : context_(std::move(context)), operators_(operators) {}

template <class Request>
Request AdminService::signed_by_caller(const Rpc& rpc, Request request) const {
    const auto peer = rpc.auth_context();
    auto name = operator_of(*peer, *operators_.get(), request.operator_name());
    request.set_operator_name(std::move(name));
    return request;
}

AdminService::Unary* AdminService::GetStatus(Rpc* rpc,
                                             const v1::GetStatusRequest* /*request*/,
                                             v1::GetStatusResponse* response) {
    auto* reactor = rpc->DefaultReactor();
    context_.home.post([this, reactor, response] {
        *response = to_status_response(context_.ports.status());
        reactor->Finish(grpc::Status::OK);
    });
    return reactor;
}

AdminService::Unary* AdminService::ListMessages(Rpc* rpc,
                                                const v1::ListMessagesRequest* request,
                                                v1::ListMessagesResponse* response) {
    auto order = parse_list(*request);
    if (!order) return new UnaryRefusal(order.error());
    return new ListCall(context_, rpc, std::move(*order), response);
}

AdminService::Unary* AdminService::GetMessage(Rpc* rpc,
                                              const v1::GetMessageRequest* request,
                                              v1::GetMessageResponse* response) {
    const auto id = parse_id(request->id());
    if (!id) return new UnaryRefusal(id.error());
    return new GetCall(context_, rpc, *id, response);
}

grpc::ServerWriteReactor<v1::ReadMessageResponse>* AdminService::ReadMessage(
    Rpc* rpc, const v1::ReadMessageRequest* request) {
    const auto id = parse_id(request->id());
    if (!id) return new Refusal<grpc::ServerWriteReactor<v1::ReadMessageResponse>>(id.error());
    return new ReadCall(context_, rpc, *id);
}

grpc::ServerWriteReactor<v1::ActResponse>* AdminService::Act(Rpc* rpc,
                                                             const v1::ActRequest* request) {
    const auto signed_request = signed_by_caller(*rpc, *request);
    auto order = parse_act(signed_request);
    if (!order) return new Refusal<grpc::ServerWriteReactor<v1::ActResponse>>(order.error());
    return new ActCall(context_, rpc, signed_request, std::move(*order));
}

AdminService::Unary* AdminService::Flush(Rpc* rpc,
                                         const v1::FlushRequest* request,
                                         v1::FlushResponse* response) {
    return new FlushCall(context_, rpc, signed_by_caller(*rpc, *request), response);
}

AdminService::Unary* AdminService::ListSetAside(Rpc* rpc,
                                                const v1::ListSetAsideRequest* request,
                                                v1::ListSetAsideResponse* response) {
    auto walk = parse_walk(*request);
    if (!walk) return new UnaryRefusal(walk.error());
    return new ListSetAsideCall(context_, rpc, std::move(*walk), response);
}

grpc::ServerWriteReactor<v1::ActOnSetAsideResponse>* AdminService::ActOnSetAside(
    Rpc* rpc, const v1::ActOnSetAsideRequest* request) {
    auto order = parse_aside_order(signed_by_caller(*rpc, *request));
    if (!order)
        return new Refusal<grpc::ServerWriteReactor<v1::ActOnSetAsideResponse>>(order.error());
    return new ActOnSetAsideCall(context_, rpc, std::move(*order));
}

AdminService::Unary* AdminService::Summarize(Rpc* rpc,
                                             const v1::SummarizeRequest* request,
                                             v1::SummarizeResponse* response) {
    if (const auto filter = parse_filter(request->filter()); !filter) {
        return new UnaryRefusal(filter.error());
    }
    const auto domains = parse_count("domains_max", request->domains_max(),
                                     summary_domains_standard, summary_domains_most);
    if (!domains) return new UnaryRefusal(domains.error());
    return new SummarizeCall(context_, rpc, request->filter(), *domains, response);
}

AdminService::Unary* AdminService::Reload(Rpc* rpc,
                                          const v1::ReloadRequest* request,
                                          v1::ReloadResponse* response) {
    auto* reactor = rpc->DefaultReactor();
    context_.home.post(
        [this, reactor, response, name = signed_by_caller(*rpc, *request).operator_name()] {
            answer_reload(context_, name, *response);
            reactor->Finish(grpc::Status::OK);
        });
    return reactor;
}

AdminService::Unary* AdminService::GetPool(Rpc* rpc,
                                           const v1::GetPoolRequest* /*request*/,
                                           v1::GetPoolResponse* response) {
    auto* reactor = rpc->DefaultReactor();
    context_.home.post([this, reactor, response] {
        *response = to_pool(context_.pool.view());
        reactor->Finish(grpc::Status::OK);
    });
    return reactor;
}

AdminService::Unary* AdminService::SetDraining(Rpc* rpc,
                                               const v1::SetDrainingRequest* request,
                                               v1::SetDrainingResponse* response) {
    return new SetDrainingCall(context_, rpc, signed_by_caller(*rpc, *request), response);
}

AdminService::Unary* AdminService::RemoveMember(Rpc* rpc,
                                                const v1::RemoveMemberRequest* request,
                                                v1::RemoveMemberResponse* response) {
    if (const auto checked = check(*request); !checked) return new UnaryRefusal(checked.error());
    return new RemoveMemberCall(context_, rpc, signed_by_caller(*rpc, *request), response);
}

AdminService::Unary* AdminService::MovePool(Rpc* rpc,
                                            const v1::MovePoolRequest* request,
                                            v1::MovePoolResponse*) {
    if (const auto checked = check(*request); !checked) return new UnaryRefusal(checked.error());
    return new MovePoolCall(context_, rpc, signed_by_caller(*rpc, *request));
}

}  // namespace posthorse::admin
