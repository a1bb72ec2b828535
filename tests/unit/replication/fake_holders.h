// Streams to holders that the test plays: they say at once where they stand, keep what comes, and
// acknowledge it when the test says so.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "proto/types/executor.h"
#include "replication/peer_streams.h"

namespace posthorse::tests {

class FakeHolders final : public replication::PeerStreams {
public:
    std::map<NodeId, std::vector<storage::Operation>> received;
    std::map<NodeId, std::vector<replication::Frame>> frames;  // all that came, in order
    bool stand = true;                                         // they answer Open

    explicit FakeHolders(Executor& home) : home_(home) {}

    void receive(Receiver& receiver) override { receiver_ = &receiver; }
    void keep(NodeId node, const std::string&) override {
        later([this, node] { receiver_->up(node); });
    }
    void leave(NodeId) override {}
    void send(NodeId node, replication::Frame frame) override {
        if (const auto* open = std::get_if<replication::Open>(&frame)) {
            opened_[node] = open->slice;
            if (stand) later([this, node] { say_standing(node); });
        } else if (const auto* operate = std::get_if<replication::Operate>(&frame)) {
            received[node].push_back(operate->operation);
            at_[node] = {operate->operation.stamp.epoch, operate->operation.stamp.sequence};
        }
        frames[node].push_back(std::move(frame));
    }
    void answer(replication::LinkId, replication::Frame) override {}
    std::size_t backlog(NodeId) const override { return 0; }
    std::size_t backlog(replication::LinkId) const override { return 0; }
    void read_on(replication::LinkId, std::size_t) override {}

    // `holder` has everything that was sent to it.
    void acknowledge_all(NodeId holder) {
        const auto last = at_[holder].last;
        say(holder, replication::Ack{opened_.at(holder), last, last});
    }
    // In its log, not yet on its disk.
    void acknowledge_received(NodeId holder) {
        say(holder, replication::Ack{opened_.at(holder), at_[holder].last, Sequence{0}});
    }
    void say_standing(NodeId holder) {
        say(holder, replication::Standing{opened_.at(holder), at_[holder]});
    }
    void say(NodeId holder, replication::Frame frame) {
        receiver_->answered(holder, std::move(frame));
    }
    // The stream to it has ended, or is there again.
    void go(NodeId holder) { receiver_->down(holder); }
    void come(NodeId holder) { receiver_->up(holder); }
    // The process that they spoke with has ended.
    void forget_owner() {
        receiver_ = nullptr;
        life_ += 1;
    }

private:
    template <class Call>
    void later(Call call) {
        home_.post([this, life = life_, call = std::move(call)] {
            if (life == life_) call();
        });
    }

    Executor& home_;
    Receiver* receiver_ = nullptr;
    int life_ = 0;
    std::map<NodeId, replication::Slice> opened_;
    std::map<NodeId, storage::Position> at_;
};

}  // namespace posthorse::tests
