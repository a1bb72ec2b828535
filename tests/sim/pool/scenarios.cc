// The scripts.
#include "tests/sim/pool/simulation.h"

namespace posthorse::sim::pool {
namespace {

using namespace std::chrono_literals;
using S = Simulation;

void quiet(S& s) {
    s.begin(3);
    s.mess(20s, {&S::mood}, 2s);
}

void kills(S& s) {
    s.begin(3);
    s.mess(50s, {&S::kill, &S::kill, &S::mood, &S::operate}, 1500ms);
}

const std::vector<Scenario> all = {
    {"quiet", quiet},
    {"kills", kills},
};

}  // namespace

const std::vector<Scenario>& scenarios() {
    return all;
}

}  // namespace posthorse::sim::pool
