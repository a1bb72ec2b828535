#include "tests/sim/control/network.h"

namespace posthorse::sim::control {

void Network::attach(const std::string& address, std::size_t machine, Receive receive) {
    ends_[address] = {machine, std::move(receive)};
}

void Network::cut(std::size_t from, std::size_t to) {
    if (cuts_.insert({from, to}).second) journal_.counts.cuts += 1;
}

void Network::send(std::size_t from, Outgoing message) {
    journal_.counts.messages += 1;
    if (sees) sees(from, message);
    if (swallows && swallows(from, message)) return;
    const auto shared = std::make_shared<Outgoing>(std::move(message));
    if (world_.below(1000) < quality.twice) carry(from, shared);
    carry(from, shared);
}

void Network::carry(std::size_t from, std::shared_ptr<Outgoing> message) {
    if (world_.below(1000) < quality.lost) return;
    auto delay = world_.between(quality.least, quality.most);
    if (world_.below(1000) < quality.late) delay += world_.between(Duration{0}, quality.latest);
    world_.after(delay, [this, from, message = std::move(message)] {
        const auto end = ends_.find(message->address);
        if (end == ends_.end() || !connected(from, end->second.machine)) return;
        end->second.receive(*message);
    });
}

}  // namespace posthorse::sim::control
