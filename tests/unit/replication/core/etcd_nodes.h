// Nodes of a pool on an etcd in memory, with a clock that the test moves: for tests of EtcdCore.
//
// Contract  Every event is carried out at once, unless the test says what befalls a transaction.
//           A node that is cut off learns of it after `notices_after`.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "replication/core/etcd_core.h"
#include "tests/support/memory_etcd.h"
#include "tests/unit/replication/core/test_pool.h"

namespace posthorse::tests {

enum class Fate : std::uint8_t {
    carried_out,
    answer_lost,  // carried out, and the node hears that nobody knows
    lost,         // not carried out, and the node hears that nobody knows
    late,         // as lost, and carried out when the test says so
};

struct EtcdMachine {
    replication::ControlRecord disk;
    replication::ControlRecord writing;
    std::unique_ptr<replication::EtcdCore> core;  // null: off
    std::uint32_t expect = 0;
    std::uint32_t copies = 2;
    bool frozen = false;
    bool disk_hangs = false;
    std::optional<replication::Revision> watch;  // the next that it hears of
    int watch_life = 0;                          // of etcd
    std::optional<BootTime> cut;                 // since
    bool left = false;
    std::string stranger;
    std::map<std::uint64_t, std::optional<Error>> answers;
    std::vector<std::string> notices;  // events
};

class EtcdNodes {
public:
    static constexpr Duration ttl = std::chrono::seconds{10};
    static constexpr Duration notices_after = std::chrono::seconds{3};

    BootTime now{std::chrono::hours{1}};
    MemoryEtcd etcd;
    bool down = false;  // etcd
    std::map<int, EtcdMachine> machines;
    std::function<Fate(int node, const replication::EtcdTransaction&)> fate =
        [](int, const replication::EtcdTransaction&) { return Fate::carried_out; };

    EtcdMachine& add(int number, std::uint32_t expect = 0) {
        auto& machine = machines[number];
        machine.disk.self = test_node(static_cast<std::uint8_t>(number));
        machine.expect = expect;
        return machine;
    }
    void start(int number) {
        begin_with(number, [this](auto& core, auto& out) { core.start(now, out); });
    }
    // As a member of a pool that the embedded control plane has led so far.
    void go_on(int number, const replication::Lease& lease) {
        begin_with(number, [&](auto& core, auto& out) { core.go_on(lease, now, out); });
    }
    template <class How>
    void begin_with(int number, How how) {
        auto& machine = machines.at(number);
        replication::EtcdCore::Settings settings;
        settings.facts = {.name = "n" + std::to_string(number),
                          .address = "n" + std::to_string(number) + ":1",
                          .etcd = true};
        settings.expect = machine.expect;
        settings.pool.lease_ttl = ttl;
        settings.pool.copies = machine.copies;
        machine.stranger.clear();
        machine.watch.reset();
        machine.left = machine.frozen = false;
        machine.core = std::make_unique<replication::EtcdCore>(machine.disk, settings, [this] {
            return random_ = random_ * 6364136223846793005u + 1;
        });
        act(number, how);
        settle();
    }
    void begin(int count) {
        for (int number = 1; number <= count; ++number)
            add(number, count == 1 ? 0 : static_cast<std::uint32_t>(count));
        for (int number = 1; number <= count; ++number) start(number);
        REQUIRE(run_until([&] { return all_act(); }, std::chrono::seconds{10}));
        run(std::chrono::seconds{2});
    }
    void kill(int number) {
        machines.at(number).core.reset();
        std::erase_if(events_, [&](const Event& event) { return event.at == number; });
    }
    void restart(int number) {
        kill(number);
        start(number);
    }
    replication::EtcdCore& core(int number) { return *machines.at(number).core; }
    std::uint64_t propose(int number, replication::Change change) {
        std::uint64_t request = 0;
        act(number, [&](auto& core, auto& out) { request = core.propose(change, now, out); });
        settle();
        return request;
    }
    void leave(int number) {
        act(number, [&](auto& core, auto& out) { core.leave(now, out); });
        settle();
    }
    Result<void> begin_without(int number, const std::vector<int>& others) {
        Result<void> begun;
        act(number, [&](auto& core, auto& out) {
            begun = core.begin_without(test_nodes(others), now, out);
        });
        settle();
        return begun;
    }
    void cut(int number) {
        if (!machines.at(number).cut) machines.at(number).cut = now;
    }
    void mend(int number) {
        machines.at(number).cut.reset();
        settle();
    }
    // etcd stops, holds something else, and is there again later.
    void restore(MemoryEtcd::Held held, Duration down_for = std::chrono::seconds{2}) {
        down = true;
        ++life_;
        settle();
        etcd.put_back(std::move(held));
        run(down_for);
        down = false;
    }
    void compact() {
        etcd.compact();
        ++life_;
        settle();
    }
    void carry_out_late() {
        for (auto& transaction : std::exchange(late_, {})) etcd.carry_out(transaction);
        settle();
    }

    void run(Duration time) {
        for (const auto end = now + time; now < end;) {
            now += std::chrono::milliseconds{50};
            for (auto& [number, machine] : machines) {
                if (!machine.core || machine.frozen) continue;
                if (machine.cut && now - *machine.cut > notices_after) notice_cut(number);
                act(number, [&](auto& core, auto& out) { core.tick(now, out); });
            }
            settle();
            check_one_owner();
        }
    }
    bool run_until(const std::function<bool()>& condition, Duration limit) {
        for (const auto end = now + limit; now < end; run(std::chrono::milliseconds{50}))
            if (condition()) return true;
        return condition();
    }

    bool acts(int number) {
        const auto& machine = machines.at(number);
        return machine.core && machine.stranger.empty() && machine.core->lease_live(now, {});
    }
    bool all_act() {
        for (const auto& [number, machine] : machines)
            if (machine.core && (!acts(number) || owned(number) == 0)) return false;
        return true;
    }
    std::size_t owned(int number) {
        const auto& core_of = core(number);
        std::size_t count = 0;
        for (const auto& partition : core_of.acting().partitions)
            count += partition.owner == core_of.self() ? 1 : 0;
        return count;
    }
    const replication::PoolState& state() { return etcd.pool()->state; }
    bool lives(int number) { return state().is_live(test_node(static_cast<std::uint8_t>(number))); }
    bool noticed(int number, const std::string& event) {
        const auto& notices = machines.at(number).notices;
        return std::find(notices.begin(), notices.end(), event) != notices.end();
    }

private:
    enum class Kind : std::uint8_t { written, read, answered, probed };
    struct Event {
        int at;
        Kind kind;
        std::uint64_t number = 0;
        replication::EtcdTransaction transaction;
    };

    template <class Call>
    void act(int number, Call call) {
        auto& machine = machines.at(number);
        replication::EtcdEffects out;
        call(*machine.core, out);
        if (out.changed) machine.core->acted_on(machine.core->acting().version);
        if (out.write) {
            machine.writing = *out.write;
            if (!machine.disk_hangs) events_.push_back({number, Kind::written});
        }
        if (out.watch_from) {
            machine.watch = out.watch_from;
            machine.watch_life = life_;
        }
        for (auto& one : out.transactions)
            events_.push_back({number, Kind::answered, one.number, std::move(one.transaction)});
        if (out.read) events_.push_back({number, Kind::read});
        if (out.probe && !machine.disk_hangs) events_.push_back({number, Kind::probed});
        for (auto& answer : out.answers) machine.answers[answer.request] = answer.error;
        for (auto& notice : out.notices) machine.notices.push_back(notice.event);
        machine.left = machine.left || out.left;
        if (!out.stranger.empty()) machine.stranger = out.stranger;
    }
    void settle() {
        for (;;) {
            if (auto event = next_event()) {
                carry_out(*event);
            } else if (!deliver()) {
                return;
            }
        }
    }
    std::optional<Event> next_event() {
        for (auto event = events_.begin(); event != events_.end(); ++event) {
            const auto& machine = machines.at(event->at);
            const bool of_etcd = event->kind == Kind::read || event->kind == Kind::answered;
            if (machine.frozen || (of_etcd && machine.cut)) continue;
            auto found = std::move(*event);
            events_.erase(event);
            return found;
        }
        return std::nullopt;
    }
    void carry_out(Event& event) {
        auto& machine = machines.at(event.at);
        if (!machine.core) return;
        switch (event.kind) {
            case Kind::written:
                machine.disk = machine.writing;
                return act(event.at, [&](auto& core, auto& out) { core.written(now, out); });
            case Kind::probed:
                return act(event.at, [&](auto& core, auto& out) { core.probed(now, out); });
            case Kind::read:
                return act(event.at, [&](auto& core, auto& out) {
                    if (down)
                        core.read_failed("refused", now, out);
                    else
                        core.read(etcd.snapshot(), now, out);
                });
            case Kind::answered:
                return answer(event);
        }
    }
    void answer(Event& event) {
        const auto befalls = down ? Fate::lost : fate(event.at, event.transaction);
        replication::EtcdAnswer answer;
        answer.why = "no answer in time";
        if (befalls == Fate::late) late_.push_back(event.transaction);
        if (befalls == Fate::carried_out || befalls == Fate::answer_lost) {
            auto done = etcd.carry_out(event.transaction);
            if (befalls == Fate::carried_out) answer = std::move(done);
        }
        act(event.at,
            [&](auto& core, auto& out) { core.answered(event.number, answer, now, out); });
    }
    // One change to one node.
    bool deliver() {
        for (auto& [number, machine] : machines) {
            if (!machine.core || !machine.watch || machine.frozen || machine.cut) continue;
            const auto changes = etcd.since(*machine.watch);
            if (machine.watch_life != life_ || !changes) {
                machine.watch.reset();
                act(number, [&](auto& core, auto& out) { core.watch_ended("it ended", now, out); });
                return true;
            }
            if (changes->empty()) continue;
            machine.watch = replication::Revision{changes->front().revision.value + 1};
            act(number, [&](auto& core, auto& out) { core.watched(changes->front(), now, out); });
            return true;
        }
        return false;
    }
    void notice_cut(int number) {
        auto& machine = machines.at(number);
        if (machine.watch) {
            machine.watch.reset();
            act(number, [&](auto& core, auto& out) { core.watch_ended("no answer", now, out); });
        }
        std::deque<Event> mine;
        for (auto& event : std::exchange(events_, {})) {
            const bool fails =
                event.at == number && (event.kind == Kind::read || event.kind == Kind::answered);
            (fails ? mine : events_).push_back(std::move(event));
        }
        for (const auto& event : mine) {
            act(number, [&](auto& core, auto& out) {
                if (event.kind == Kind::read)
                    core.read_failed("no answer", now, out);
                else
                    core.answered(event.number, {}, now, out);
            });
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
    std::vector<replication::EtcdTransaction> late_;
    std::uint64_t random_ = 1;
    int life_ = 0;  // of connections to etcd
};

}  // namespace posthorse::tests
