// etcd_sim FIRST LAST [SCENARIO|all] [MUTANT]: runs the seeds FIRST to LAST. Without a mutant
// none may break a promise. With the name of the mutant that this program was built with, some
// must.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/sim/etcd/simulation.h"

using namespace posthorse::sim::etcd;

namespace {

int usage() {
    std::fputs("usage: etcd_sim FIRST LAST [SCENARIO|all] [MUTANT]\nscenarios:", stderr);
    for (const auto& scenario : scenarios()) std::fprintf(stderr, " %s", scenario.name.data());
    std::fputs("\n", stderr);
    return 2;
}

const Scenario* find(std::string_view name) {
    for (const auto* some : {&scenarios(), &scenarios_beyond()}) {
        for (const auto& scenario : *some) {
            if (scenario.name == name) return &scenario;
        }
    }
    return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3 || argc > 5) return usage();
    const std::uint64_t first = std::strtoull(argv[1], nullptr, 10);
    const std::uint64_t last = std::strtoull(argv[2], nullptr, 10);
    const std::string_view wanted = argc > 3 ? argv[3] : "all";
    const bool mutant = argc > 4 && std::string_view(argv[4]) != "none";
    const auto* only = find(wanted);
    if (last < first || (only == nullptr && wanted != "all")) return usage();

    posthorse::sim::control::Counts counts;
    std::uint64_t violations = 0;
    std::uint64_t simulated_ms = 0;
    for (std::uint64_t seed = first; seed <= last; ++seed) {
        const auto& scenario = only != nullptr ? *only : scenarios()[seed % scenarios().size()];
        const auto story = first == last ? Story::told : Story::untold;
        const auto outcome = run(seed, scenario, story);
        counts.add(outcome.counts);
        simulated_ms += outcome.simulated_ms;
        if (!outcome.violation) continue;
        std::printf("seed %llu, %s: %s\n", static_cast<unsigned long long>(seed),
                    scenario.name.data(), outcome.violation->c_str());
        violations += 1;
        if (mutant) break;
    }
    std::printf("simulated_s %llu, %s, violations %llu\n",
                static_cast<unsigned long long>(simulated_ms / 1000), counts.to_string().c_str(),
                static_cast<unsigned long long>(violations));
    const bool found = violations > 0;
    return found == mutant ? EXIT_SUCCESS : EXIT_FAILURE;
}
