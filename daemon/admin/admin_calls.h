// The calls of the admin service that take more than one step, each an object of its own.
//
// Place     Made by admin_service.cc for a request that it has checked.
// Contract  A call lives on the home executor: it reads the queue page by page there, looks at
//           every step whether its client still waits, and finishes there, once. gRPC's threads
//           only start it, tell it that a write is done, and end it.
// Owner     Itself: gRPC calls OnDone last, and that deletes it.
// Bounds    One page of the queue, and one message on its way out.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "daemon/admin/admin_messages.h"
#include "daemon/admin/admin_ports.h"
#include "daemon/admin/admin_requests.h"

namespace posthorse::admin {

// Envelopes in one step; also how many actions are under way at once.
inline constexpr std::size_t page_messages = 100;

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
    // True when nobody waits for the answer any more; the call is then finished.
    bool given_up() {
        if (!rpc_->IsCancelled()) return false;
        this->Finish({grpc::StatusCode::CANCELLED, "the client left or its deadline passed"});
        return true;
    }

    AdminContext& context_;

private:
    grpc::CallbackServerContext* rpc_;
};

// A call that walks the whole queue.
template <class Base>
class WalkCall : public HomeCall<Base> {
public:
    WalkCall(AdminContext& context, grpc::CallbackServerContext* rpc, QueueId after)
        : HomeCall<Base>(context, rpc), after_(after) {}

protected:
    // `last`: the queue ends with this page. Called on home.
    virtual void on_page(std::vector<Envelope> page, bool last) = 0;

    void next_page() {
        if (this->given_up()) return;
        this->context_.queue.list(after_, page_messages,
                                  [this](Result<std::vector<Envelope>> page) {
                                      if (!page) return this->Finish(to_status(page.error()));
                                      if (!page->empty()) after_ = page->back().id;
                                      const bool last = page->size() < page_messages;
                                      on_page(std::move(*page), last);
                                  });
    }
    bool delivering(const Envelope& envelope) const {
        return this->context_.ports.delivering(envelope.id);
    }

private:
    QueueId after_;
};

struct ListOrder {
    QueueFilter filter;
    std::size_t page_size = 0;
    QueueId after;
};

class ListCall final : public WalkCall<grpc::ServerUnaryReactor> {
public:
    ListCall(AdminContext& context,
             grpc::CallbackServerContext* rpc,
             ListOrder order,
             v1::ListMessagesResponse* response);

private:
    void on_page(std::vector<Envelope> page, bool last) override;
    bool full() const;

    ListOrder order_;
    v1::ListMessagesResponse* response_;
    std::size_t looked_at_ = 0;
    std::size_t bytes_ = 0;
};

class SummarizeCall final : public WalkCall<grpc::ServerUnaryReactor> {
public:
    SummarizeCall(AdminContext& context,
                  grpc::CallbackServerContext* rpc,
                  QueueFilter filter,
                  std::size_t domains,
                  v1::SummarizeResponse* response);

private:
    void on_page(std::vector<Envelope> page, bool last) override;

    QueueFilter filter_;
    std::size_t domains_;
    v1::SummarizeResponse* response_;
    QueueSummary summary_;
};

class FlushCall final : public WalkCall<grpc::ServerUnaryReactor> {
public:
    FlushCall(AdminContext& context,
              grpc::CallbackServerContext* rpc,
              std::string operator_name,
              v1::FlushResponse* response);

private:
    void on_page(std::vector<Envelope> page, bool last) override;
    void one_ended(const Result<Envelope>& result);
    void page_ended();

    std::string operator_name_;
    v1::FlushResponse* response_;
    std::size_t under_way_ = 0;
    bool last_ = false;
};

class ActCall final : public WalkCall<grpc::ServerWriteReactor<v1::ActResponse>> {
public:
    ActCall(AdminContext& context, grpc::CallbackServerContext* rpc, ActOrder order);
    void OnWriteDone(bool ok) override;

private:
    void begin();
    void next_batch();
    void next_ids();
    void on_page(std::vector<Envelope> page, bool last) override;
    void act_on(const std::vector<QueueId>& batch);
    void act_on(QueueId id);
    void would_act_on(QueueId id);
    void one_ended(QueueId id, v1::ActResult result);
    void batch_ended();

    ActOrder order_;
    WallTime began_{};
    std::size_t ids_taken_ = 0;
    std::size_t under_way_ = 0;
    bool last_ = false;
    v1::ActResponse response_;
};

class ReadCall final : public HomeCall<grpc::ServerWriteReactor<v1::ReadMessageResponse>> {
public:
    ReadCall(AdminContext& context, grpc::CallbackServerContext* rpc, QueueId id);
    void OnWriteDone(bool ok) override;

private:
    void begin();
    void next_chunk();
    void send(const Chunk& chunk);

    QueueId id_;
    std::uint32_t chunk_count_ = 0;
    std::uint32_t next_ = 0;
    v1::ReadMessageResponse response_;
};

}  // namespace posthorse::admin
