// etcd, and the ways to it: delay, lost answers, links that are cut, restarts, restored backups.
//
// Contract  Whoever asks gets an answer, or after its patience none: what was on its way then may
//           still be carried out, as long as the same etcd runs. A watch hears of every revision in
//           order, or ends: with the link, the etcd, or compaction.
// Owner     One Simulation.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "replication/core/etcd_port.h"
#include "tests/sim/control/journal.h"
#include "tests/sim/world.h"
#include "tests/support/memory_etcd.h"

namespace posthorse::sim::etcd {

using replication::EtcdAnswer;
using replication::EtcdChanges;
using replication::EtcdPool;
using replication::EtcdSnapshot;
using replication::EtcdTransaction;
using replication::Revision;
using tests::MemoryEtcd;

class Server {
public:
    struct Quality {
        Duration most = std::chrono::milliseconds{8};  // of one way
        std::uint32_t lost = 0;                        // of a thousand: requests
        std::uint32_t unanswered = 0;                  // of a thousand: they are carried out
        std::uint32_t late = 0;                        // of a thousand: after the patience
    };

    Server(World& world, control::Journal& journal) : world_(world), journal_(journal) {}

    std::size_t add_link();
    void cut(std::size_t link) { cut_[link] = true; }
    void mend(std::size_t link) { cut_[link] = false; }
    void mend_all() { cut_.assign(cut_.size(), false); }
    bool reaches(std::size_t link) const { return up_ && !cut_[link]; }

    void stop();
    void begin();
    bool up() const { return up_; }
    std::uint64_t life() const { return life_; }
    void compact() { etcd_.compact(); }
    MemoryEtcd::Held backup() const { return etcd_.held(); }
    void restore(MemoryEtcd::Held held);
    const MemoryEtcd& etcd() const { return etcd_; }

    // --- for a process; called back at once or later, or never when its machine is off
    void read(std::size_t link, std::function<void(std::optional<EtcdSnapshot>)> done);
    void ask(std::size_t link, EtcdTransaction transaction, std::function<void(EtcdAnswer)> done);
    std::optional<std::vector<EtcdChanges>> since(Revision from) const { return etcd_.since(from); }

    Quality quality;
    std::function<void()> changed;                      // a revision more, or another life
    std::function<void(const EtcdPool&)> pool_is;       // another value is carried out
    std::function<bool(const EtcdTransaction&)> holds;  // never leaves the machine's edge

private:
    Duration way() { return world_.between(std::chrono::milliseconds{1}, quality.most); }
    bool by_thousand(std::uint32_t chance) { return world_.below(1000) < chance; }
    EtcdAnswer carry_out(const EtcdTransaction& transaction);

    World& world_;
    control::Journal& journal_;
    MemoryEtcd etcd_;
    std::vector<bool> cut_;
    bool up_ = true;
    std::uint64_t life_ = 0;
};

}  // namespace posthorse::sim::etcd
