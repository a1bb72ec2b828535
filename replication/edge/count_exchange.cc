#include "replication/edge/count_exchange.h"

#include <grpc/support/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include "proto/types/assert.h"
#include "replication/edge/count_codec.h"
#include "replication/edge/peer_limits.h"
#include "replication/edge/peer_verdict.h"

namespace posthorse::replication {

struct CountExchange::Call {
    grpc::ClientContext context;
    std::unique_ptr<v1::Counting::Stub> stub;
    v1::CountRequest request;
    v1::CountResponse response;
    std::string name;  // of the member
    Completion<Others> done;
};

CountExchange::CountExchange(Ports ports) : ports_(std::move(ports)) {}

CountExchange::~CountExchange() {
    PH_ASSERT(calls_.empty());
}

// ------------------------------------------------------------------ going out

void CountExchange::send(const Member& to, const CountBatch& batch, Completion<Others> done) {
    const auto channel = stopping_ ? nullptr : ports_.channel(to.facts.address);
    if (channel == nullptr) {
        return ports_.home.post([done = std::move(done)]() mutable {
            done(Error{Errc::unavailable, "no way to its address"});
        });
    }
    auto made = std::make_unique<Call>();
    auto& call = *made;
    call.stub = v1::Counting::NewStub(channel);
    call.name = to.facts.name;
    call.done = std::move(done);
    encode(ports_.identity.header(to.id), batch, call.request);
    call.context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                           gpr_time_from_millis(deadline.count(), GPR_TIMESPAN)));
    const auto number = ++last_call_;
    calls_.emplace(number, std::move(made));
    call.stub->async()->Count(
        &call.context, &call.request, &call.response, [this, number](grpc::Status status) {
            ports_.home.post([this, number, status = std::move(status)] { ended(number, status); });
        });
}

void CountExchange::ended(std::uint64_t number, const grpc::Status& status) {
    const auto node = calls_.extract(number);
    PH_ASSERT(!node.empty());
    auto& call = *node.mapped();
    if (!status.ok()) {
        call.done(Error{Errc::unavailable, problem_of(status)});
    } else if (ports_.certificates == PeerCertificates::node &&
               !carries_name(*call.context.auth_context(), call.name)) {
        call.done(Error{Errc::unavailable, "another name than its own is in the certificate"});
    } else {
        call.done(Others(call.response.others().begin(), call.response.others().end()));
    }
    if (stopping_ && calls_.empty() && stopped_) std::exchange(stopped_, {})();
}

void CountExchange::stop(UniqueFunction<void()> done) {
    PH_ASSERT(!stopping_);
    stopping_ = true;
    if (calls_.empty()) return ports_.home.post(std::move(done));
    stopped_ = std::move(done);
    for (const auto& [number, call] : calls_) call->context.TryCancel();
}

// ------------------------------------------------------------------ coming in

void CountExchange::finish(grpc::ServerUnaryReactor* reactor, const grpc::Status& status) {
    --under_way_;
    reactor->Finish(status);
}

grpc::ServerUnaryReactor* CountExchange::Count(grpc::CallbackServerContext* rpc,
                                               const v1::CountRequest* request,
                                               v1::CountResponse* response) {
    using grpc::StatusCode;
    auto* reactor = rpc->DefaultReactor();
    const auto refuse = [&](StatusCode code, const std::string& what) {
        finish(reactor, {code, what});
        return reactor;
    };
    const bool room = ++under_way_ <= calls_max;
    const auto peer = rpc->auth_context();
    if (!is_authenticated(peer.get()))
        return refuse(StatusCode::UNAUTHENTICATED,
                      "no_certificate: show one of the pool's authority");
    if (!room) return refuse(StatusCode::RESOURCE_EXHAUSTED, "too_many: calls are under way");
    if (request->ByteSizeLong() > peer_message_bytes_max)
        return refuse(StatusCode::RESOURCE_EXHAUSTED, "malformed: larger than counts may be");
    auto received = decode(*request);
    if (!received)
        return refuse(StatusCode::INVALID_ARGUMENT, "malformed: " + received.error().what);
    if (ports_.certificates == PeerCertificates::node &&
        !carries_name(*peer, received->header.name))
        return refuse(StatusCode::PERMISSION_DENIED,
                      "wrong_name: the certificate does not carry the name in the header");
    ports_.home.post([this, reactor, response, taken = *std::move(received)] {
        const auto refusal = ports_.identity.judge(taken.header);
        if (refusal == Refusal::none) {
            for (const auto others : ports_.receive(taken.header.from, taken.batch))
                response->add_others(others);
        }
        finish(reactor, status_of(refusal));
    });
    return reactor;
}

}  // namespace posthorse::replication
