// control_scale FIRST LAST [MACHINES [COPIES [TENTHS [told]]]]: the life of a pool of many machines
// (100), for each seed; what it cost, as medians of all seeds, the longest time beside them. No
// promise may break. TENTHS of the machines are replaced (10: all). `told`: as a story.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/sim/control/scale_figures.h"

using namespace posthorse::sim::control;

namespace {

constexpr std::size_t least_machines = 3;

struct Run {
    std::uint64_t first;
    std::uint64_t last;
    std::size_t machines = 100;
    std::uint32_t copies = 2;
    std::size_t tenths = 10;
    Story story = Story::untold;
};

struct Row {
    std::string part;
    std::vector<Figures> of_seeds;
};

template <class Value>
double median(const Row& row, Value value) {
    std::vector<double> values;
    for (const auto& figures : row.of_seeds) values.push_back(static_cast<double>(value(figures)));
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

double longest(const Row& row) {
    double most = 0;
    for (const auto& figures : row.of_seeds) most = std::max(most, figures.took_s);
    return most;
}

void add(std::vector<Row>& rows, const Meter::Part& part) {
    auto row = std::find_if(rows.begin(), rows.end(),
                            [&](const Row& other) { return other.part == part.name; });
    if (row == rows.end()) row = rows.insert(rows.end(), {part.name, {}});
    row->of_seeds.push_back(part.figures);
}

void show(const std::vector<Row>& rows) {
    std::printf("%-44s %7s %7s %7s %5s %6s %5s | %9s %9s %8s %8s %8s | %9s %9s\n", "", "took_s",
                "longest", "commits", "elect", "taken", "wait", "leader:/s", "KiB/s", "value_KiB",
                "ms/s", "event_ms", "all:/s", "KiB/s");
    for (const auto& row : rows) {
        const auto rate = [&](auto value, double unit) {
            return median(row, [&](const Figures& one) {
                return static_cast<double>(value(one)) / unit / one.seconds;
            });
        };
        std::printf(
            "%-44s %7.2f %7.2f %7.0f %5.0f %6.0f %5.0f | %9.0f %9.1f %8.1f %8.2f %8.1f | %9.0f "
            "%9.1f\n",
            row.part.c_str(), median(row, [](const auto& one) { return one.took_s; }), longest(row),
            median(row, [](const auto& one) { return one.commits; }),
            median(row, [](const auto& one) { return one.elections; }),
            median(row, [](const auto& one) { return one.takeovers; }),
            median(row, [](const auto& one) { return one.waits; }),
            rate([](const auto& one) { return one.leader_messages; }, 1),
            rate([](const auto& one) { return one.leader_octets; }, 1024),
            median(row, [](const auto& one) { return one.value_octets; }) / 1024,
            rate([](const auto& one) { return one.leader_processor_s; }, 0.001),
            median(row, [](const auto& one) { return one.longest_event_ms; }),
            rate([](const auto& one) { return one.messages; }, 1),
            rate([](const auto& one) { return one.octets; }, 1024));
    }
}

std::uint64_t simulate(const Run& run) {
    std::vector<Row> rows;
    std::uint64_t violations = 0;
    for (auto seed = run.first; seed <= run.last; ++seed) {
        posthorse::replication::PoolSettings settings;
        settings.copies = run.copies;
        Simulation simulation(seed, run.story, settings);
        Meter meter(simulation);
        simulation.run([&] { live_with_many(simulation, meter, run.machines, run.tenths); });
        for (const auto& part : meter.parts()) add(rows, part);
        if (!simulation.failed()) continue;
        std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed),
                    simulation.journal.violation()->c_str());
        violations += 1;
    }
    std::printf("machines %zu, copies %u, lease 10 s, seeds %llu\n", run.machines, run.copies,
                static_cast<unsigned long long>(run.last - run.first + 1));
    show(rows);
    std::printf("violations %llu\n", static_cast<unsigned long long>(violations));
    return violations;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3 || argc > 7) {
        std::fputs("usage: control_scale FIRST LAST [MACHINES [COPIES [TENTHS [told]]]]\n", stderr);
        return 2;
    }
    Run run{std::strtoull(argv[1], nullptr, 10), std::strtoull(argv[2], nullptr, 10)};
    if (argc > 3) run.machines = std::strtoull(argv[3], nullptr, 10);
    if (argc > 4) run.copies = static_cast<std::uint32_t>(std::strtoul(argv[4], nullptr, 10));
    if (argc > 5) run.tenths = std::strtoull(argv[5], nullptr, 10);
    if (argc > 6 && std::string_view(argv[6]) == "told") run.story = Story::told;
    if (run.last < run.first || run.machines < least_machines || run.copies == 0) return 2;
    return simulate(run) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
