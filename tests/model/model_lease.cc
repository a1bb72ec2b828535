// model_lease [--full] [--scope NAME] [--driver NAME] [--list]
//
// Searches the scopes one by one. Exits 0 when all hold, 1 at a violation, which it prints with the
// steps to it, and 2 when some search could not be finished or reached nothing.
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "tests/model/lease/model.h"
#include "tests/model/lease/scopes.h"
#include "tests/model/search.h"

using namespace posthorse::model;
using namespace posthorse::model::lease;

namespace {

unsigned long long wide(std::uint64_t number) {
    return number;
}

void print_trace(const Found& found) {
    std::printf("  VIOLATION after %zu steps: %s\n", found.trace.size(), found.violation->c_str());
    for (std::size_t at = 0; at < found.trace.size(); ++at)
        std::printf("  %4zu  %s\n", at + 1, found.trace[at].c_str());
}

void print_figures(const Found& found, const Model& model) {
    const auto& reached = model.reached();
    std::printf(
        "  reached: version %u committed, grants %llu, takeovers %llu, exceptions %llu; %zu "
        "states of a process, %zu calls\n",
        unsigned{reached.newest}, wide(reached.grants), wide(reached.takeovers),
        wide(reached.exceptions), model.machines().process_count(), model.machines().call_count());
    std::printf("  states %llu, transitions %llu, depth %llu, seconds %.1f, MB %zu\n",
                wide(found.states), wide(found.transitions), wide(found.depth), found.processor_s,
                found.bytes / 1'000'000);
}

enum class Verdict { holds, violated, undecided };

Verdict search(const Scope& scope) {
    std::printf("scope %s: %s\n", std::string(scope.name).c_str(), describe(scope).c_str());
    std::fflush(stdout);
    Model model(scope);
    const Found found = Search<Model>(model, scope.states_max).run();
    print_figures(found, model);
    if (found.violation) print_trace(found);
    // A pass over nothing is none.
    const bool is_vacuous = model.reached().newest != scope.versions;
    if (!found.complete && !found.violation)
        std::printf("  stopped: more states than the scope allows\n");
    if (is_vacuous) std::printf("  the last version was never committed\n");
    std::fflush(stdout);
    if (found.violation) return Verdict::violated;
    return found.complete && !is_vacuous ? Verdict::holds : Verdict::undecided;
}

struct Options {
    bool full = false;
    bool list = false;
    std::string_view only;
    std::optional<Driver> driver;
};

std::optional<Driver> driver_of(std::string_view name) {
    if (name == "wall_clock") return Driver::wall_clock;
    if (name == "count_from_arrival") return Driver::count_from_arrival;
    if (name == "lead_at_election") return Driver::lead_at_election;
    if (name == "leave_then_stop") return Driver::leave_then_stop;
    return {};
}

std::optional<Options> parse(int argc, char** argv) {
    Options options;
    for (int at = 1; at < argc; ++at) {
        const std::string_view argument = argv[at];
        const bool has_value = at + 1 < argc;
        if (argument == "--full") {
            options.full = true;
        } else if (argument == "--list") {
            options.list = true;
        } else if (argument == "--scope" && has_value) {
            options.only = argv[++at];
        } else if (argument == "--driver" && has_value) {
            options.driver = driver_of(argv[++at]);
            if (!options.driver) return {};
        } else {
            return {};
        }
    }
    return options;
}

std::vector<Scope> chosen(const Options& options) {
    std::vector<Scope> result;
    for (auto scope : scopes()) {
        if (options.only.empty() ? scope.by_hand && !options.full : scope.name != options.only)
            continue;
        if (options.driver) scope.driver = *options.driver;
        result.push_back(scope);
    }
    return result;
}

}  // namespace

int main(int argc, char** argv) {
    const auto options = parse(argc, argv);
    if (!options || chosen(*options).empty()) {
        std::fputs(
            "usage: model_lease [--full] [--list] [--scope NAME]\n"
            "  [--driver wall_clock|count_from_arrival|lead_at_election|leave_then_stop]\n",
            stderr);
        return 2;
    }
    bool undecided = false;
    for (const auto& scope : chosen(*options)) {
        if (options->list) {
            std::printf("%s: %s\n", std::string(scope.name).c_str(), describe(scope).c_str());
            continue;
        }
        const Verdict verdict = search(scope);
        if (verdict == Verdict::violated) return 1;
        undecided = undecided || verdict == Verdict::undecided;
    }
    return undecided ? 2 : EXIT_SUCCESS;
}
