// The calls of the admin service that take more than one step, each an object of its own.
//
// Place     Made by admin_service.cc for a request that it has checked. They ask the parts of
//           pool_queue.h, several at a time, and put the answers together.
// Contract  A call lives on the home executor: it asks step by step there, looks before every step
//           whether its client still waits, and finishes there, once. gRPC's threads only start it,
//           tell it that a write is done, and end it.
//           A part that fails is not asked again in the call; the response names it as missing.
// Owner     Itself: gRPC calls OnDone last, and that deletes it.
// Bounds    One step of each part; of a listing, as much as those hold.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "daemon/admin/admin_messages.h"
#include "daemon/admin/admin_ports.h"
#include "daemon/admin/admin_requests.h"
#include "daemon/admin/coverage.h"
#include "daemon/admin/pool_queue.h"
#include "storage/queue_summary.h"

namespace posthorse::admin {

// `Base` is one of gRPC's server reactors.
template <class Base>
class HomeCall : public Base {
public:
    HomeCall(AdminContext& context, grpc::CallbackServerContext* rpc)
        : context_(context), rpc_(rpc) {}
    void OnDone() override { delete this; }

protected:
    // Continues with a member function on the home executor.
    template <class Call>
    void go_on(void (Call::*step)()) {
        context_.home.post([this, step] { (static_cast<Call*>(this)->*step)(); });
    }
    bool client_left() const { return rpc_->IsCancelled(); }
    // True when nobody waits for the answer any more; the call is then finished.
    bool given_up() {
        if (!client_left()) return false;
        this->Finish({grpc::StatusCode::CANCELLED, "the client left or its deadline passed"});
        return true;
    }
    // For a step of a part: the client shall hear what is missing before its own patience ends.
    Duration patience(Duration most) const {
        const WallTime deadline = std::chrono::floor<Duration>(rpc_->deadline());
        return std::clamp((deadline - context_.clock.wall()) / 2, Duration{1}, most);
    }

    AdminContext& context_;

private:
    grpc::CallbackServerContext* rpc_;
};

// A call that asks several parts, each in as many steps as it takes.
template <class Base, class Request, class Response>
class PartsCall : public HomeCall<Base> {
public:
    using HomeCall<Base>::HomeCall;

protected:
    using Parts = std::vector<PoolQueue::Part>;

    // What to ask of a part next. Then what it answered: call step() for the next one, or
    // part_ended().
    virtual Request next_request(std::size_t part) = 0;
    virtual void answered(std::size_t part, Response response) = 0;
    virtual void failed(std::size_t part, const Error& /*error*/) { part_ended(part); }
    // Nothing is under way any more.
    virtual void parts_ended() = 0;

    // The last step may finish the call: from then on gRPC may delete it.
    void ask_all(Parts parts, Coverage coverage) {
        const auto count = parts.size();
        parts_ = std::move(parts);
        coverage_.emplace(std::move(coverage));
        running_ = count;
        if (count == 0) return parts_ended();
        for (std::size_t part = 0; part < count; ++part) step(part);
    }
    void step(std::size_t part) {
        if (this->client_left()) return part_ended(part);
        parts_[part].ask(next_request(part), [this, part](Result<Response> response) {
            if (response) {
                coverage_->walked(parts_[part].node, response->walked());
                answered(part, std::move(*response));
            } else {
                coverage_->failed(parts_[part].node, response.error());
                failed(part, response.error());
            }
        });
    }
    void part_ended(std::size_t /*part*/) {
        if (--running_ == 0) parts_ended();
    }
    bool parts_have_ended() const { return running_ == 0; }
    template <class Missing>
    void fill_missing(Missing& out) const {
        for (auto& part : coverage_->missing(this->context_.queue.pool())) {
            *out.add_missing() = std::move(part);
        }
    }

    Parts parts_;

private:
    std::optional<Coverage> coverage_;  // from ask_all() on
    std::size_t running_ = 0;
};

struct ListOrder {
    v1::MessageFilter filter;
    std::size_t page_size = 0;
    QueueId after;
};

class ListCall final
    : public PartsCall<grpc::ServerUnaryReactor, v1::NodeListRequest, v1::NodeListResponse> {
public:
    ListCall(AdminContext& context,
             grpc::CallbackServerContext* rpc,
             ListOrder order,
             v1::ListMessagesResponse* response);

private:
    void begin();
    v1::NodeListRequest next_request(std::size_t part) override;
    void answered(std::size_t part, v1::NodeListResponse response) override;
    void parts_ended() override;

    ListOrder order_;
    v1::ListMessagesResponse* response_;
    std::vector<v1::NodeListResponse> pages_;
};

class SummarizeCall final : public PartsCall<grpc::ServerUnaryReactor,
                                             v1::NodeSummarizeRequest,
                                             v1::NodeSummarizeResponse> {
public:
    SummarizeCall(AdminContext& context,
                  grpc::CallbackServerContext* rpc,
                  v1::MessageFilter filter,
                  std::size_t domains,
                  v1::SummarizeResponse* response);

private:
    void begin();
    v1::NodeSummarizeRequest next_request(std::size_t part) override;
    void answered(std::size_t part, v1::NodeSummarizeResponse response) override;
    void parts_ended() override;

    v1::MessageFilter filter_;
    std::size_t domains_;
    v1::SummarizeResponse* response_;
    std::map<std::size_t, std::string> after_;  // by part
    storage::QueueSummary summary_;
};

class FlushCall final
    : public PartsCall<grpc::ServerUnaryReactor, v1::NodeFlushRequest, v1::NodeFlushResponse> {
public:
    FlushCall(AdminContext& context,
              grpc::CallbackServerContext* rpc,
              v1::FlushRequest request,
              v1::FlushResponse* response);

private:
    void begin();
    v1::NodeFlushRequest next_request(std::size_t part) override;
    void answered(std::size_t part, v1::NodeFlushResponse response) override;
    void parts_ended() override;

    v1::FlushRequest request_;
    v1::FlushResponse* response_;
    std::map<std::size_t, std::string> after_;  // by part
};

class ActCall final : public PartsCall<grpc::ServerWriteReactor<v1::ActResponse>,
                                       v1::NodeActRequest,
                                       v1::NodeActResponse> {
public:
    ActCall(AdminContext& context,
            grpc::CallbackServerContext* rpc,
            const v1::ActRequest& request,
            ActOrder order);
    void OnWriteDone(bool ok) override;

private:
    // What goes to the client; the part whose answer it is goes on when it is written.
    struct Batch {
        std::optional<std::size_t> part;
        v1::ActResponse response;
    };

    void begin();
    void begin_with_ids();
    v1::NodeActRequest next_request(std::size_t part) override;
    void answered(std::size_t part, v1::NodeActResponse response) override;
    void failed(std::size_t part, const Error& error) override;
    void parts_ended() override;

    bool has_more(std::size_t part) const;
    void go_on_or_end(std::size_t part);
    void refuse(const std::vector<QueueId>& ids, const Error& error);
    void send(Batch batch);
    void written(bool ok);

    v1::NodeActRequest common_;  // of all requests
    ActOrder order_;
    std::map<std::size_t, std::vector<QueueId>> ids_;    // by part: those not asked for yet
    std::map<std::size_t, std::vector<QueueId>> asked_;  // and those that are
    std::map<std::size_t, v1::NodeActResponse> last_;    // by part, without its results
    std::deque<Batch> batches_;                          // the first is being written
    bool client_reads_ = true;
    bool told_missing_ = false;
};

class GetCall final : public HomeCall<grpc::ServerUnaryReactor> {
public:
    GetCall(AdminContext& context,
            grpc::CallbackServerContext* rpc,
            QueueId id,
            v1::GetMessageResponse* response);

private:
    void begin();

    QueueId id_;
    v1::GetMessageResponse* response_;
};

// Each piece is asked of whoever owns the message then.
class ReadCall final : public HomeCall<grpc::ServerWriteReactor<v1::ReadMessageResponse>> {
public:
    ReadCall(AdminContext& context, grpc::CallbackServerContext* rpc, QueueId id);
    void OnWriteDone(bool ok) override;

private:
    void next_piece();
    void take(v1::NodeReadResponse piece);
    void fail(const Error& error);

    QueueId id_;
    v1::NodeReadResponse last_;
    v1::ReadMessageResponse response_;
};

}  // namespace posthorse::admin
