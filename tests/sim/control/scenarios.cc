// The scripts.
#include <algorithm>

#include "tests/sim/control/simulation.h"

namespace posthorse::sim::control {
namespace {

using namespace std::chrono_literals;
using S = Simulation;

std::size_t some_machines(S& s) {
    return 1 + s.world.below(5);
}

std::size_t several(S& s) {
    return 3 + s.world.below(3);
}

void quiet(S& s) {
    s.begin(some_machines(s));
    s.go_on(5s);
}

void mix(S& s) {
    s.begin(some_machines(s));
    s.mess(30s,
           {&S::crash, &S::crash_leader, &S::lose_power, &S::pause, &S::pause_leader, &S::cut,
            &S::cut_leader, &S::split, &S::bad_network, &S::disk, &S::leader_disk, &S::hang},
           1500ms);
}

void crashes(S& s) {
    s.begin(some_machines(s));
    s.mess(30s, {&S::crash, &S::crash_leader, &S::crash}, 1s);
}

void power(S& s) {
    s.begin(some_machines(s));
    s.mess(30s, {&S::lose_power, &S::crash, &S::disk}, 3s);
}

void cuts(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::cut, &S::cut, &S::cut_leader, &S::split}, 2s);
}

void drift(S& s) {
    s.pool.drift_max = 24'000;
    s.begin(several(s));
    s.mess(30s, {&S::cut, &S::cut_leader, &S::pause, &S::crash}, 2s);
}

void pauses(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::pause, &S::pause_leader}, 1500ms);
}

void hung(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::hang, &S::hang, &S::disk, &S::crash}, 2s);
}

void flapping_leader(S& s) {
    s.begin(several(s));
    s.mess(25s, {&S::crash_leader, &S::pause_leader, &S::cut_leader}, 700ms);
}

void leader_disk(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::leader_disk, &S::leader_disk, &S::crash, &S::pause}, 2s);
}

void leader_one_way(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::cut_leader, &S::cut_leader, &S::crash}, 2s);
}

void bad_network(S& s) {
    s.begin(several(s));
    s.mess(30s, {&S::bad_network, &S::bad_network, &S::crash, &S::pause, &S::cut}, 3s);
}

const std::vector<Scenario> all = {
    {"quiet", quiet},
    {"mix", mix},
    {"crashes", crashes},
    {"power", power},
    {"cuts", cuts},
    {"drift", drift},
    {"pauses", pauses},
    {"hung", hung},
    {"flapping_leader", flapping_leader},
    {"leader_disk", leader_disk},
    {"leader_one_way", leader_one_way},
    {"bad_network", bad_network},
};

}  // namespace

const std::vector<Scenario>& scenarios() {
    return all;
}

}  // namespace posthorse::sim::control
