#include "daemon/admin/pool_calls.h"

#include <algorithm>

#include "daemon/admin/member_name.h"
#include "daemon/admin/pool_figures.h"
#include "daemon/runtime/log.h"
#include "proto/types/reply.h"
#include "replication/core/pool_state.h"

namespace posthorse::admin {
namespace {

struct Audited {
    const char* action;
    std::string member;
    std::string operator_name;
};

v1::ActResult::Outcome outcome_of(const Result<void>& result) {
    if (result) return v1::ActResult::OUTCOME_DONE;
    if (result.error().code == Errc::not_found) return v1::ActResult::OUTCOME_NOT_FOUND;
    if (result.error().code == Errc::unknown) return v1::ActResult::OUTCOME_UNKNOWN;
    return v1::ActResult::OUTCOME_REFUSED;
}

void audit(const Audited& audited, const Result<void>& result) {
    runtime::log::info("operator_action",
                       {{"action", audited.action},
                        {"member", audited.member},
                        {"operator", audited.operator_name},
                        {"outcome", v1::ActResult::Outcome_Name(outcome_of(result))},
                        {"detail", result ? std::string{} : result.error().what}});
}

grpc::Status status_of(const Result<void>& result) {
    return result ? grpc::Status::OK : to_status(result.error());
}

Result<void> check_can_decide(const PoolView& view) {
    if (can_decide(view.status)) return {};
    if (view.status.control == replication::PoolControl::etcd) {
        return Error{Errc::conflict,
                     "this node has no lease by etcd, so it can change nothing; `posthorse pool "
                     "status` says what is missing"};
    }
    return Error{Errc::conflict,
                 "the pool has no leader that this node hears, so nothing can be decided; "
                 "`posthorse pool status` says what is missing"};
}

std::string joined(const auto& names) {
    std::string list;
    for (const auto& name : names) (list += list.empty() ? "" : ", ") += sanitise(name, 256);
    return list;
}

const char* name_of(v1::Removal removal) {
    switch (removal) {
        case v1::REMOVAL_GIVE_UP:
            return "node_remove_give_up";
        case v1::REMOVAL_BEGIN_WITHOUT:
            return "pool_begin_without";
        default:
            return "node_remove";
    }
}

}  // namespace

Result<void> check(const v1::RemoveMemberRequest& request) {
    if (!v1::Removal_IsValid(request.removal())) {
        return Error{Errc::invalid, "removal: give SAFE, GIVE_UP or BEGIN_WITHOUT"};
    }
    const bool several = request.removal() == v1::REMOVAL_BEGIN_WITHOUT;
    const int most = several ? static_cast<int>(replication::members_max) : 1;
    if (request.members_size() >= 1 && request.members_size() <= most) return {};
    return Error{Errc::invalid, several ? "members: name all members but this node"
                                        : "members: name one; each is removed by itself"};
}

// --- SetDraining

SetDrainingCall::SetDrainingCall(AdminContext& context,
                                 grpc::CallbackServerContext* rpc,
                                 v1::SetDrainingRequest request,
                                 v1::SetDrainingResponse* response)
    : HomeCall(context, rpc), request_(std::move(request)), response_(response) {
    go_on(&SetDrainingCall::begin);
}

void SetDrainingCall::begin() {
    if (given_up()) return;
    if (const auto proposed = propose(); !proposed) end(proposed);
}

Result<void> SetDrainingCall::propose() {
    const auto view = context_.pool.view();
    const auto member = find_member(view.committed, request_.member());
    if (!member) return member.error();
    response_->set_member_id((*member)->id.to_string());
    response_->set_member_name(sanitise((*member)->facts.name, 256));
    if (auto led = check_can_decide(view); !led) return led;
    context_.pool.propose(replication::SetDraining{(*member)->id, request_.draining()},
                          [this](Result<void> result) { end(result); });
    return {};
}

void SetDrainingCall::end(const Result<void>& result) {
    const auto& id = response_->member_id();
    audit({.action = request_.draining() ? "node_drain" : "node_resume",
           .member = id.empty() ? sanitise(request_.member(), 256) : id,
           .operator_name = sanitise(request_.operator_name(), 256)},
          result);
    Finish(status_of(result));
}

// --- RemoveMember

RemoveMemberCall::RemoveMemberCall(AdminContext& context,
                                   grpc::CallbackServerContext* rpc,
                                   v1::RemoveMemberRequest request,
                                   v1::RemoveMemberResponse* response)
    : HomeCall(context, rpc), request_(std::move(request)), response_(response) {
    go_on(&RemoveMemberCall::begin);
}

void RemoveMemberCall::begin() {
    if (given_up()) return;
    const auto view = context_.pool.view();
    std::vector<NodeId> named;
    for (const auto& given : request_.members()) {
        const auto member = find_member(view.committed, given);
        if (!member) return end(member.error());
        named.push_back((*member)->id);
    }
    std::ranges::sort(named);
    const auto repeated = std::ranges::unique(named);
    named.erase(repeated.begin(), repeated.end());
    for (const auto& node : named) response_->add_member_ids(node.to_string());
    if (request_.removal() == v1::REMOVAL_BEGIN_WITHOUT) return end(begin_without(view, named));
    if (const auto proposed = propose(view, named.front()); !proposed) end(proposed);
}

Result<void> RemoveMemberCall::propose(const PoolView& view, const NodeId& node) {
    if (auto led = check_can_decide(view); !led) return led;
    const auto lost = request_.removal() == v1::REMOVAL_GIVE_UP ? replication::Lost::accept
                                                                : replication::Lost::refuse;
    context_.pool.propose(replication::RemoveMember{node, lost},
                          [this](Result<void> result) { end(result); });
    return {};
}

// That all the others are named, the control plane checks.
Result<void> RemoveMemberCall::begin_without(const PoolView& view,
                                             const std::vector<NodeId>& others) {
    if (can_decide(view.status)) {
        return Error{Errc::conflict, view.status.leader
                                         ? "the pool has a leader again, which can remove members: "
                                           "ask anew"
                                         : "this node has a lease by etcd again, and can remove "
                                           "members: ask anew"};
    }
    if (std::ranges::find(others, view.status.self) != others.end()) {
        return Error{Errc::conflict, "this node is the one that goes on: name the others, not " +
                                         title_of(*view.committed.member(view.status.self))};
    }
    return context_.pool.begin_without(others);
}

void RemoveMemberCall::end(const Result<void>& result) {
    const bool found = response_->member_ids_size() > 0;
    audit({.action = name_of(request_.removal()),
           .member = found ? joined(response_->member_ids()) : joined(request_.members()),
           .operator_name = sanitise(request_.operator_name(), 256)},
          result);
    Finish(status_of(result));
}

// --- MovePool

Result<void> check(const v1::MovePoolRequest& request) {
    if (request.to() == v1::POOL_CONTROL_EMBEDDED || request.to() == v1::POOL_CONTROL_ETCD)
        return {};
    return Error{Errc::invalid, "to: give EMBEDDED or ETCD"};
}

MovePoolCall::MovePoolCall(AdminContext& context,
                           grpc::CallbackServerContext* rpc,
                           v1::MovePoolRequest request)
    : HomeCall(context, rpc), request_(std::move(request)) {
    go_on(&MovePoolCall::begin);
}

void MovePoolCall::begin() {
    if (given_up()) return;
    if (auto able = check_can_decide(context_.pool.view()); !able) return end(able);
    const auto to = request_.to() == v1::POOL_CONTROL_ETCD ? replication::PoolControl::etcd
                                                           : replication::PoolControl::embedded;
    context_.pool.propose(replication::SetControl{to},
                          [this](Result<void> result) { end(result); });
}

void MovePoolCall::end(const Result<void>& result) {
    audit({.action = request_.to() == v1::POOL_CONTROL_ETCD ? "pool_move_to_etcd"
                                                            : "pool_move_to_embedded",
           .member = {},
           .operator_name = sanitise(request_.operator_name(), 256)},
          result);
    Finish(status_of(result));
}

}  // namespace posthorse::admin
