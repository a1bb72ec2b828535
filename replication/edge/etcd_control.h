// The control plane of a pool that agrees through etcd: core/etcd_core.h with a disk, a clock and
// etcd.
//
// Place     replication/membership_control.h for every node whose configuration names etcd. Built
//           of control_driver.h and etcd_client.h.
// Contract  control_driver.h; nothing is asked of etcd before the watcher has stopped what this
//           node does not own any more. What peers say to each other about the pool elsewhere is
//           refused as not_ready: their messages are of another control plane. A call waits for
//           at most a fifth of a lease's TTL, though not less than half a second: another endpoint
//           is found before the lease is lost.
// Owner     node.cc. Every call on home. Outlives nothing that it was given. The destructor
//           requires that stop() has completed.
// Errors    open(): the record is not readable, which is never replaced by a fresh one; an endpoint
//           or a file of TLS that is not good.
#pragma once

#include "replication/core/etcd_core.h"
#include "replication/edge/control_driver.h"
#include "replication/edge/etcd_client.h"

namespace posthorse::replication {

class EtcdControl final : public ControlDriver<EtcdCore> {
public:
    // `directory` is made when it is not there, mode 0700.
    static Result<std::unique_ptr<EtcdControl>> open(std::string directory,
                                                     EtcdCore::Settings settings,
                                                     EtcdClient::Settings etcd,
                                                     ControlPorts ports);
    // Where another control plane ended.
    static Result<std::unique_ptr<EtcdControl>> go_on(std::string directory,
                                                      Passed passed,
                                                      EtcdCore::Settings settings,
                                                      EtcdClient::Settings etcd,
                                                      ControlPorts ports);

    // A pool on etcd has no voters: whoever is silent is evicted.
    bool unevictable() const override { return false; }
    void tick() override;
    void receive(const Header& header,
                 const Message& message,
                 UniqueFunction<void(Refusal)> verdict) override;
    Refusal judge(const Header& header) const override;

    // The files of TLS as they are now.
    Result<void> reload() { return client_->reload(); }
    EtcdFigures etcd() const { return client_->figures(); }
    // Nothing is asked of etcd any more, and nobody owns anything here. `done` runs on home.
    void stop(UniqueFunction<void()> done) override;

private:
    EtcdControl(std::string directory,
                ControlRecord record,
                EtcdCore::Settings settings,
                std::unique_ptr<EtcdClient> client,
                ControlPorts ports);
    void say(EtcdEffects& effects) override;
    void read_all();
    void watch_from(Revision revision);
    void transact(const EtcdEffects::Request& request);

    const std::unique_ptr<EtcdClient> client_;
};

}  // namespace posthorse::replication
