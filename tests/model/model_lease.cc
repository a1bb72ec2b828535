// model_lease [--full] [--scope NAME] [--driver NAME] [--list]
//
// Searches the scopes one by one. Exits 0 when all hold, 1 at a violation, which it prints with the
// steps to it, and 2 when some search could not be finished or reached nothing.
#include <cstdio>
#include <string>

#include "tests/model/lease/model.h"
#include "tests/model/lease/scopes.h"
#include "tests/model/program.h"
#include "tests/model/search.h"

using namespace posthorse::model;
using namespace posthorse::model::lease;

namespace {

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

Verdict search(const Scope& scope) {
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

}  // namespace

int main(int argc, char** argv) {
    const DriverNames<Driver> drivers{{"wall_clock", Driver::wall_clock},
                                      {"count_from_arrival", Driver::count_from_arrival},
                                      {"lead_at_election", Driver::lead_at_election},
                                      {"leave_then_stop", Driver::leave_then_stop}};
    return run_program(argc, argv, scopes(), drivers, search);
}
