// model_coordination [--full] [--scope NAME] [--driver NAME] [--list]
//
// Searches the scopes one by one. Exits 0 when all hold, 1 at a violation, which it prints with the
// steps to it, and 2 when some search could not be finished or a reduction is not sound.
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "tests/model/coordination_model.h"
#include "tests/model/coordination_scopes.h"
#include "tests/model/search.h"

using namespace posthorse::model;

namespace {

unsigned long long wide(std::uint64_t number) {
    return number;
}

void print_trace(const Found& found) {
    std::printf("  VIOLATION after %zu steps: %s\n", found.trace.size(), found.violation->c_str());
    for (std::size_t at = 0; at < found.trace.size(); ++at)
        std::printf("  %4zu  %s\n", at + 1, found.trace[at].c_str());
}

void print_figures(const Found& found, const CoordinationModel& model) {
    const auto& reached = model.reached();
    const auto& nodes = model.nodes();
    std::printf(
        "  reached: %zu terms with a leader, %zu committed places, restarts %llu; %zu states "
        "of a node, %zu messages, %zu calls of the machine\n",
        reached.led_terms.size(), reached.committed.size(), wide(reached.restarts),
        nodes.state_count(), nodes.message_count(), nodes.call_count());
    std::printf("  states %llu, transitions %llu, depth %llu, seconds %.1f, MB %zu\n",
                wide(found.states), wide(found.transitions), wide(found.depth), found.processor_s,
                found.bytes / 1'000'000);
}

enum class Verdict { holds, violated, undecided };

Verdict search(const Scope& scope) {
    std::printf("scope %s: %s\n", std::string(scope.name).c_str(), describe(scope).c_str());
    std::fflush(stdout);
    CoordinationModel model(scope);
    const Found found = Search<CoordinationModel>(model, scope.states_max).run();
    print_figures(found, model);
    if (found.violation) {
        print_trace(found);
        return Verdict::violated;
    }
    const std::string unsound = model.verify();
    // A pass over nothing is none: every place must have been committed in some state.
    const bool is_vacuous =
        model.reached().committed.size() != std::size_t{scope.terms} * scope.versions;
    if (!unsound.empty()) std::printf("  a reduction is not sound: %s\n", unsound.c_str());
    if (!found.complete) std::printf("  stopped: more states than the scope allows\n");
    if (is_vacuous) std::printf("  some place was never committed\n");
    std::fflush(stdout);
    const bool holds = unsound.empty() && found.complete && !is_vacuous;
    return holds ? Verdict::holds : Verdict::undecided;
}

struct Options {
    bool full = false;
    bool list = false;
    std::string_view only;
    std::optional<Driver> driver;
};

std::optional<Driver> driver_of(std::string_view name) {
    if (name == "durable") return Driver::durable;
    if (name == "send_before_write") return Driver::send_before_write;
    if (name == "overtake") return Driver::overtake;
    if (name == "queue") return Driver::queue;
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
            "usage: model_coordination [--full] [--list] [--scope NAME]\n"
            "  [--driver durable|send_before_write|overtake|queue]\n",
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
