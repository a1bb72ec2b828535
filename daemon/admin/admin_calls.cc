#include "daemon/admin/admin_calls.h"

#include <set>

#include "daemon/admin/parts/own_part.h"
#include "daemon/admin/queue_merge.h"

namespace posthorse::admin {
namespace {

// Where a message is decides what can be said of it.
Error of_part(const PoolQueue::Part& part, const Error& error) {
    if (error.code == Errc::not_found) return error;
    return {error.code, part.title + ": " + error.what};
}

}  // namespace

// --- ListMessages

ListCall::ListCall(AdminContext& context,
                   grpc::CallbackServerContext* rpc,
                   ListOrder order,
                   v1::ListMessagesResponse* response)
    : PartsCall(context, rpc), order_(std::move(order)), response_(response) {
    go_on(&ListCall::begin);
}

void ListCall::begin() {
    ask_all(context_.queue.parts(patience(patience_to_show)), Coverage(context_.queue.pool()));
}

v1::NodeListRequest ListCall::next_request(std::size_t /*part*/) {
    v1::NodeListRequest request;
    *request.mutable_filter() = order_.filter;
    if (order_.after != QueueId{}) request.set_after(order_.after.to_string());
    request.set_messages_max(static_cast<std::uint32_t>(order_.page_size));
    return request;
}

void ListCall::answered(std::size_t part, v1::NodeListResponse response) {
    pages_.push_back(std::move(response));
    part_ended(part);
}

void ListCall::parts_ended() {
    if (given_up()) return;
    *response_ = merge_pages(std::move(pages_), order_.page_size, list_bytes_max);
    fill_missing(*response_);
    Finish(grpc::Status::OK);
}

// --- Summarize

SummarizeCall::SummarizeCall(AdminContext& context,
                             grpc::CallbackServerContext* rpc,
                             v1::MessageFilter filter,
                             std::size_t domains,
                             v1::SummarizeResponse* response)
    : PartsCall(context, rpc), filter_(std::move(filter)), domains_(domains), response_(response) {
    go_on(&SummarizeCall::begin);
}

void SummarizeCall::begin() {
    ask_all(context_.queue.parts(patience(patience_to_show)), Coverage(context_.queue.pool()));
}

v1::NodeSummarizeRequest SummarizeCall::next_request(std::size_t part) {
    v1::NodeSummarizeRequest request;
    *request.mutable_filter() = filter_;
    request.set_after(after_[part]);
    return request;
}

void SummarizeCall::answered(std::size_t part, v1::NodeSummarizeResponse response) {
    summary_.add_total(from_row(response.total()));
    for (const auto& row : response.domains()) summary_.add_row(from_row(row));
    after_[part] = response.walked().to();
    after_[part].empty() ? part_ended(part) : step(part);
}

void SummarizeCall::parts_ended() {
    if (given_up()) return;
    *response_ = to_summary(summary_, domains_);
    fill_missing(*response_);
    Finish(grpc::Status::OK);
}

// --- Flush

FlushCall::FlushCall(AdminContext& context,
                     grpc::CallbackServerContext* rpc,
                     v1::FlushRequest request,
                     v1::FlushResponse* response)
    : PartsCall(context, rpc), request_(std::move(request)), response_(response) {
    go_on(&FlushCall::begin);
}

void FlushCall::begin() {
    ask_all(context_.queue.parts(patience(patience_to_change)), Coverage(context_.queue.pool()));
}

v1::NodeFlushRequest FlushCall::next_request(std::size_t part) {
    v1::NodeFlushRequest request;
    request.set_operator_name(request_.operator_name());
    request.set_dry_run(request_.dry_run());
    request.set_after(after_[part]);
    return request;
}

void FlushCall::answered(std::size_t part, v1::NodeFlushResponse response) {
    response_->set_flushed(response_->flushed() + response.flushed());
    response_->set_failed(response_->failed() + response.failed());
    after_[part] = response.walked().to();
    after_[part].empty() ? part_ended(part) : step(part);
}

void FlushCall::parts_ended() {
    if (given_up()) return;
    fill_missing(*response_);
    Finish(grpc::Status::OK);
}

// --- Act

ActCall::ActCall(AdminContext& context,
                 grpc::CallbackServerContext* rpc,
                 const v1::ActRequest& request,
                 ActOrder order)
    : PartsCall(context, rpc), order_(std::move(order)) {
    common_.set_action(order_.action);
    common_.set_dry_run(order_.dry_run);
    common_.set_reason(order_.reason);
    common_.set_operator_name(order_.operator_name);
    if (order_.ids.empty()) *common_.mutable_filter() = request.filter();
    go_on(&ActCall::begin);
}

void ActCall::begin() {
    if (!order_.ids.empty()) return begin_with_ids();
    ask_all(context_.queue.parts(patience(patience_to_change)), Coverage(context_.queue.pool()));
}

// Each id goes to the part that it is in.
void ActCall::begin_with_ids() {
    Parts parts;
    std::map<NodeId, std::size_t> index;
    std::set<PartitionId> wanted;
    for (const auto id : order_.ids) {
        wanted.insert(id.partition());
        auto part = context_.queue.part_of(id, patience(patience_to_change));
        if (!part) {
            refuse({id}, part.error());
            continue;
        }
        const auto [at, added] = index.try_emplace(part->node, parts.size());
        if (added) parts.push_back(std::move(*part));
        ids_[at->second].push_back(id);
    }
    ask_all(std::move(parts), Coverage(context_.queue.pool(), wanted));
}

v1::NodeActRequest ActCall::next_request(std::size_t part) {
    auto request = common_;
    request.set_began_ms(last_[part].began_ms());
    request.set_after(last_[part].walked().to());
    auto& left = ids_[part];
    const auto end = left.begin() + static_cast<std::ptrdiff_t>(
                                        std::min<std::size_t>(left.size(), node_act_ids_max));
    asked_[part].assign(left.begin(), end);
    left.erase(left.begin(), end);
    for (const auto id : asked_[part]) request.mutable_ids()->add_ids(id.to_string());
    return request;
}

void ActCall::answered(std::size_t part, v1::NodeActResponse response) {
    Batch batch{part, {}};
    batch.response.mutable_results()->Swap(response.mutable_results());
    last_[part] = std::move(response);
    batch.response.results().empty() ? go_on_or_end(part) : send(std::move(batch));
}

// What was asked of it may have happened, the rest has not.
void ActCall::failed(std::size_t part, const Error& error) {
    refuse(asked_[part], of_part(parts_[part], error));
    refuse(ids_[part], of_part(parts_[part], {Errc::unavailable, "not tried: " + error.what}));
    part_ended(part);
}

bool ActCall::has_more(std::size_t part) const {
    if (!order_.ids.empty()) return !ids_.at(part).empty();
    return !last_.at(part).walked().to().empty();
}

void ActCall::go_on_or_end(std::size_t part) {
    client_reads_&& has_more(part) ? step(part) : part_ended(part);
}

void ActCall::refuse(const std::vector<QueueId>& ids, const Error& error) {
    if (ids.empty()) return;
    Batch batch;
    for (const auto id : ids) *batch.response.add_results() = to_act_result(id, error);
    send(std::move(batch));
}

void ActCall::send(Batch batch) {
    if (!client_reads_) {
        if (batch.part) part_ended(*batch.part);
        return;
    }
    batches_.push_back(std::move(batch));
    if (batches_.size() == 1) StartWrite(&batches_.front().response);
}

void ActCall::OnWriteDone(bool ok) {
    context_.home.post([this, ok] { written(ok); });
}

// A write that failed means that the client left. Whatever may finish the call comes last: from
// then on gRPC may delete it.
void ActCall::written(bool ok) {
    std::vector<std::optional<std::size_t>> waited{batches_.front().part};
    batches_.pop_front();
    if (!ok) {
        client_reads_ = false;
        for (const auto& batch : std::exchange(batches_, {})) waited.push_back(batch.part);
    } else if (!batches_.empty()) {
        StartWrite(&batches_.front().response);
    }
    if (parts_have_ended()) return parts_ended();  // then no part waited
    for (const auto& part : waited) {
        if (part) go_on_or_end(*part);
    }
}

void ActCall::parts_ended() {
    if (!batches_.empty()) return;  // written() comes here again
    if (!client_reads_) return Finish(grpc::Status::CANCELLED);
    if (given_up()) return;
    Batch last;
    if (!std::exchange(told_missing_, true)) fill_missing(last.response);
    if (last.response.missing().empty()) return Finish(grpc::Status::OK);
    send(std::move(last));
}

// --- GetMessage

GetCall::GetCall(AdminContext& context,
                 grpc::CallbackServerContext* rpc,
                 QueueId id,
                 v1::GetMessageResponse* response)
    : HomeCall(context, rpc), id_(id), response_(response) {
    go_on(&GetCall::begin);
}

void GetCall::begin() {
    const auto part = context_.queue.part_of(id_, patience(patience_to_show));
    if (!part) return Finish(to_status(part.error()));
    v1::NodeGetRequest request;
    request.set_id(id_.to_string());
    part->ask(std::move(request), [this, part = *part](Result<v1::NodeGetResponse> answer) {
        if (!answer) return Finish(to_status(of_part(part, answer.error())));
        *response_->mutable_message() = std::move(*answer->mutable_message());
        Finish(grpc::Status::OK);
    });
}

// --- ReadMessage

ReadCall::ReadCall(AdminContext& context, grpc::CallbackServerContext* rpc, QueueId id)
    : HomeCall(context, rpc), id_(id) {
    go_on(&ReadCall::next_piece);
}

void ReadCall::next_piece() {
    if (given_up()) return;
    if (last_.last()) return Finish(grpc::Status::OK);
    const auto part = context_.queue.part_of(id_, patience(patience_to_show));
    if (!part) return Finish(to_status(part.error()));
    v1::NodeReadRequest request;
    request.set_id(id_.to_string());
    request.set_chunk(last_.next_chunk());
    request.set_offset(last_.next_offset());
    part->ask(std::move(request), [this, part = *part](Result<v1::NodeReadResponse> piece) {
        if (!piece) return fail(of_part(part, piece.error()));
        take(std::move(*piece));
    });
}

void ReadCall::fail(const Error& error) {
    const bool begun = last_.next_chunk() > 0 || last_.next_offset() > 0;
    if (!begun || error.code != Errc::not_found) return Finish(to_status(error));
    Finish({grpc::StatusCode::ABORTED, "the message left the queue while it was read"});
}

void ReadCall::take(v1::NodeReadResponse piece) {
    last_ = std::move(piece);
    response_.mutable_content()->swap(*last_.mutable_content());
    if (response_.content().empty()) return next_piece();
    StartWrite(&response_);
}

void ReadCall::OnWriteDone(bool ok) {
    if (ok) return go_on(&ReadCall::next_piece);
    Finish(grpc::Status::CANCELLED);
}

}  // namespace posthorse::admin
