#include "replication/edge/peer_client.h"

#include <grpc/support/time.h>
#include <grpcpp/client_context.h>

#include "posthorse/v1/pool.grpc.pb.h"
#include "proto/types/assert.h"
#include "replication/edge/control_codec.h"
#include "replication/edge/peer_channel.h"
#include "replication/edge/peer_verdict.h"

namespace posthorse::replication {
struct PeerClient::Peer {
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<v1::Pool::Stub> stub;
    std::size_t calls = 0;
    std::size_t bytes = 0;
    std::string problem;  // of the last call that ended; empty: it arrived
};

struct PeerClient::Call {
    std::string address;
    std::size_t bytes = 0;
    grpc::ClientContext context;
    v1::DeliverRequest request;
    v1::DeliverResponse response;
};

PeerClient::PeerClient(std::shared_ptr<grpc::ChannelCredentials> credentials,
                       Executor& home,
                       Duration deadline,
                       PeerCounters& counters)
    : credentials_(std::move(credentials)), home_(home), deadline_(deadline), counters_(counters) {}

PeerClient::~PeerClient() {
    PH_ASSERT(calls_.empty());
}

// A place for one more channel: those whose connection idleness has dropped go first.
bool PeerClient::make_room() {
    std::erase_if(peers_, [](const auto& entry) {
        const auto& peer = *entry.second;
        return peer.calls == 0 && peer.channel->GetState(false) == GRPC_CHANNEL_IDLE;
    });
    if (peers_.size() < peer_addresses_max) return true;
    const auto unused = std::find_if(peers_.begin(), peers_.end(),
                                     [](const auto& entry) { return entry.second->calls == 0; });
    if (unused == peers_.end()) return false;
    peers_.erase(unused);
    return true;
}

PeerClient::Peer* PeerClient::peer(const std::string& address) {
    if (const auto found = peers_.find(address); found != peers_.end()) return found->second.get();
    if (!make_room()) return nullptr;
    auto peer = std::make_unique<Peer>();
    peer->channel = make_peer_channel(address, credentials_, peer_answer_bytes_max);
    peer->stub = v1::Pool::NewStub(peer->channel);
    return peers_.emplace(address, std::move(peer)).first->second.get();
}

std::shared_ptr<grpc::Channel> PeerClient::channel(const std::string& address) {
    auto* to = stopping_ || address.empty() ? nullptr : peer(address);
    return to == nullptr ? nullptr : to->channel;
}

void PeerClient::send(const Outgoing& outgoing) {
    if (stopping_) return;
    auto* to = outgoing.address.empty() ? nullptr : peer(outgoing.address);
    if (to == nullptr || to->calls == peer_calls_max) {
        ++counters_.dropped;
        return;
    }
    auto call = std::make_unique<Call>();
    encode(outgoing.header, outgoing.message, call->request);
    call->bytes = call->request.ByteSizeLong();
    if (call->bytes > peer_message_bytes_max || to->bytes + call->bytes > peer_call_bytes_max) {
        ++counters_.dropped;
        return;
    }
    call->address = outgoing.address;
    call->context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                            gpr_time_from_millis(deadline_.count(), GPR_TIMESPAN)));
    to->calls += 1;
    to->bytes += call->bytes;
    const auto number = ++last_call_;
    auto& started = *calls_.emplace(number, std::move(call)).first->second;
    to->stub->async()->Deliver(
        &started.context, &started.request, &started.response, [this, number](grpc::Status status) {
            home_.post([this, number, status = std::move(status)] { ended(number, status); });
        });
}

void PeerClient::ended(std::uint64_t number, const grpc::Status& status) {
    const auto call = calls_.find(number);
    PH_ASSERT(call != calls_.end());
    auto& from = *peers_.at(call->second->address);  // stays while it has calls
    from.calls -= 1;
    from.bytes -= call->second->bytes;
    from.problem = status.ok() ? "" : problem_of(status);
    ++(status.ok() ? counters_.sent : counters_.failed);
    calls_.erase(call);
    if (stopping_ && calls_.empty()) std::exchange(stopped_, {})();
}

std::vector<PeerProblem> PeerClient::problems() const {
    std::vector<PeerProblem> problems;
    for (const auto& [address, peer] : peers_) {
        if (!peer->problem.empty()) problems.push_back({address, peer->problem});
    }
    return problems;
}

void PeerClient::stop(UniqueFunction<void()> done) {
    PH_ASSERT(!stopping_);
    stopping_ = true;
    if (calls_.empty()) return home_.post(std::move(done));
    stopped_ = std::move(done);
    for (const auto& [number, call] : calls_) call->context.TryCancel();
}

}  // namespace posthorse::replication
