// sim FIRST LAST [MUTANT]: runs the seeds FIRST to LAST. Without a mutant none may violate a
// promise; with one, some run must.
#include <cstdio>
#include <cstdlib>

#include "tests/sim/simulation.h"

using namespace posthorse::sim;

namespace {

int usage() {
    std::fputs("usage: sim FIRST LAST [none|no_sync|early_ack|no_intents]\n", stderr);
    return 2;
}

void print(std::uint64_t seed, const Outcome& outcome) {
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed),
                outcome.violation->c_str());
}

void add(History::Counts& sum, const History::Counts& counts) {
    sum.accepted += counts.accepted;
    sum.delivered += counts.delivered;
    sum.duplicates += counts.duplicates;
    sum.bounced += counts.bounced;
    sum.deaths += counts.deaths;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3 || argc > 4) return usage();
    const std::uint64_t first = std::strtoull(argv[1], nullptr, 10);
    const std::uint64_t last = std::strtoull(argv[2], nullptr, 10);
    const auto mutant = parse_mutant(argc == 4 ? argv[3] : "none");
    if (!mutant || last < first) return usage();

    History::Counts sum;
    std::uint64_t violations = 0;
    for (std::uint64_t seed = first; seed <= last; ++seed) {
        const Outcome outcome = run(seed, *mutant);
        add(sum, outcome.counts);
        if (!outcome.violation) continue;
        print(seed, outcome);
        violations += 1;
        if (*mutant != Mutant::none) break;
    }
    std::printf(
        "accepted %llu, delivered %llu, bounced %llu, duplicates %llu, deaths %llu, "
        "violations %llu\n",
        static_cast<unsigned long long>(sum.accepted),
        static_cast<unsigned long long>(sum.delivered),
        static_cast<unsigned long long>(sum.bounced),
        static_cast<unsigned long long>(sum.duplicates),
        static_cast<unsigned long long>(sum.deaths), static_cast<unsigned long long>(violations));
    const bool found = violations > 0;
    return found == (*mutant != Mutant::none) ? EXIT_SUCCESS : EXIT_FAILURE;
}
