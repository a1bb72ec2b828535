// model_coordination [--full] [--scope NAME] [--driver NAME] [--list]
//
// Searches the scopes one by one. Exits 0 when all hold, 1 at a violation, which it prints with the
// steps to it, and 2 when some search could not be finished or a reduction is not sound.
#include <cstdio>
#include <string>

#include "tests/model/coordination_model.h"
#include "tests/model/coordination_scopes.h"
#include "tests/model/program.h"
#include "tests/model/search.h"

using namespace posthorse::model;

namespace {

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

Verdict search(const Scope& scope) {
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

}  // namespace

int main(int argc, char** argv) {
    const DriverNames<Driver> drivers{{"durable", Driver::durable},
                                      {"send_before_write", Driver::send_before_write},
                                      {"overtake", Driver::overtake},
                                      {"queue", Driver::queue}};
    return run_program(argc, argv, scopes(), drivers, search);
}
