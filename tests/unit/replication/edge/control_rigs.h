// The rigs of control_conformance.h: one for each control plane.
#pragma once

#include <deque>
#include <set>

#include "proto/types/executor.h"
#include "replication/core/control_message.h"
#include "tests/unit/replication/edge/control_conformance.h"
#include "tests/unit/replication/edge/etcd_process.h"
#include "tests/unit/replication/edge/tcp_relay.h"

namespace posthorse::replication {
class EtcdControl;
}

namespace posthorse::tests {

// What is posted for a node that is frozen waits for it.
class NodeHome final : public Executor {
public:
    NodeHome(Executor& all, const bool& frozen) : all_(all), frozen_(frozen) {}
    void post(UniqueFunction<void()> work) override;
    void thawed();

private:
    Executor& all_;
    const bool& frozen_;
    std::deque<UniqueFunction<void()>> frozen_work_;
};

// Nodes that agree among themselves: messages pass in process, and time is the test's.
class EmbeddedRig final : public ControlRig {
public:
    EmbeddedRig();
    ~EmbeddedRig() override;
    void cut_off(int number) override { cut_.insert(number); }
    void let_through(int number) override { cut_.erase(number); }
    BootTime now() const override { return clock_.boot(); }

private:
    class HandClock final : public Clock {
    public:
        WallTime wall() const override { return WallTime{now.time_since_epoch()}; }
        BootTime boot() const override { return now; }
        BootTime now{std::chrono::hours{1}};
    };
    std::unique_ptr<replication::MembershipControl> open(int number, Node& node) override;
    void close(int number, Node& node) override;
    void step() override;
    bool patience_ends(BootTime since) const override;
    void deliver(int from, replication::Outgoing message);

    HandClock clock_;
    PatientHome home_;
    std::map<int, std::unique_ptr<NodeHome>> homes_;
    std::set<int> cut_;
};

// Nodes that agree through a real etcd, each by a way of its own; time is the machine's.
class EtcdRig final : public ControlRig {
public:
    EtcdRig();
    ~EtcdRig() override;
    void cut_off(int number) override {
        for (auto& way : ways(number)) way->cut();
    }
    void let_through(int number) override {
        for (auto& way : ways(number)) way->let_through();
    }
    BootTime now() const override { return clock_.boot(); }
    EtcdProcess& etcd() { return *etcd_.front(); }

private:
    class MachineClock final : public Clock {
    public:
        WallTime wall() const override;
        BootTime boot() const override { return steady_time(); }
    };
    std::unique_ptr<replication::MembershipControl> open(int number, Node& node) override;
    void close(int number, Node& node) override;
    void step() override;
    bool patience_ends(BootTime since) const override;
    // A node's ways to etcd: one to each of its members.
    using Ways = std::vector<std::unique_ptr<TcpRelay>>;
    Ways& ways(int number);

    MachineClock clock_;
    std::vector<std::unique_ptr<EtcdProcess>> etcd_;
    PatientHome home_;
    std::map<int, std::unique_ptr<NodeHome>> homes_;
    std::map<int, Ways> ways_;
    BootTime ticked_{};
};

}  // namespace posthorse::tests
