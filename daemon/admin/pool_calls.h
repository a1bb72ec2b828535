// The calls that change the pool: SetDraining, RemoveMember and MovePool.
//
// Place     Made by admin_service.cc, which has checked the form of the request.
// Contract  As calls in admin_calls.h. Each ends in one line of the audit log. A change that was
//           proposed is waited for, also when its client left: what became of it is logged.
// Errors    conflict also when nothing can be decided now: then nothing is proposed.
// Bounds    The control plane answers a proposal, with `unknown` if need be, within seconds.
#pragma once

#include <vector>

#include "daemon/admin/admin_calls.h"

namespace posthorse::admin {

class SetDrainingCall final : public HomeCall<grpc::ServerUnaryReactor> {
public:
    SetDrainingCall(AdminContext& context,
                    grpc::CallbackServerContext* rpc,
                    v1::SetDrainingRequest request,
                    v1::SetDrainingResponse* response);

private:
    void begin();
    Result<void> propose();
    void end(const Result<void>& result);

    v1::SetDrainingRequest request_;
    v1::SetDrainingResponse* response_;
};

class RemoveMemberCall final : public HomeCall<grpc::ServerUnaryReactor> {
public:
    RemoveMemberCall(AdminContext& context,
                     grpc::CallbackServerContext* rpc,
                     v1::RemoveMemberRequest request,
                     v1::RemoveMemberResponse* response);

private:
    void begin();
    Result<void> propose(const PoolView& view, const NodeId& node);
    Result<void> begin_without(const PoolView& view, const std::vector<NodeId>& others);
    void end(const Result<void>& result);

    v1::RemoveMemberRequest request_;
    v1::RemoveMemberResponse* response_;
};

class MovePoolCall final : public HomeCall<grpc::ServerUnaryReactor> {
public:
    MovePoolCall(AdminContext& context,
                 grpc::CallbackServerContext* rpc,
                 v1::MovePoolRequest request);

private:
    void begin();
    void end(const Result<void>& result);

    v1::MovePoolRequest request_;
};

// Has a request the form that its call takes? invalid: says what it must have.
Result<void> check(const v1::RemoveMemberRequest& request);
Result<void> check(const v1::MovePoolRequest& request);

}  // namespace posthorse::admin
