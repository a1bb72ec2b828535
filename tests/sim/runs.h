// The command line of a simulator: PROGRAM FIRST LAST [SCENARIO|all] [MUTANT|none] ...: runs the
// seeds FIRST to LAST. Without a mutant none may break a promise. With the name of the mutant that
// the program was built with, some must. A single seed is told as a story.
//
// Contract  A `Simulator` has: `usage`, the line above; `arguments_most`; `Counts`; scenarios(),
//           those of `all`; scenarios_beyond(), which run by name alone; run(seed, scenario, told,
//           further arguments), with `violation`, `counts` and `simulated_ms` in what it returns.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>

namespace posthorse::sim {

template <class Simulator>
int usage() {
    std::fprintf(stderr, "usage: %s\nscenarios:", Simulator::usage);
    for (const auto& scenario : Simulator::scenarios())
        std::fprintf(stderr, " %s", scenario.name.data());
    std::fputs("\n", stderr);
    return 2;
}

template <class Simulator>
auto find_scenario(std::string_view name) -> decltype(Simulator::scenarios().data()) {
    for (const auto* some : {&Simulator::scenarios(), &Simulator::scenarios_beyond()}) {
        for (const auto& scenario : *some) {
            if (scenario.name == name) return &scenario;
        }
    }
    return nullptr;
}

template <class Simulator>
int run_seeds(std::span<char*> arguments) {
    if (arguments.size() < 3 || arguments.size() > Simulator::arguments_most)
        return usage<Simulator>();
    const std::uint64_t first = std::strtoull(arguments[1], nullptr, 10);
    const std::uint64_t last = std::strtoull(arguments[2], nullptr, 10);
    const std::string_view wanted = arguments.size() > 3 ? arguments[3] : "all";
    const bool mutant = arguments.size() > 4 && std::string_view(arguments[4]) != "none";
    const auto further = arguments.subspan(arguments.size() > 5 ? 5 : arguments.size());
    const auto* only = find_scenario<Simulator>(wanted);
    if (last < first || (only == nullptr && wanted != "all")) return usage<Simulator>();

    typename Simulator::Counts counts;
    std::uint64_t violations = 0;
    std::uint64_t simulated_ms = 0;
    const auto& all = Simulator::scenarios();
    for (std::uint64_t seed = first; seed <= last; ++seed) {
        const auto& scenario = only != nullptr ? *only : all[seed % all.size()];
        const auto outcome = Simulator::run(seed, scenario, first == last, further);
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

}  // namespace posthorse::sim
