// The streams of frames between simulated nodes, and what a network does to them.
//
// Contract  As replication/peer_streams.h. A stream is opened between two processes that hear each
//           other and accept each other's header. Frames of one direction keep their order, come
//           after a delay, and are lost together when the stream breaks. Each end learns of that by
//           itself: at once when the other's machine can still say so, else after a silence. What
//           has come to a paused process before waits there.
//           A direction carries `window` octets beyond what was read on; what is behind them is the
//           sender's backlog. `weight`: frames count for so many times their size, so that small
//           messages fill what is made for large ones.
// Owner     StreamNetwork: one Simulation. SimStreams: Node, for one start.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "replication/core/control_message.h"
#include "replication/peer_streams.h"
#include "tests/sim/control/network.h"
#include "tests/sim/pool/process.h"

namespace posthorse::sim::pool {

using replication::Frame;
using replication::LinkId;
using replication::PeerStreams;

class SimStreams;

class StreamNetwork {
public:
    StreamNetwork(World& world, const control::Network& network)
        : world_(world), network_(network) {}

    Duration delay_most{8};
    std::size_t window_bytes = 64 * 1024;
    std::size_t weight = 1;

    // Told of every frame that arrives.
    std::function<void(std::size_t from, std::size_t to, const Frame&)> witness;
    // Frames that arrived, by kind.
    const std::array<std::uint64_t, std::variant_size_v<Frame>>& arrived() const {
        return arrived_;
    }

private:
    friend class SimStreams;

    // One direction of a stream.
    struct Lane {
        std::deque<std::pair<Frame, std::size_t>> waiting;  // with what it counts for
        std::size_t waiting_bytes = 0;
        std::size_t flying_bytes = 0;  // sent, and not read on
        std::deque<std::pair<BootTime, Frame>> flying;
        bool moving = false;  // an event of its own is due
    };
    struct Stream {
        LinkId link;
        SimStreams* caller = nullptr;  // null: this end is closed
        SimStreams* holder = nullptr;  // who answers
        std::size_t caller_machine = 0;
        std::size_t holder_machine = 0;
        PeerStreams::Peer from;  // the caller
        NodeId to;
        Lane out;
        Lane back;
        bool broken = false;
        Duration silence_max{};
        std::optional<BootTime> silent_since;
    };
    using StreamRef = std::shared_ptr<Stream>;

    bool hears(const Stream& stream) const;
    void send(const StreamRef& stream, bool answers, Frame frame);
    void take(const StreamRef& stream, bool answers);
    void move(const StreamRef& stream, bool answers);
    void read_on(const StreamRef& stream, bool answers, std::size_t bytes);
    void watch(const StreamRef& stream);
    void break_off(const StreamRef& stream);

    World& world_;
    const control::Network& network_;
    std::map<std::string, SimStreams*> ends_;  // whoever listens at an address
    std::uint64_t last_link_ = 0;
    std::array<std::uint64_t, std::variant_size_v<Frame>> arrived_{};
};

class SimStreams final : public PeerStreams {
public:
    struct Setup {
        std::size_t machine = 0;
        std::string address;
        std::function<replication::Header(NodeId to)> header;
        std::function<bool(const replication::Header&)> accepts;
    };
    SimStreams(StreamNetwork& network, Process& process, Setup setup);
    ~SimStreams() override;
    // Before it goes: nobody is told, as when the power fails.
    void fall_silent() { silent_ = true; }

    void receive(Receiver& receiver) override { receiver_ = &receiver; }
    void keep(NodeId node, const std::string& address) override;
    void leave(NodeId node) override;
    void send(NodeId node, Frame frame) override;
    void answer(LinkId link, Frame frame) override;
    std::size_t backlog(NodeId node) const override;
    std::size_t backlog(LinkId link) const override;
    void read_on(LinkId link, std::size_t bytes) override;

private:
    friend class StreamNetwork;
    using Stream = StreamNetwork::Stream;
    using StreamRef = StreamNetwork::StreamRef;

    struct Kept {
        std::string address;
        StreamRef stream;  // null: not up
        std::uint64_t attempt = 0;
    };

    void connect_after(NodeId node, Duration delay);
    void connect(NodeId node, const std::string& address);
    void come(const StreamRef& stream);
    void close_caller(const StreamRef& stream);
    void close_holder(const StreamRef& stream);
    void arrived(const StreamRef& stream, bool answers, Frame frame);
    void drained(const StreamRef& stream, bool answers);

    StreamNetwork& network_;
    Process& process_;
    const Setup setup_;
    Receiver* receiver_ = nullptr;
    std::map<NodeId, Kept> kept_;
    std::map<LinkId, StreamRef> came_;
    std::uint64_t attempts_ = 0;
    bool silent_ = false;
};

}  // namespace posthorse::sim::pool
