// The life of a large pool, part by part.
#include <algorithm>

#include "replication/core/placement.h"
#include "tests/sim/control/scale_figures.h"

namespace posthorse::sim::control {
namespace {

using namespace std::chrono_literals;
using S = Simulation;

constexpr Duration step = 50ms;
constexpr Duration promised_beyond_lease = 2s;  // P5

bool owns_any(const PoolState& state, const std::vector<NodeId>& nodes) {
    return std::any_of(state.partitions.begin(), state.partitions.end(), [&](const auto& one) {
        return one.owner && std::find(nodes.begin(), nodes.end(), *one.owner) != nodes.end();
    });
}

void begin(S& s, Meter& meter, std::size_t machines) {
    const bool joining = s.world.chance(50);
    meter.begin();
    if (joining)
        s.begin_by_joining(machines);
    else
        s.begin_by_expecting(machines, static_cast<std::uint32_t>(machines / 2 + 1));
    meter.end(joining ? "begins, by joining" : "begins, by pool.expect");
}

// What was opened too much while all came is closed, empty and retired.
void go_quiet(S& s) {
    const auto surplus = [&s] {
        const auto& partitions = s.pool.checker().newest()->partitions;
        return std::any_of(partitions.begin(), partitions.end(), [](const auto& one) {
            return one.phase == replication::PartitionPhase::closing;
        });
    };
    if (!s.go_on_until([&] { return !surplus(); }, 60s)) s.journal.fail("partitions stay closing");
}

void stay_quiet(S& s, Meter& meter) {
    go_quiet(s);
    meter.begin();
    s.go_on(20s);
    meter.end("quiet");
}

// Power off at once; nobody is back before the others have taken over, and made copies.
void lose(S& s, Meter& meter, const std::string& part, const std::vector<Machine*>& machines) {
    std::vector<NodeId> lost;
    bool led = false;
    meter.begin();
    for (auto* machine : machines) {
        lost.push_back(machine->node());
        led = led || machine->core().leads();
        machine->crash();
        machine->held = true;
    }
    const auto promised = (led ? 2 : 1) * s.ttl() + promised_beyond_lease;
    const auto taken = [&] { return !owns_any(*s.pool.checker().newest(), lost); };
    if (!s.go_on_until(taken, promised, step) && !s.failed())
        s.journal.fail(part + ": the dead still own partitions after what was promised");
    meter.end(part + ": taken over");
    meter.begin();
    const auto whole = [&] {
        return replication::short_partitions(*s.pool.checker().newest()) == 0;
    };
    if (!s.go_on_until(whole, s.bound(), step) && !s.failed())
        s.journal.fail(part + ": copies are missing still");
    meter.end(part + ": sets whole, without the copying");
    meter.begin();
    s.settle();
    meter.end(part + ": all back");
}

void lose_leader(S& s, Meter& meter) {
    auto* leader = s.pool.leader();
    if (leader != nullptr) lose(s, meter, "leader lost", {leader});
}

// Whoever they are, the leader may be among them.
void lose_tenth(S& s, Meter& meter) {
    auto machines = s.pool.wanted();
    std::vector<Machine*> some;
    while (some.size() < std::max<std::size_t>(1, machines.size() / 10)) {
        const auto at =
            machines.begin() + static_cast<std::ptrdiff_t>(s.world.below(machines.size()));
        some.push_back(*at);
        machines.erase(at);
    }
    lose(s, meter, "tenth lost", some);
}

void crash_some(S& s, Meter& meter) {
    meter.begin();
    s.mess(5s, {&S::crash, &S::crash, &S::crash_leader}, 1s);
    s.settle();
    meter.end("crashes for 5 s");
}

void restart_all(S& s, Meter& meter) {
    meter.begin();
    for (const auto& machine : s.pool.machines()) machine->crash();
    for (const auto& machine : s.pool.machines()) {
        if (machine->retired) continue;
        s.world.after(s.world.between(500ms, 1500ms), [one = machine.get()] { one->boot(); });
    }
    s.go_on(1500ms);
    s.settle();
    meter.end("all restart");
}

// A tenth comes, a tenth leaves, again and again.
void replace(S& s, Meter& meter, std::size_t tenths) {
    auto old = s.pool.wanted();
    const auto batch = std::max<std::size_t>(1, old.size() / 10);
    meter.begin();
    for (std::size_t done = 0; done < tenths && !old.empty() && !s.failed(); ++done) {
        for (std::size_t made = 0; made < batch; ++made) s.join();
        s.settle();
        std::vector<Machine*> leavers;
        while (!old.empty() && leavers.size() < batch) {
            leavers.push_back(old.back());
            old.pop_back();
        }
        for (auto* machine : leavers) s.leave_for_good(*machine);
        for (auto* machine : leavers) s.until_left(*machine);
        s.settle();
    }
    meter.end(std::to_string(tenths) + " tenths replaced, one by one");
}

}  // namespace

void live_with_many(S& s, Meter& meter, std::size_t machines, std::size_t tenths) {
    const std::vector<void (*)(S&, Meter&)> parts = {stay_quiet, crash_some, lose_leader,
                                                     lose_tenth, restart_all};
    begin(s, meter, machines);
    for (const auto part : parts) {
        if (!s.failed()) part(s, meter);
    }
    if (!s.failed() && tenths > 0) replace(s, meter, tenths);
}

}  // namespace posthorse::sim::control
