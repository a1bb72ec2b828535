// A node at the end of streams: it judges who comes as it is told, and remembers what it hears.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "replication/edge/peer_limits.h"
#include "replication/peer_streams.h"
#include "tests/unit/replication/edge/peer_fixture.h"

namespace posthorse::tests {

class StreamPeer final : public replication::PeerStreams::Receiver {
public:
    struct Options {
        std::uint8_t number = 1;  // of the node; its name is "n1"
        std::uint64_t start = 1;  // of its incarnation
        std::uint16_t port = 0;
        replication::PeerCertificates certificates = replication::PeerCertificates::pool;
        std::string pool_id = "pool";
        std::string claimed_name = {};  // instead of its own
    };
    StreamPeer(HomeThread& home, const TestAuthority& authority, const Options& options);
    ~StreamPeer() override { network.stop(); }
    StreamPeer(const StreamPeer&) = delete;
    StreamPeer& operator=(const StreamPeer&) = delete;

    NodeId id() const;
    replication::PeerStreams& streams() { return network->streams(); }
    void keep(const StreamPeer& to) { streams().keep(to.id(), to.network.address()); }
    void send(const StreamPeer& to, replication::Frame frame) {
        streams().send(to.id(), std::move(frame));
    }
    std::string problem() const;  // of its stream that is not up; empty: there is none

    // --- Receiver
    void up(NodeId node) override;
    void down(NodeId node) override;
    void answered(NodeId node, replication::Frame frame) override;
    void drained(NodeId node) override;
    void came(replication::LinkId link,
              const replication::PeerStreams::Peer& from,
              replication::Frame frame) override;
    void ended(replication::LinkId link) override;
    void drained(replication::LinkId link) override;

    // What it says of a header beside what every node does: set by tests.
    std::function<replication::Refusal(const replication::Header&)> judge =
        [](const replication::Header&) { return replication::Refusal::none; };
    // What it does with what it hears, beside to remember it.
    std::function<void(replication::LinkId, const replication::Frame&)> on_came;
    std::function<void(const replication::Frame&)> on_answered;
    std::function<void()> on_up;

    bool works_off = true;  // it reads on at once
    bool remembers = true;  // frames; it counts them only otherwise

    int ups = 0;
    int downs = 0;
    int drains = 0;
    std::vector<replication::Frame> answers;
    std::size_t answers_bytes = 0;
    std::vector<replication::Frame> frames;
    std::size_t frames_bytes = 0;
    std::size_t unread_bytes = 0;
    std::size_t unread_bytes_most = 0;
    replication::LinkId link;  // of the newest frame
    replication::PeerStreams::Peer from;
    std::vector<replication::LinkId> ends;
    TestPeer network;

private:
    replication::Refusal judged(const replication::Header& header) const;
    replication::Header header_to(NodeId to) const;

    const Options options_;
};

}  // namespace posthorse::tests
