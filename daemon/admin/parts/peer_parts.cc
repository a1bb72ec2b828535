#include "daemon/admin/parts/peer_parts.h"

#include <grpc/support/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include "proto/types/assert.h"
#include "proto/types/reply.h"
#include "replication/edge/peer_verdict.h"

namespace posthorse::admin {
namespace {

using Ended = std::function<void(grpc::Status)>;

void call(v1::NodeQueue::Stub& stub,
          grpc::ClientContext* context,
          const v1::NodeListRequest* request,
          v1::NodeListResponse* response,
          Ended ended) {
    stub.async()->List(context, request, response, std::move(ended));
}

void call(v1::NodeQueue::Stub& stub,
          grpc::ClientContext* context,
          const v1::NodeSummarizeRequest* request,
          v1::NodeSummarizeResponse* response,
          Ended ended) {
    stub.async()->Summarize(context, request, response, std::move(ended));
}

void call(v1::NodeQueue::Stub& stub,
          grpc::ClientContext* context,
          const v1::NodeGetRequest* request,
          v1::NodeGetResponse* response,
          Ended ended) {
    stub.async()->Get(context, request, response, std::move(ended));
}

void call(v1::NodeQueue::Stub& stub,
          grpc::ClientContext* context,
          const v1::NodeReadRequest* request,
          v1::NodeReadResponse* response,
          Ended ended) {
    stub.async()->Read(context, request, response, std::move(ended));
}

void call(v1::NodeQueue::Stub& stub,
          grpc::ClientContext* context,
          const v1::NodeActRequest* request,
          v1::NodeActResponse* response,
          Ended ended) {
    stub.async()->Act(context, request, response, std::move(ended));
}

void call(v1::NodeQueue::Stub& stub,
          grpc::ClientContext* context,
          const v1::NodeFlushRequest* request,
          v1::NodeFlushResponse* response,
          Ended ended) {
    stub.async()->Flush(context, request, response, std::move(ended));
}

// Whether a step that got no answer may have changed something.
template <class Request>
bool changes(const Request& request) {
    if constexpr (requires { request.dry_run(); }) {
        return !request.dry_run();
    } else {
        return false;
    }
}

std::string seconds_of(Duration duration) {
    const auto millis = std::to_string(duration.count() % 1000 + 1000).substr(1);
    const auto seconds = std::to_string(duration / std::chrono::seconds{1});
    return millis == "000" ? seconds + " s" : seconds + '.' + millis + " s";
}

// Of a call that failed.
Error to_error(const grpc::Status& status, bool may_have_happened, Duration patience) {
    using grpc::StatusCode;
    const auto said = replication::problem_of(status);
    switch (status.error_code()) {
        case StatusCode::NOT_FOUND:
            return {Errc::not_found, said};
        case StatusCode::DATA_LOSS:
            return {Errc::corrupt, said};
        case StatusCode::INVALID_ARGUMENT:
            return {Errc::invalid, said};
        case StatusCode::UNIMPLEMENTED:
            return {Errc::unavailable, "its release does not answer for its queue yet"};
        case StatusCode::UNAUTHENTICATED:
        case StatusCode::PERMISSION_DENIED:
        case StatusCode::FAILED_PRECONDITION:
        case StatusCode::RESOURCE_EXHAUSTED:
            return {Errc::unavailable, "it refuses: " + said};
        default:
            break;
    }
    const bool late = status.error_code() == StatusCode::DEADLINE_EXCEEDED;
    const auto why = late ? "no answer within " + seconds_of(patience) : said;
    if (!may_have_happened) return {Errc::unavailable, why};
    return {Errc::unknown, why + "; what it was asked to do may have happened"};
}

}  // namespace

struct PeerParts::CallBase {
    virtual ~CallBase() = default;

    grpc::ClientContext context;
    std::unique_ptr<v1::NodeQueue::Stub> stub;
    Duration patience{};
    std::string name;  // of the member
};

template <class Request, class Response>
struct PeerParts::Call final : PeerParts::CallBase {
    Request request;
    Response response;
    Completion<Response> done;
};

class PeerParts::Part final : public QueuePart {
public:
    Part(PeerParts& parts, const replication::Member& member, Duration patience)
        : address(member.facts.address),
          name(member.facts.name),
          patience(patience),
          parts_(parts) {}

    void ask(v1::NodeListRequest request, Completion<v1::NodeListResponse> done) override {
        parts_.start(*this, std::move(request), std::move(done));
    }
    void ask(v1::NodeSummarizeRequest request,
             Completion<v1::NodeSummarizeResponse> done) override {
        parts_.start(*this, std::move(request), std::move(done));
    }
    void ask(v1::NodeGetRequest request, Completion<v1::NodeGetResponse> done) override {
        parts_.start(*this, std::move(request), std::move(done));
    }
    void ask(v1::NodeReadRequest request, Completion<v1::NodeReadResponse> done) override {
        parts_.start(*this, std::move(request), std::move(done));
    }
    void ask(v1::NodeActRequest request, Completion<v1::NodeActResponse> done) override {
        parts_.start(*this, std::move(request), std::move(done));
    }
    void ask(v1::NodeFlushRequest request, Completion<v1::NodeFlushResponse> done) override {
        parts_.start(*this, std::move(request), std::move(done));
    }

    const std::string address;
    const std::string name;
    const Duration patience;

private:
    PeerParts& parts_;
};

PeerParts::PeerParts(Executor& home,
                     Channels channels,
                     CertificatesName certificates,
                     runtime::Metrics& metrics)
    : home_(home),
      channels_(std::move(channels)),
      certificates_(certificates),
      answered_(metrics.counter("posthorse_node_queue_calls_total",
                                "Calls to other nodes about their queues.",
                                {{"result", "answered"}})),
      failed_(metrics.counter("posthorse_node_queue_calls_total",
                              "Calls to other nodes about their queues.",
                              {{"result", "failed"}})) {}

PeerParts::~PeerParts() {
    PH_ASSERT(calls_.empty());
}

std::shared_ptr<QueuePart> PeerParts::part(const replication::Member& member, Duration patience) {
    return std::make_shared<Part>(*this, member, patience);
}

template <class Request, class Response>
void PeerParts::start(const Part& part, Request request, Completion<Response> done) {
    if (stopping_) return done(Error{Errc::unavailable, "this node stops"});
    const auto channel = channels_(part.address);
    if (channel == nullptr) return done(Error{Errc::unavailable, "no way to its address"});
    auto made = std::make_unique<Call<Request, Response>>();
    auto& started = *made;
    started.stub = v1::NodeQueue::NewStub(channel);
    started.patience = part.patience;
    started.name = part.name;
    started.request = std::move(request);
    started.done = std::move(done);
    started.context.set_deadline(gpr_time_add(
        gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(part.patience.count(), GPR_TIMESPAN)));
    const auto number = ++last_call_;
    calls_.emplace(number, std::move(made));
    call(*started.stub, &started.context, &started.request, &started.response,
         [this, number](grpc::Status status) {
             home_.post([this, number, status = std::move(status)] {
                 ended<Request, Response>(number, status);
             });
         });
}

template <class Request, class Response>
void PeerParts::ended(std::uint64_t number, const grpc::Status& status) {
    const auto node = calls_.extract(number);
    PH_ASSERT(!node.empty());
    auto& call = static_cast<Call<Request, Response>&>(*node.mapped());
    (status.ok() ? answered_ : failed_).add();
    if (!status.ok()) {
        call.done(to_error(status, changes(call.request), call.patience));
    } else if (certificates_ == CertificatesName::node &&
               !replication::carries_name(*call.context.auth_context(), call.name)) {
        call.done(Error{Errc::unavailable, "another name than its own is in the certificate"});
    } else {
        call.done(std::move(call.response));
    }
    if (stopping_ && calls_.empty() && stopped_) std::exchange(stopped_, {})();
}

void PeerParts::stop(UniqueFunction<void()> done) {
    PH_ASSERT(!stopping_);
    stopping_ = true;
    if (calls_.empty()) return home_.post(std::move(done));
    stopped_ = std::move(done);
    for (const auto& [number, call] : calls_) call->context.TryCancel();
}

}  // namespace posthorse::admin
