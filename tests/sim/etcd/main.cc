#include "tests/sim/etcd/simulation.h"
#include "tests/sim/runs.h"

using namespace posthorse::sim;

namespace {

struct Simulator {
    static constexpr const char* usage = "etcd_sim FIRST LAST [SCENARIO|all] [MUTANT|none]";
    static constexpr std::size_t arguments_most = 5;
    using Counts = control::Counts;

    static const auto& scenarios() { return etcd::scenarios(); }
    static const auto& scenarios_beyond() { return etcd::scenarios_beyond(); }
    static auto run(std::uint64_t seed,
                    const etcd::Scenario& scenario,
                    bool told,
                    std::span<char*>) {
        return etcd::run(seed, scenario, told ? control::Story::told : control::Story::untold);
    }
};

}  // namespace

int main(int argc, char** argv) {
    return run_seeds<Simulator>({argv, static_cast<std::size_t>(argc)});
}
