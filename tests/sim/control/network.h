// The network between machines: delay, loss, repetition, wrong order, and links that are cut.
//
// Contract  A link has a direction. A message that is on its way when its link is cut is lost.
// Owner     One Simulation.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>

#include "replication/core/control_message.h"
#include "tests/sim/control/journal.h"
#include "tests/sim/world.h"

namespace posthorse::sim::control {

using replication::Outgoing;

class Network {
public:
    struct Quality {
        Duration least = std::chrono::milliseconds{1};
        Duration most = std::chrono::milliseconds{8};
        std::uint32_t lost = 0;   // of a thousand
        std::uint32_t twice = 0;  // of a thousand
        std::uint32_t late = 0;   // of a thousand: up to `latest`
        Duration latest = std::chrono::milliseconds{2000};
    };
    using Receive = UniqueFunction<void(const Outgoing&)>;

    Network(World& world, Journal& journal) : world_(world), journal_(journal) {}

    // Whoever has the address now.
    void attach(const std::string& address, std::size_t machine, Receive receive);
    void send(std::size_t from, Outgoing message);

    void cut(std::size_t from, std::size_t to);
    void mend(std::size_t from, std::size_t to) { cuts_.erase({from, to}); }
    void mend_all() { cuts_.clear(); }
    bool connected(std::size_t from, std::size_t to) const { return !cuts_.contains({from, to}); }

    Quality quality;
    // Messages for which it says true are lost: what a scenario aims at.
    UniqueFunction<bool(std::size_t from, const Outgoing&)> swallows;
    // Sees every message that is sent.
    UniqueFunction<void(std::size_t from, const Outgoing&)> sees;

private:
    struct End {
        std::size_t machine = 0;
        Receive receive;
    };
    void carry(std::size_t from, std::shared_ptr<Outgoing> message);

    World& world_;
    Journal& journal_;
    std::map<std::string, End> ends_;
    std::set<std::pair<std::size_t, std::size_t>> cuts_;
};

}  // namespace posthorse::sim::control
