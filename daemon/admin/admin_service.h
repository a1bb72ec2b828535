// The service of posthorse/v1/admin.proto: checks a request and starts the call that answers it.
//
// Place     Registered by admin_server.h. The longer calls are in admin_calls.h, pool_calls.h
//           and aside_calls.h.
// Contract  As the .proto says. Methods run on gRPC's threads and touch nothing but their request;
//           the queue and the ports are touched on the home executor alone.
// Owner     AdminServer.
#pragma once

#include "daemon/admin/admin_ports.h"
#include "daemon/admin/operators.h"
#include "daemon/runtime/reloadable.h"
#include "posthorse/v1/admin.grpc.pb.h"

namespace posthorse::admin {

class AdminService final : public v1::Admin::CallbackService {
public:
    using Rpc = grpc::CallbackServerContext;
    using Unary = grpc::ServerUnaryReactor;

    // `operators` outlives this.
    AdminService(AdminContext context, const runtime::Reloadable<const Operators>& operators);

    Unary* GetStatus(Rpc* rpc,
                     const v1::GetStatusRequest* request,
                     v1::GetStatusResponse* response) override;
    Unary* ListMessages(Rpc* rpc,
                        const v1::ListMessagesRequest* request,
                        v1::ListMessagesResponse* response) override;
    Unary* GetMessage(Rpc* rpc,
                      const v1::GetMessageRequest* request,
                      v1::GetMessageResponse* response) override;
    grpc::ServerWriteReactor<v1::ReadMessageResponse>* ReadMessage(
        Rpc* rpc, const v1::ReadMessageRequest* request) override;
    grpc::ServerWriteReactor<v1::ActResponse>* Act(Rpc* rpc,
                                                   const v1::ActRequest* request) override;
    Unary* Flush(Rpc* rpc, const v1::FlushRequest* request, v1::FlushResponse* response) override;
    Unary* ListSetAside(Rpc* rpc,
                        const v1::ListSetAsideRequest* request,
                        v1::ListSetAsideResponse* response) override;
    grpc::ServerWriteReactor<v1::ActOnSetAsideResponse>* ActOnSetAside(
        Rpc* rpc, const v1::ActOnSetAsideRequest* request) override;
    Unary* Summarize(Rpc* rpc,
                     const v1::SummarizeRequest* request,
                     v1::SummarizeResponse* response) override;
    Unary* Reload(Rpc* rpc,
                  const v1::ReloadRequest* request,
                  v1::ReloadResponse* response) override;
    Unary* GetPool(Rpc* rpc,
                   const v1::GetPoolRequest* request,
                   v1::GetPoolResponse* response) override;
    Unary* SetDraining(Rpc* rpc,
                       const v1::SetDrainingRequest* request,
                       v1::SetDrainingResponse* response) override;
    Unary* RemoveMember(Rpc* rpc,
                        const v1::RemoveMemberRequest* request,
                        v1::RemoveMemberResponse* response) override;
    Unary* MovePool(Rpc* rpc,
                    const v1::MovePoolRequest* request,
                    v1::MovePoolResponse* response) override;

private:
    // With the name in it that the audit log shall have.
    template <class Request>
    Request signed_by_caller(const Rpc& rpc, Request request) const;

    AdminContext context_;
    const runtime::Reloadable<const Operators>& operators_;
};

}  // namespace posthorse::admin
