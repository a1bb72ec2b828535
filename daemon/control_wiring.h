// The control plane of this node: the one that its pool is on, and the other when the pool moves.
//
// Place     Wiring, under pool_membership.h: joins MovableControl to the disk, to the DNS, to the
//           peers and to etcd.
// Contract  open() reads what the disk remembers and says in the log when the configuration differs
//           from it. Where etcd is, the node only knows with pool.etcd.endpoints.
// Owner     PoolMembership; every call on home. The references outlive it; the destructor requires
//           that control().stop() has completed.
// Errors    open(): names the file, endpoint or setting, and the mend.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "daemon/config/config.h"
#include "daemon/pool/discovery.h"
#include "daemon/runtime/shard.h"
#include "replication/edge/embedded_control.h"
#include "replication/edge/etcd_control.h"
#include "replication/edge/movable_control.h"
#include "replication/replicated_queue.h"
#include "storage/queue_store.h"
#include "storage/worker.h"

namespace posthorse {

class ControlWiring {
public:
    struct Ports {
        runtime::Shard& home;
        const Clock& clock;
        storage::QueueStore& store;
        std::function<void(replication::Outgoing)> send;  // to a peer; may be lost
        std::function<void()> must_end;  // this node cannot go on; what and why is logged already
    };
    ControlWiring(const config::Config& config, Ports ports);
    ~ControlWiring();

    Result<void> open(const std::string& directory);
    replication::MembershipControl& control() { return *control_; }
    const replication::MembershipControl& control() const { return *control_; }
    // The pool has disowned this node.
    bool is_stranger() const noexcept { return stranger_; }
    // The files of TLS to etcd, where they are in use.
    Result<void> reload();
    // Of the pool's etcd; all zero where it is not used.
    replication::EtcdFigures etcd() const;

private:
    using Made = replication::MovableControl::Made;

    replication::Facts facts() const;
    replication::PoolSettings pool_settings() const;
    replication::ControlCore::Settings embedded_settings() const;
    replication::EtcdCore::Settings etcd_settings() const;
    replication::EtcdClient::Settings etcd_client() const;
    replication::ControlPorts ports();
    replication::EmbeddedControl::Ports embedded_ports();
    replication::MovableControl::Makers makers(replication::PoolControl first);
    Made from_disk(replication::PoolControl control);
    Made go_on(replication::PoolControl control, replication::Passed passed);
    Made keep(Result<std::unique_ptr<replication::EtcdControl>> made);
    void look(replication::EmbeddedControl::Discovered found);
    void look_on_etcd(std::function<void(replication::Value)> found);

    const config::Config& config_;
    const Ports ports_;
    std::string directory_;
    storage::ThreadWorker disk_{"control-write"};
    std::unique_ptr<pool::Discovery> discovery_;
    std::unique_ptr<replication::MovableControl> control_;
    replication::EtcdControl* etcd_ = nullptr;  // while the pool is there
    std::string look_trouble_;                  // said once
    bool stranger_ = false;
};

}  // namespace posthorse
