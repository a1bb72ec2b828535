#include "tests/sim/pool/streams.h"

#include <algorithm>

namespace posthorse::sim::pool {
namespace {

using namespace std::chrono_literals;

constexpr Duration look_again = 50ms;  // at a direction that is cut
constexpr Duration watch_every = 500ms;

}  // namespace

// ------------------------------------------------------------------ the network

// Both ends run, and each hears the other.
bool StreamNetwork::hears(const Stream& stream) const {
    return stream.caller != nullptr && stream.holder != nullptr &&
           !stream.caller->process_.paused() && !stream.holder->process_.paused() &&
           network_.connected(stream.caller_machine, stream.holder_machine) &&
           network_.connected(stream.holder_machine, stream.caller_machine);
}

void StreamNetwork::send(const StreamRef& stream, bool answers, Frame frame) {
    auto& lane = answers ? stream->back : stream->out;
    const auto bytes = replication::size_of(frame) * weight;
    lane.waiting.emplace_back(std::move(frame), bytes);
    lane.waiting_bytes += bytes;
    take(stream, answers);
}

// As much as the window lets go.
void StreamNetwork::take(const StreamRef& stream, bool answers) {
    if (stream->broken) return;
    auto& lane = answers ? stream->back : stream->out;
    const auto before = lane.waiting_bytes;
    while (!lane.waiting.empty() && lane.flying_bytes < window_bytes) {
        auto [frame, bytes] = std::move(lane.waiting.front());
        lane.waiting.pop_front();
        lane.waiting_bytes -= bytes;
        lane.flying_bytes += bytes;
        auto at = world_.boot() + world_.between(Duration{1}, delay_most);
        if (!lane.flying.empty()) at = std::max(at, lane.flying.back().first);
        lane.flying.emplace_back(at, std::move(frame));
    }
    if (!lane.flying.empty() && !std::exchange(lane.moving, true))
        world_.at(lane.flying.front().first, [this, stream, answers] { move(stream, answers); });
    constexpr auto low = replication::backlog_low_bytes;
    auto* sender = answers ? stream->holder : stream->caller;
    if (before >= low && lane.waiting_bytes < low && sender != nullptr)
        sender->drained(stream, answers);
}

void StreamNetwork::move(const StreamRef& stream, bool answers) {
    if (stream->broken) return;
    auto& lane = answers ? stream->back : stream->out;
    lane.moving = false;
    const auto from = answers ? stream->holder_machine : stream->caller_machine;
    const auto to = answers ? stream->caller_machine : stream->holder_machine;
    const bool connected = network_.connected(from, to);
    while (connected && !lane.flying.empty() && lane.flying.front().first <= world_.boot()) {
        auto frame = std::move(lane.flying.front().second);
        lane.flying.pop_front();
        arrived_[frame.index()] += 1;
        if (witness) witness(from, to, frame);
        auto* receiver = answers ? stream->caller : stream->holder;
        if (receiver != nullptr) receiver->arrived(stream, answers, std::move(frame));
    }
    if (lane.flying.empty() || std::exchange(lane.moving, true)) return;
    const auto next = connected ? lane.flying.front().first : world_.boot() + look_again;
    world_.at(next, [this, stream, answers] { move(stream, answers); });
}

void StreamNetwork::read_on(const StreamRef& stream, bool answers, std::size_t bytes) {
    auto& lane = answers ? stream->back : stream->out;
    lane.flying_bytes -= std::min(lane.flying_bytes, bytes * weight);
    take(stream, answers);
}

void StreamNetwork::watch(const StreamRef& stream) {
    world_.after(watch_every, [this, stream] {
        if (stream->broken) return;
        if (hears(*stream)) {
            stream->silent_since.reset();
        } else {
            if (!stream->silent_since) stream->silent_since = world_.boot();
            if (world_.boot() - *stream->silent_since >= stream->silence_max) break_off(stream);
        }
        watch(stream);
    });
}

// What is on the way is lost. Each end learns of it in its time.
void StreamNetwork::break_off(const StreamRef& stream) {
    stream->broken = true;
    const bool first_the_caller = world_.chance(50);
    const auto close = [stream](bool caller) {
        if (caller && stream->caller != nullptr) stream->caller->close_caller(stream);
        if (!caller && stream->holder != nullptr) stream->holder->close_holder(stream);
    };
    world_.after(Duration{}, [=] { close(first_the_caller); });
    const auto later =
        hears(*stream) || world_.chance(50) ? world_.between(1ms, 20ms) : world_.between(1ms, 3s);
    world_.after(later, [=] { close(!first_the_caller); });
}

// ------------------------------------------------------------------ an end

SimStreams::SimStreams(StreamNetwork& network, Process& process, Setup setup)
    : network_(network), process_(process), setup_(std::move(setup)) {
    network_.ends_[setup_.address] = this;
}

// The kernel says so to those who hear it, unless the power failed.
SimStreams::~SimStreams() {
    const auto at = network_.ends_.find(setup_.address);
    if (at != network_.ends_.end() && at->second == this) network_.ends_.erase(at);
    const auto end = [this](const StreamRef& stream, std::size_t other) {
        const bool told = !silent_ && network_.network_.connected(setup_.machine, other);
        if (told) network_.break_off(stream);
    };
    for (auto& [node, kept] : kept_) {
        if (!kept.stream) continue;
        kept.stream->caller = nullptr;
        end(kept.stream, kept.stream->holder_machine);
    }
    for (auto& [link, stream] : came_) {
        stream->holder = nullptr;
        end(stream, stream->caller_machine);
    }
}

void SimStreams::keep(NodeId node, const std::string& address) {
    leave(node);
    kept_[node].address = address;
    connect_after(node, network_.world_.between(1ms, 30ms));
}

void SimStreams::leave(NodeId node) {
    const auto kept = kept_.extract(node);
    if (kept.empty() || !kept.mapped().stream) return;
    kept.mapped().stream->caller = nullptr;
    network_.break_off(kept.mapped().stream);
}

void SimStreams::connect_after(NodeId node, Duration delay) {
    const auto attempt = ++attempts_;
    kept_[node].attempt = attempt;
    process_.after(delay, [this, node, attempt] {
        const auto kept = kept_.find(node);
        if (kept != kept_.end() && kept->second.attempt == attempt)
            connect(node, kept->second.address);
    });
}

void SimStreams::connect(NodeId node, const std::string& address) {
    const auto again = network_.world_.between(50ms, 400ms);
    const auto end = network_.ends_.find(address);
    if (end == network_.ends_.end()) return connect_after(node, again);
    auto& holder = *end->second;
    const auto header = setup_.header(node);
    auto stream = std::make_shared<Stream>();
    stream->link = LinkId{++network_.last_link_};
    stream->caller = this;
    stream->holder = &holder;
    stream->caller_machine = setup_.machine;
    stream->holder_machine = holder.setup_.machine;
    stream->from = {header.from, header.incarnation};
    stream->to = node;
    stream->silence_max = network_.world_.between(2s, 5s);
    if (!network_.hears(*stream) || !holder.setup_.accepts(header) ||
        !setup_.accepts(holder.setup_.header(header.from)))
        return connect_after(node, again);
    kept_[node].stream = stream;
    holder.come(stream);
    network_.watch(stream);
    receiver_->up(node);
}

// An earlier stream of the same node ends, a little later than the new one begins.
void SimStreams::come(const StreamRef& stream) {
    for (const auto& [link, earlier] : came_) {
        if (earlier->from.node == stream->from.node && !earlier->broken)
            network_.break_off(earlier);
    }
    came_[stream->link] = stream;
}

void SimStreams::close_caller(const StreamRef& stream) {
    process_.run([this, stream] {
        stream->caller = nullptr;
        const auto kept = kept_.find(stream->to);
        if (kept == kept_.end() || kept->second.stream != stream) return;
        kept->second.stream.reset();
        connect_after(stream->to, network_.world_.between(50ms, 400ms));
        receiver_->down(stream->to);
    });
}

void SimStreams::close_holder(const StreamRef& stream) {
    process_.run([this, stream] {
        stream->holder = nullptr;
        if (came_.erase(stream->link) > 0) receiver_->ended(stream->link);
    });
}

void SimStreams::arrived(const StreamRef& stream, bool answers, Frame frame) {
    process_.run([this, stream, answers, frame = std::move(frame)]() mutable {
        if (!answers) {
            if (stream->holder == this)
                receiver_->came(stream->link, stream->from, std::move(frame));
            return;
        }
        if (stream->caller != this) return;
        const auto bytes = replication::size_of(frame);
        receiver_->answered(stream->to, std::move(frame));
        network_.read_on(stream, true, bytes);
    });
}

void SimStreams::drained(const StreamRef& stream, bool answers) {
    process_.after(Duration{}, [this, stream, answers] {
        if (answers && stream->holder == this) receiver_->drained(stream->link);
        if (!answers && stream->caller == this) receiver_->drained(stream->to);
    });
}

void SimStreams::send(NodeId node, Frame frame) {
    const auto kept = kept_.find(node);
    if (kept != kept_.end() && kept->second.stream)
        network_.send(kept->second.stream, false, std::move(frame));
}

void SimStreams::answer(LinkId link, Frame frame) {
    const auto stream = came_.find(link);
    if (stream != came_.end()) network_.send(stream->second, true, std::move(frame));
}

std::size_t SimStreams::backlog(NodeId node) const {
    const auto kept = kept_.find(node);
    if (kept == kept_.end() || !kept->second.stream) return 0;
    return kept->second.stream->out.waiting_bytes;
}

std::size_t SimStreams::backlog(LinkId link) const {
    const auto stream = came_.find(link);
    return stream == came_.end() ? 0 : stream->second->back.waiting_bytes;
}

void SimStreams::read_on(LinkId link, std::size_t bytes) {
    const auto stream = came_.find(link);
    if (stream != came_.end()) network_.read_on(stream->second, false, bytes);
}

}  // namespace posthorse::sim::pool
