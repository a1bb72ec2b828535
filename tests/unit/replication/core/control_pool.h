// A pool of control cores over a network and disks in memory: what embedded_control.h does around
// one, without waiting. tests/sim/control goes much further.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "replication/core/control_core.h"
#include "tests/unit/replication/core/test_pool.h"

namespace posthorse::tests {

struct ControlMachine {
    std::string address;
    replication::ControlRecord disk;
    std::unique_ptr<replication::ControlCore> core;  // null: off
    std::uint32_t expect = 0;
    int writes = 0;  // since it was started
    bool disk_hangs = false;
    // Before it writes this.
    std::function<bool(const replication::ControlRecord&)> hangs_at;
    bool left = false;
    std::string stranger;
    std::map<std::uint64_t, std::optional<Error>> answers;
};

class ControlPool {
public:
    static constexpr Duration ttl = std::chrono::seconds{10};

    BootTime now{std::chrono::hours{1}};
    std::map<int, ControlMachine> machines;
    // Is the way between two machines cut?
    std::function<bool(int from, int to)> cut = [](int, int) { return false; };

    // A new machine with an empty disk. expect 0: a pool of its own.
    ControlMachine& add(int number, std::uint32_t expect) {
        auto& machine = machines[number];
        machine.address = "n" + std::to_string(number) + ":1";
        machine.disk.self = test_node(static_cast<std::uint8_t>(number));
        machine.expect = expect;
        return machine;
    }
    void start(int number) {
        begin(number, [this](auto& core, auto& out) { core.start(now, out); });
    }
    // As a member of a pool that was agreed on elsewhere.
    void go_on(int number, const replication::Lease& lease) {
        begin(number, [&](auto& core, auto& out) { core.go_on(lease, now, out); });
    }
    template <class How>
    void begin(int number, How how) {
        auto& machine = machines.at(number);
        replication::ControlCore::Settings settings;
        settings.facts = {
            .name = "n" + std::to_string(number), .address = machine.address, .etcd = true};
        settings.alone = machine.expect == 0;
        settings.expect = machine.expect;
        settings.pool.lease_ttl = ttl;
        machine.writes = 0;
        machine.core = std::make_unique<replication::ControlCore>(machine.disk, settings, [this] {
            return random_ = random_ * 6364136223846793005u + 1;
        });
        replication::ControlEffects out;
        how(*machine.core, out);
        carry_out(number, std::move(out));
        settle();
    }
    void kill(int number) {
        machines.at(number).core.reset();
        std::erase_if(events_, [&](const Event& event) { return event.at == number; });
    }
    void restart(int number) {
        kill(number);
        start(number);
    }

    replication::ControlCore& core(int number) { return *machines.at(number).core; }
    void leave(int number) {
        replication::ControlEffects out;
        core(number).leave(now, out);
        carry_out(number, std::move(out));
        settle();
    }
    std::uint64_t propose(int number, replication::Change change) {
        replication::ControlEffects out;
        const auto request = core(number).propose(std::move(change), now, out);
        carry_out(number, std::move(out));
        settle();
        return request;
    }
    Result<void> begin_without(int number, const std::vector<int>& others) {
        replication::ControlEffects out;
        auto begun = core(number).begin_without(test_nodes(others), now, out);
        carry_out(number, std::move(out));
        settle();
        return begun;
    }

    void run(Duration time) {
        for (const auto end = now + time; now < end;) {
            now += std::chrono::milliseconds{50};
            for (auto& [number, machine] : machines) {
                if (!machine.core) continue;
                replication::ControlEffects out;
                machine.core->tick(now, out);
                carry_out(number, std::move(out));
            }
            settle();
            check_one_owner();
        }
    }
    // Until it holds, within `limit`.
    bool run_until(const std::function<bool()>& condition, Duration limit) {
        for (const auto end = now + limit; now < end; run(std::chrono::milliseconds{50}))
            if (condition()) return true;
        return condition();
    }

    bool acts(int number) {
        const auto& machine = machines.at(number);
        return machine.core && machine.core->running() && machine.core->lease_live(now, Duration{});
    }
    std::size_t owned(int number) {
        const auto& core_of = core(number);
        std::size_t count = 0;
        for (const auto& partition : core_of.acting().partitions)
            count += partition.owner == core_of.self() ? 1 : 0;
        return count;
    }
    int leader() {
        for (auto& [number, machine] : machines)
            if (machine.core && machine.core->leads()) return number;
        return 0;
    }

private:
    enum class Kind : std::uint8_t { message, written, probed };
    struct Event {
        int at;
        Kind kind;
        replication::Outgoing message;
        int from = 0;
    };

    int at_address(const std::string& address) const {
        for (const auto& [number, machine] : machines)
            if (machine.address == address) return number;
        return 0;
    }
    void carry_out(int number, replication::ControlEffects out) {
        auto& machine = machines.at(number);
        if (out.changed) machine.core->acted_on(machine.core->acting().version);
        if (out.write) {
            if (machine.hangs_at && machine.hangs_at(*out.write)) machine.disk_hangs = true;
            pending_[number] = *out.write;
            if (!machine.disk_hangs) events_.push_back({number, Kind::written, {}});
        }
        for (auto& one : out.sends) {
            const auto to = at_address(one.address);
            if (to != 0) events_.push_back({to, Kind::message, std::move(one), number});
        }
        if (out.look) {
            std::vector<std::string> addresses;
            for (const auto& [other, its] : machines) addresses.push_back(its.address);
            machine.core->found(addresses, true);
        }
        if (out.probe && !machine.disk_hangs) events_.push_back({number, Kind::probed, {}});
        for (auto& answer : out.answers) machine.answers[answer.request] = answer.error;
        machine.left = machine.left || out.left;
        if (!out.stranger.empty()) machine.stranger = out.stranger;
    }
    void settle() {
        while (!events_.empty()) {
            auto event = std::move(events_.front());
            events_.pop_front();
            auto& machine = machines.at(event.at);
            if (!machine.core) continue;
            replication::ControlEffects out;
            if (event.kind == Kind::written) {
                machine.disk = pending_.at(event.at);
                machine.writes += 1;
                machine.core->written(now, out);
            } else if (event.kind == Kind::probed) {
                machine.core->probed(now, out);
            } else if (!cut(event.from, event.at)) {
                machine.core->receive(event.message.header, event.message.message, now, out);
            }
            carry_out(event.at, std::move(out));
        }
    }
    // P3: whatever a test does, no two nodes may act on one partition.
    void check_one_owner() {
        std::map<std::pair<std::string, std::uint32_t>, int> owners;
        for (auto& [number, machine] : machines) {
            if (!acts(number)) continue;
            for (const auto& partition : machine.core->acting().partitions) {
                if (partition.owner != machine.core->self()) continue;
                auto& owner = owners[{machine.core->acting().pool_id, partition.id.value}];
                CHECK_MESSAGE(owner == 0, "partition ", partition.id.value, " is of ", owner,
                              " and of ", number);
                owner = number;
            }
        }
    }

    std::deque<Event> events_;
    std::map<int, replication::ControlRecord> pending_;
    std::uint64_t random_ = 1;
};

}  // namespace posthorse::tests
