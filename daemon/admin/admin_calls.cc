#include "daemon/admin/admin_calls.h"

#include <algorithm>

#include "daemon/runtime/log.h"

namespace posthorse::admin {
namespace {

namespace log = runtime::log;

// A page of a listing ends at the first of these, so that no call lasts long and no response
// approaches the 4 MB that gRPC clients take by default.
constexpr std::size_t list_looked_at_max = 20'000;
constexpr std::size_t list_bytes_max = 1024 * 1024;

void audit(const ActOrder& order, const v1::ActResult& result) {
    log::info("operator_action", {{"action", name_of(order.action)},
                                  {"id", result.id()},
                                  {"operator", order.operator_name},
                                  {"reason", order.reason},
                                  {"outcome", v1::ActResult::Outcome_Name(result.outcome())},
                                  {"detail", result.detail()}});
}

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

// --- ListMessages

ListCall::ListCall(AdminContext& context,
                   grpc::CallbackServerContext* rpc,
                   ListOrder order,
                   v1::ListMessagesResponse* response)
    : WalkCall(context, rpc, order.after), order_(std::move(order)), response_(response) {
    go_on(&ListCall::next_page);
}

void ListCall::on_page(std::vector<Envelope> page, bool last) {
    const auto now = context_.clock.wall();
    for (const auto& envelope : page) {
        if (full()) {
            response_->set_next_page_token(order_.after.to_string());
            return Finish(grpc::Status::OK);
        }
        ++looked_at_;
        order_.after = envelope.id;
        if (!order_.filter.matches(envelope, delivering(envelope), now)) continue;
        auto& message = *response_->add_messages();
        message = to_message(envelope, delivering(envelope));
        bytes_ += message.ByteSizeLong();
    }
    if (!last) return next_page();
    Finish(grpc::Status::OK);
}

bool ListCall::full() const {
    return static_cast<std::size_t>(response_->messages_size()) >= order_.page_size ||
           looked_at_ >= list_looked_at_max || bytes_ >= list_bytes_max;
}

// --- Summarize

SummarizeCall::SummarizeCall(AdminContext& context,
                             grpc::CallbackServerContext* rpc,
                             QueueFilter filter,
                             std::size_t domains,
                             v1::SummarizeResponse* response)
    : WalkCall(context, rpc, QueueId{}),
      filter_(std::move(filter)),
      domains_(domains),
      response_(response) {
    go_on(&SummarizeCall::next_page);
}

void SummarizeCall::on_page(std::vector<Envelope> page, bool last) {
    const auto now = context_.clock.wall();
    for (const auto& envelope : page) {
        if (filter_.matches(envelope, delivering(envelope), now)) summary_.add(envelope, now);
    }
    if (!last) return next_page();
    *response_ = to_summary(summary_, domains_);
    Finish(grpc::Status::OK);
}

// --- Flush

FlushCall::FlushCall(AdminContext& context,
                     grpc::CallbackServerContext* rpc,
                     std::string operator_name,
                     v1::FlushResponse* response)
    : WalkCall(context, rpc, QueueId{}),
      operator_name_(std::move(operator_name)),
      response_(response) {
    go_on(&FlushCall::next_page);
}

void FlushCall::on_page(std::vector<Envelope> page, bool last) {
    last_ = last;
    const auto now = context_.clock.wall();
    std::erase_if(page, [&](const Envelope& envelope) {
        return envelope.held || envelope.due_at <= now || delivering(envelope);
    });
    if (page.empty()) return page_ended();
    under_way_ = page.size();
    for (const auto& envelope : page) {
        context_.queue.act(envelope.id, replication::Action::retry, "flush",
                           [this](Result<Envelope> result) { one_ended(result); });
    }
}

void FlushCall::one_ended(const Result<Envelope>& result) {
    if (result) {
        response_->set_flushed(response_->flushed() + 1);
    } else if (result.error().code != Errc::not_found) {  // delivered meanwhile: nothing failed
        response_->set_failed(response_->failed() + 1);
    }
    if (--under_way_ == 0) page_ended();
}

void FlushCall::page_ended() {
    if (!last_) return next_page();
    log::info("operator_action", {{"action", "flush"},
                                  {"operator", operator_name_},
                                  {"flushed", response_->flushed()},
                                  {"failed", response_->failed()}});
    Finish(grpc::Status::OK);
}

// --- Act

ActCall::ActCall(AdminContext& context, grpc::CallbackServerContext* rpc, ActOrder order)
    : WalkCall(context, rpc, QueueId{}), order_(std::move(order)) {
    go_on(&ActCall::begin);
}

void ActCall::begin() {
    began_ = context_.clock.wall();
    next_batch();
}

void ActCall::next_batch() {
    if (order_.ids.empty()) return next_page();
    if (!given_up()) next_ids();
}

void ActCall::next_ids() {
    const auto first = order_.ids.begin() + static_cast<std::ptrdiff_t>(ids_taken_);
    const auto count = std::min(page_messages, order_.ids.size() - ids_taken_);
    ids_taken_ += count;
    last_ = ids_taken_ == order_.ids.size();
    act_on({first, first + static_cast<std::ptrdiff_t>(count)});
}

void ActCall::on_page(std::vector<Envelope> page, bool last) {
    last_ = last;
    std::vector<QueueId> batch;
    for (const auto& envelope : page) {
        // What arrived since the operator asked is not what was meant.
        if (envelope.accepted_at > began_) continue;
        if (order_.filter.matches(envelope, delivering(envelope), began_)) {
            batch.push_back(envelope.id);
        }
    }
    act_on(batch);
}

void ActCall::act_on(const std::vector<QueueId>& batch) {
    response_.Clear();
    if (batch.empty()) return batch_ended();
    under_way_ = batch.size();
    for (const auto id : batch) order_.dry_run ? would_act_on(id) : act_on(id);
}

void ActCall::act_on(QueueId id) {
    if (order_.action == v1::ACTION_BOUNCE) {
        context_.ports.bounce(id, order_.reason, [this, id](Result<void> result) {
            one_ended(id, to_act_result(id, result));
        });
        return;
    }
    context_.queue.act(id, to_action(order_.action), order_.reason,
                       [this, id](Result<Envelope> result) {
                           one_ended(id, to_act_result(id, without_value(result)));
                       });
}

void ActCall::would_act_on(QueueId id) {
    context_.queue.find(id, [this, id](Result<Envelope> result) {
        auto answer = to_act_result(id, without_value(result));
        if (result) answer.set_outcome(v1::ActResult::OUTCOME_WOULD_ACT);
        one_ended(id, std::move(answer));
    });
}

void ActCall::one_ended(QueueId id, v1::ActResult result) {
    if (!order_.dry_run) audit(order_, result);
    *response_.add_results() = std::move(result);
    if (--under_way_ == 0) batch_ended();
}

void ActCall::batch_ended() {
    if (response_.results_size() > 0) return StartWrite(&response_);
    last_ ? Finish(grpc::Status::OK) : next_batch();
}

void ActCall::OnWriteDone(bool ok) {
    if (ok && !last_) return go_on(&ActCall::next_batch);
    // A write that failed means that the client left.
    Finish(ok ? grpc::Status::OK : grpc::Status::CANCELLED);
}

// --- ReadMessage

ReadCall::ReadCall(AdminContext& context, grpc::CallbackServerContext* rpc, QueueId id)
    : HomeCall(context, rpc), id_(id) {
    go_on(&ReadCall::begin);
}

void ReadCall::begin() {
    context_.queue.find(id_, [this](Result<Envelope> envelope) {
        if (!envelope) return Finish(to_status(envelope.error()));
        chunk_count_ = envelope->chunk_count;
        next_chunk();
    });
}

void ReadCall::next_chunk() {
    if (given_up()) return;
    if (next_ > chunk_count_) return Finish(grpc::Status::OK);
    context_.queue.chunk(id_, next_++, [this](Result<Chunk> chunk) {
        if (chunk) return send(*chunk);
        const bool gone = chunk.error().code == Errc::not_found;
        Finish(gone ? grpc::Status{grpc::StatusCode::ABORTED,
                                   "the message left the queue while it was read"}
                    : to_status(chunk.error()));
    });
}

void ReadCall::send(const Chunk& chunk) {
    response_.set_content(*chunk);
    StartWrite(&response_);
}

void ReadCall::OnWriteDone(bool ok) {
    if (ok) return go_on(&ReadCall::next_chunk);
    Finish(grpc::Status::CANCELLED);
}

}  // namespace posthorse::admin
