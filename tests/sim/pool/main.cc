// A single seed is told with the frames of the partition that is named last.
#include "tests/sim/pool/simulation.h"
#include "tests/sim/runs.h"

using namespace posthorse::sim;

namespace {

struct Simulator {
    static constexpr const char* usage =
        "pool_sim FIRST LAST [SCENARIO|all] [MUTANT|none] [PARTITION]";
    static constexpr std::size_t arguments_most = 6;
    using Counts = pool::Counts;

    static const auto& scenarios() { return pool::scenarios(); }
    static const auto& scenarios_beyond() {
        static const std::vector<pool::Scenario> none;
        return none;
    }
    static auto run(std::uint64_t seed,
                    const pool::Scenario& scenario,
                    bool told,
                    std::span<char*> further) {
        pool::Telling telling{.story = told ? control::Story::told : control::Story::untold,
                              .frames = {}};
        if (!further.empty()) {
            const auto partition = std::strtoul(further[0], nullptr, 10);
            telling.frames = posthorse::PartitionId{static_cast<std::uint32_t>(partition)};
        }
        return pool::run(seed, scenario, telling);
    }
};

}  // namespace

int main(int argc, char** argv) {
    return run_seeds<Simulator>({argv, static_cast<std::size_t>(argc)});
}
