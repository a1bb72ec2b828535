// What an operator changes of this node's part, and the record of it.
#include <algorithm>

#include "daemon/admin/admin_messages.h"
#include "daemon/admin/admin_requests.h"
#include "daemon/admin/member_name.h"
#include "daemon/admin/parts/own_part.h"

namespace posthorse::admin {
namespace {

using Visited = OwnWalk::Visited;

// Requires another action than bounce.
replication::Action to_action(v1::Action action) {
    switch (action) {
        case v1::ACTION_HOLD:
            return replication::Action::hold;
        case v1::ACTION_RESUME:
            return replication::Action::resume;
        case v1::ACTION_REMOVE:
            return replication::Action::remove;
        default:
            PH_ASSERT(action == v1::ACTION_RETRY);
            return replication::Action::retry;
    }
}

Result<void> without_value(const Result<Envelope>& result) {
    if (result) return {};
    return result.error();
}

}  // namespace

// The node whose operator it is.
std::string OwnPart::asker(const v1::NodeCaller& caller) const {
    NodeId node;
    if (caller.from().size() == node.bytes.size()) {
        std::ranges::copy(caller.from(), node.bytes.begin());
    }
    return title_of(pool_.committed(), node);
}

// --- Act

struct OwnPart::Acting {
    ActOrder order;
    std::string asked;
    std::vector<QueueId> batch;
    std::size_t under_way = 0;
    v1::NodeActResponse response;
    Completion<v1::NodeActResponse> done;
};

void OwnPart::ask(v1::NodeActRequest request, Completion<v1::NodeActResponse> done) {
    auto order = parse_act(request);
    if (!order) return done(order.error());
    const auto after = parse_after("after", request.after());
    if (!after) return done(after.error());
    auto acting = std::make_shared<Acting>();
    acting->order = std::move(*order);
    acting->asked = asker(request.caller());
    acting->response.set_began_ms(request.began_ms());
    acting->done = std::move(done);
    if (request.has_ids()) return act_on_named(std::move(acting));
    act_on_matching(std::move(acting), *after);
}

void OwnPart::act_on_named(std::shared_ptr<Acting> acting) {
    for (const auto& partition : owned_partitions(ports_, pool_)) {
        acting->response.mutable_walked()->add_partitions(partition.value);
    }
    acting->batch = acting->order.ids;
    act(std::move(acting));
}

void OwnPart::act_on_matching(std::shared_ptr<Acting> acting, QueueId after) {
    auto& response = acting->response;
    if (response.began_ms() == 0) {
        response.set_began_ms(clock_.wall().time_since_epoch().count());
    }
    const WallTime began{Duration{response.began_ms()}};
    const auto visit = [this, acting, began](const Envelope& envelope) {
        // What arrived since the operator asked is not what was meant.
        const bool meant = envelope.accepted_at <= began;
        if (meant &&
            acting->order.filter.matches(envelope, ports_.delivering(envelope.id), began)) {
            acting->batch.push_back(envelope.id);
        }
        return acting->batch.size() < page_messages ? Visited::go_on : Visited::enough;
    };
    walk(after, visit, [this, acting](Result<v1::Walked> walked) {
        if (!walked) return acting->done(walked.error());
        *acting->response.mutable_walked() = std::move(*walked);
        act(acting);
    });
}

void OwnPart::act(std::shared_ptr<Acting> acting) {
    if (acting->batch.empty()) return acting->done(std::move(acting->response));
    acting->under_way = acting->batch.size();
    for (const auto id : acting->batch) act_on(id, acting);
}

void OwnPart::act_on(QueueId id, std::shared_ptr<Acting> acting) {
    const auto& order = acting->order;
    if (auto owned = check_owned(id); !owned) {
        return one_ended(*acting, to_act_result(id, owned));
    }
    if (order.dry_run) {
        return ports_.find(id, [this, id, acting](Result<Envelope> found) {
            auto result = to_act_result(id, without_value(found));
            if (found) result.set_outcome(v1::ActResult::OUTCOME_WOULD_ACT);
            one_ended(*acting, std::move(result));
        });
    }
    if (order.action == v1::ACTION_BOUNCE) {
        return ports_.bounce(id, order.reason, [this, id, acting](Result<void> result) {
            one_ended(*acting, to_act_result(id, result));
        });
    }
    ports_.act(id, to_action(order.action), order.reason,
               [this, id, acting](Result<Envelope> result) {
                   one_ended(*acting, to_act_result(id, without_value(result)));
               });
}

void OwnPart::one_ended(Acting& acting, v1::ActResult result) {
    const auto& order = acting.order;
    if (!order.dry_run) {
        ports_.audit({{"action", name_of(order.action)},
                      {"id", result.id()},
                      {"operator", order.operator_name},
                      {"asked", acting.asked},
                      {"reason", order.reason},
                      {"outcome", v1::ActResult::Outcome_Name(result.outcome())},
                      {"detail", result.detail()}});
    }
    *acting.response.add_results() = std::move(result);
    if (--acting.under_way == 0) acting.done(std::move(acting.response));
}

// --- Flush

struct OwnPart::Flushing {
    std::string operator_name;
    std::string asked;
    bool dry_run = false;
    bool first = false;  // step of the call
    std::vector<QueueId> batch;
    std::size_t under_way = 0;
    v1::NodeFlushResponse response;
    Completion<v1::NodeFlushResponse> done;
};

void OwnPart::ask(v1::NodeFlushRequest request, Completion<v1::NodeFlushResponse> done) {
    const auto after = parse_after("after", request.after());
    if (!after) return done(after.error());
    auto flushing = std::make_shared<Flushing>();
    flushing->operator_name = parse_operator(request.operator_name());
    flushing->asked = asker(request.caller());
    flushing->dry_run = request.dry_run();
    flushing->first = request.after().empty();
    flushing->done = std::move(done);
    const auto visit = [this, flushing, now = clock_.wall()](const Envelope& envelope) {
        const bool may_go = !envelope.held && envelope.release_at <= now;
        const bool waits = may_go && envelope.due_at > now;
        if (waits && !ports_.delivering(envelope.id)) flushing->batch.push_back(envelope.id);
        return flushing->batch.size() < page_messages ? Visited::go_on : Visited::enough;
    };
    walk(*after, visit, [this, flushing](Result<v1::Walked> walked) {
        if (!walked) return flushing->done(walked.error());
        *flushing->response.mutable_walked() = std::move(*walked);
        flush(flushing);
    });
}

void OwnPart::flush(std::shared_ptr<Flushing> flushing) {
    if (flushing->dry_run) flushing->response.set_flushed(flushing->batch.size());
    if (flushing->dry_run || flushing->batch.empty()) return flushed(*flushing);
    flushing->under_way = flushing->batch.size();
    for (const auto id : flushing->batch) {
        ports_.act(id, replication::Action::retry, "flush",
                   [this, flushing](const Result<Envelope>& result) {
                       auto& response = flushing->response;
                       if (result) {
                           response.set_flushed(response.flushed() + 1);
                       } else if (result.error().code != Errc::not_found) {
                           response.set_failed(response.failed() + 1);
                       }  // else it was delivered meanwhile: nothing failed
                       if (--flushing->under_way == 0) flushed(*flushing);
                   });
    }
}

// A call over a long queue leaves a line a step, one that finds nothing to do leaves one.
void OwnPart::flushed(Flushing& flushing) {
    const auto& response = flushing.response;
    const bool did_something = response.flushed() + response.failed() > 0;
    if (!flushing.dry_run && (did_something || flushing.first)) {
        ports_.audit({{"action", "flush"},
                      {"operator", flushing.operator_name},
                      {"asked", flushing.asked},
                      {"flushed", response.flushed()},
                      {"failed", response.failed()}});
    }
    flushing.done(std::move(flushing.response));
}

}  // namespace posthorse::admin
