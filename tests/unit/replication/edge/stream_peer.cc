#include "tests/unit/replication/edge/stream_peer.h"

#include <algorithm>

#include "tests/unit/replication/edge/samples.h"

namespace posthorse::tests {

using namespace replication;

namespace {

std::string name_of(std::uint8_t number) {
    return "n" + std::to_string(number);
}

}  // namespace

StreamPeer::StreamPeer(HomeThread& home, const TestAuthority& authority, const Options& options)
    : network(home,
              authority,
              {.name = name_of(options.number),
               .certificates = options.certificates,
               .port = options.port,
               .identity = {.judge = [this](const Header& header) { return judged(header); },
                            .header = [this](NodeId to) { return header_to(to); }}}),
      options_(options) {
    streams().receive(*this);
}

NodeId StreamPeer::id() const {
    return node(options_.number);
}

Refusal StreamPeer::judged(const Header& header) const {
    if (header.pool_id != options_.pool_id) return Refusal::other_pool;
    if (header.to != id()) return Refusal::wrong_node;
    return judge(header);
}

Header StreamPeer::header_to(NodeId to) const {
    const auto& claimed = options_.claimed_name;
    return {.pool_id = options_.pool_id,
            .pool_incarnation = 1,
            .from = id(),
            .incarnation = {options_.start, options_.start + 100},
            .name = claimed.empty() ? name_of(options_.number) : claimed,
            .address = network.address(),
            .to = to};
}

std::string StreamPeer::problem() const {
    const auto problems = network.get().stream_problems();
    return problems.empty() ? "" : problems.front().what;
}

void StreamPeer::up(NodeId) {
    ++ups;
    if (on_up) on_up();
}

void StreamPeer::down(NodeId) {
    ++downs;
}

void StreamPeer::answered(NodeId, Frame frame) {
    answers_bytes += size_of(frame);
    if (on_answered) on_answered(frame);
    if (remembers) answers.push_back(std::move(frame));
}

void StreamPeer::drained(NodeId) {
    ++drains;
}

void StreamPeer::came(LinkId on, const PeerStreams::Peer& peer, Frame frame) {
    link = on;
    from = peer;
    const auto bytes = size_of(frame);
    frames_bytes += bytes;
    unread_bytes += bytes;
    unread_bytes_most = std::max(unread_bytes_most, unread_bytes);
    if (on_came) on_came(link, frame);
    if (remembers) frames.push_back(std::move(frame));
    if (!works_off) return;
    unread_bytes -= bytes;
    streams().read_on(link, bytes);
}

void StreamPeer::ended(LinkId on) {
    ends.push_back(on);
}

void StreamPeer::drained(LinkId) {
    ++drains;
}

}  // namespace posthorse::tests
