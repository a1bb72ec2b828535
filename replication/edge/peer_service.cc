#include "replication/edge/peer_service.h"

#include "replication/edge/control_codec.h"
#include "replication/edge/peer_verdict.h"

namespace posthorse::replication {
namespace {

static_assert(static_cast<std::size_t>(Refusal::not_ready) + 1 == refused_malformed);

// The other end of a call; whoever drops it unanswered answers it so.
struct Unanswered {
    void operator()(grpc::ServerUnaryReactor* reactor) const {
        reactor->Finish({grpc::StatusCode::UNAVAILABLE, "the node stops"});
    }
};
using Answer = std::unique_ptr<grpc::ServerUnaryReactor, Unanswered>;

}  // namespace

PeerService::PeerService(PeerCertificates certificates,
                         Executor& home,
                         PeerNetwork::Receive receive,
                         PeerCounters& counters)
    : certificates_(certificates), home_(home), receive_(std::move(receive)), counters_(counters) {}

grpc::ServerUnaryReactor* PeerService::Deliver(grpc::CallbackServerContext* context,
                                               const v1::DeliverRequest* request,
                                               v1::DeliverResponse*) {
    using grpc::StatusCode;
    auto* reactor = context->DefaultReactor();
    const auto finish = [reactor](grpc::Status status) {
        reactor->Finish(std::move(status));
        return reactor;
    };
    const auto peer = context->auth_context();
    if (peer == nullptr || !peer->IsPeerAuthenticated())
        return finish(refuse(refused_no_certificate, StatusCode::UNAUTHENTICATED,
                             "no_certificate: show one of the pool's authority"));
    // The port takes larger messages, of mail.
    if (request->ByteSizeLong() > peer_message_bytes_max)
        return finish(refuse(refused_malformed, StatusCode::RESOURCE_EXHAUSTED,
                             "malformed: larger than a message about the pool may be"));
    auto received = decode(*request);
    if (!received)
        return finish(refuse(refused_malformed, StatusCode::INVALID_ARGUMENT,
                             "malformed: " + received.error().what));
    if (certificates_ == PeerCertificates::node && !carries_name(*peer, received->header.name))
        return finish(refuse(refused_wrong_name, StatusCode::PERMISSION_DENIED,
                             "wrong_name: the certificate does not carry the name in the header"));
    if (!has_place())
        return finish(refuse(refused_too_many, StatusCode::RESOURCE_EXHAUSTED,
                             "too_many: messages wait already"));
    home_.post([this, answer = Answer(reactor), taken = *std::move(received)]() mutable {
        --waiting_;
        if (stopped_) return;
        arrived(answer.release(), std::move(taken.header), std::move(taken.message));
    });
    return reactor;
}

bool PeerService::has_place() {
    if (++waiting_ <= peer_waiting_max) return true;
    --waiting_;
    return false;
}

grpc::Status PeerService::refuse(std::size_t reason,
                                 grpc::StatusCode code,
                                 const std::string& what) {
    ++counters_.refused[reason];
    return {code, what};
}

void PeerService::arrived(grpc::ServerUnaryReactor* reactor, Header header, Message message) {
    ++counters_.received;
    receive_(std::move(header), std::move(message),
             [this, answer = Answer(reactor)](Refusal refusal) mutable {
                 answer.release()->Finish(judged(refusal));
             });
}

grpc::Status PeerService::judged(Refusal refusal) {
    if (refusal != Refusal::none) ++counters_.refused[static_cast<std::size_t>(refusal)];
    return status_of(refusal);
}

}  // namespace posthorse::replication
