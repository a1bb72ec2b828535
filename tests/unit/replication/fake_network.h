// A network between the nodes of a test, in one process and on one executor: ordered, lossless
// while a stream lasts, and as slow or broken as the test says.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "proto/types/executor.h"
#include "replication/peer_streams.h"

namespace posthorse::tests {

class FakeNetwork {
public:
    using Frame = replication::Frame;
    using LinkId = replication::LinkId;
    using Peer = replication::PeerStreams::Peer;
    struct Sent {
        NodeId from;
        NodeId to;
        Frame frame;
    };

    // What a receiver lets lie until it has worked off some.
    std::size_t window_bytes = 64 * 1024;
    std::vector<Sent> sent;  // all that was ever given to a stream that was up
    // Told of each frame before it is on its way.
    std::function<void(const Sent&)> on_sent;

    explicit FakeNetwork(Executor& home) : home_(home) {}

    // One start of a node: the streams that it keeps, and those that come to it.
    class Endpoint final : public replication::PeerStreams {
    public:
        Endpoint(FakeNetwork& network, Peer self) : network_(network), self_(self) {
            network_.nodes_[self_.node] = this;
        }
        ~Endpoint() override { network_.lose(self_.node); }
        Endpoint(const Endpoint&) = delete;
        Endpoint& operator=(const Endpoint&) = delete;

        void receive(Receiver& receiver) override { receiver_ = &receiver; }
        void keep(NodeId node, const std::string&) override {
            kept_.insert(node);
            network_.later(
                [&network = network_, self = self_.node, node] { network.connect(self, node); });
        }
        void leave(NodeId node) override {
            kept_.erase(node);
            network_.end(self_.node, node);
        }
        void send(NodeId node, Frame frame) override {
            network_.send(self_.node, node, std::move(frame));
        }
        void answer(LinkId link, Frame frame) override { network_.answer(link, std::move(frame)); }
        std::size_t backlog(NodeId node) const override {
            const auto* stream = network_.find(self_.node, node);
            return stream == nullptr ? 0 : stream->out.bytes;
        }
        std::size_t backlog(LinkId link) const override {
            const auto* stream = network_.find(link);
            return stream == nullptr ? 0 : stream->back.bytes;
        }
        void read_on(LinkId link, std::size_t bytes) override { network_.read_on(link, bytes); }

    private:
        friend class FakeNetwork;
        FakeNetwork& network_;
        const Peer self_;
        Receiver* receiver_ = nullptr;
        std::set<NodeId> kept_;
    };

    // --- trouble
    // No stream between the two, in either direction, until mend().
    void cut(NodeId one, NodeId other) {
        cut_.insert(std::minmax(one, other));
        end(one, other);
        end(other, one);
    }
    void mend(NodeId one, NodeId other) {
        cut_.erase(std::minmax(one, other));
        meet(one, other);
    }
    // Both try again.
    void meet(NodeId one, NodeId other) {
        later([this, one, other] {
            connect(one, other);
            connect(other, one);
        });
    }
    // The stream that `from` keeps ends, with all that was on it, and begins anew.
    void break_stream(NodeId from, NodeId to) {
        end(from, to);
        later([this, from, to] { connect(from, to); });
    }
    // What one sends to the other, as an owner or as a holder, waits.
    void hold(NodeId from, NodeId to) { held_.insert({from, to}); }
    void let_go(NodeId from, NodeId to) {
        held_.erase({from, to});
        for (auto& stream : streams_) schedule(stream->link);
    }

    template <class One>
    std::size_t count(NodeId from, NodeId to) const {
        return static_cast<std::size_t>(
            std::count_if(sent.begin(), sent.end(), [&](const Sent& one) {
                return one.from == from && one.to == to && std::holds_alternative<One>(one.frame);
            }));
    }
    bool has_stream(NodeId from, NodeId to) const { return find(from, to) != nullptr; }

private:
    struct Pipe {
        std::deque<Frame> frames;
        std::size_t bytes = 0;
        bool was_high = false;
    };
    struct Stream {
        NodeId owner;
        NodeId holder;
        LinkId link;
        bool up = false;
        Pipe out;
        Pipe back;
        std::size_t unread = 0;
        bool scheduled = false;
    };

    void later(UniqueFunction<void()> work) { home_.post(std::move(work)); }
    Endpoint* node(NodeId id) const {
        const auto found = nodes_.find(id);
        return found == nodes_.end() ? nullptr : found->second;
    }
    Stream* find(NodeId owner, NodeId holder) const {
        for (const auto& stream : streams_)
            if (stream->owner == owner && stream->holder == holder) return stream.get();
        return nullptr;
    }
    Stream* find(LinkId link) const {
        for (const auto& stream : streams_)
            if (stream->link == link) return stream.get();
        return nullptr;
    }

    void connect(NodeId owner, NodeId holder) {
        auto* from = node(owner);
        if (from == nullptr || node(holder) == nullptr || !from->kept_.contains(holder) ||
            cut_.contains(std::minmax(owner, holder)) || find(owner, holder) != nullptr)
            return;
        streams_.push_back(std::make_unique<Stream>(Stream{owner, holder, LinkId{++links_}}));
        later([this, link = LinkId{links_}] {
            auto* stream = find(link);
            if (stream == nullptr) return;
            stream->up = true;
            node(stream->owner)->receiver_->up(stream->holder);
        });
    }
    // Both ends hear of it, as far as they live.
    void end(NodeId owner, NodeId holder) {
        const auto* stream = find(owner, holder);
        if (stream == nullptr) return;
        const auto link = stream->link;
        const bool was_up = stream->up;
        std::erase_if(streams_, [&](const auto& one) { return one->link == link; });
        later([this, owner, holder, link, was_up] {
            const auto* from = node(owner);
            if (was_up && from != nullptr && from->kept_.contains(holder))
                from->receiver_->down(holder);
            const auto* to = node(holder);
            if (was_up && to != nullptr) to->receiver_->ended(link);
        });
    }
    // A process ended. Its peers try again, and find the next one when it is there.
    void lose(NodeId id) {
        nodes_.erase(id);
        for (const auto& [other, endpoint] : nodes_) {
            end(id, other);
            end(other, id);
        }
    }

    void send(NodeId owner, NodeId holder, Frame frame) {
        auto* stream = find(owner, holder);
        if (stream == nullptr || !stream->up) return;
        push(*stream, stream->out, {owner, holder, std::move(frame)});
    }
    void answer(LinkId link, Frame frame) {
        auto* stream = find(link);
        if (stream == nullptr) return;
        push(*stream, stream->back, {stream->holder, stream->owner, std::move(frame)});
    }
    void push(Stream& stream, Pipe& pipe, Sent one) {
        if (on_sent) on_sent(one);
        pipe.bytes += replication::size_of(one.frame);
        pipe.was_high = pipe.was_high || pipe.bytes >= replication::backlog_high_bytes;
        pipe.frames.push_back(one.frame);
        sent.push_back(std::move(one));
        schedule(stream.link);
    }
    void read_on(LinkId link, std::size_t bytes) {
        auto* stream = find(link);
        if (stream == nullptr) return;
        stream->unread -= std::min(bytes, stream->unread);
        schedule(link);
    }

    void schedule(LinkId link) {
        auto* stream = find(link);
        if (stream == nullptr || std::exchange(stream->scheduled, true)) return;
        later([this, link] { deliver(link); });
    }
    // One frame each way.
    void deliver(LinkId link) {
        auto* stream = find(link);
        if (stream == nullptr) return;
        stream->scheduled = false;
        const auto owner = stream->owner;
        const auto holder = stream->holder;
        bool moved = false;
        if (!stream->out.frames.empty() && !held_.contains({owner, holder}) &&
            stream->unread < window_bytes) {
            moved = true;
            auto frame = pop(stream->out);
            stream->unread += replication::size_of(frame);
            const bool drained = falls_low(stream->out);
            auto& from = *node(owner);
            const auto* to = node(holder);
            to->receiver_->came(link, from.self_, std::move(frame));
            if (drained) from.receiver_->drained(holder);
            stream = find(link);
            if (stream == nullptr) return;
        }
        if (!stream->back.frames.empty() && !held_.contains({holder, owner})) {
            moved = true;
            auto frame = pop(stream->back);
            const bool drained = falls_low(stream->back);
            node(owner)->receiver_->answered(holder, std::move(frame));
            if (drained && find(link) != nullptr) node(holder)->receiver_->drained(link);
        }
        if (moved) schedule(link);
    }
    static Frame pop(Pipe& pipe) {
        auto frame = std::move(pipe.frames.front());
        pipe.frames.pop_front();
        pipe.bytes -= replication::size_of(frame);
        return frame;
    }
    static bool falls_low(Pipe& pipe) {
        if (pipe.bytes >= replication::backlog_low_bytes) return false;
        return std::exchange(pipe.was_high, false);
    }

    Executor& home_;
    std::map<NodeId, Endpoint*> nodes_;
    std::vector<std::unique_ptr<Stream>> streams_;
    std::uint64_t links_ = 0;
    std::set<std::pair<NodeId, NodeId>> cut_;
    std::set<std::pair<NodeId, NodeId>> held_;
};

}  // namespace posthorse::tests
