#include "tests/model/coordination_scopes.h"

namespace posthorse::model {
namespace {

constexpr Mask a = 1, b = 2, c = 4, ab = a | b, ac = a | c, bc = b | c, abc = a | b | c;
const std::vector<Mask> every{a, b, c, ab, ac, bc, abc};

std::string text(Mask mask) {
    std::string names = "{";
    for (unsigned node = 0; node < 3; ++node) {
        if (mask >> node & 1) names += static_cast<char>('A' + node);
    }
    return names + "}";
}

std::string_view text(Reduction reduction) {
    switch (reduction) {
        case Reduction::none:
            return "every message at every time";
        case Reduction::prune:
            return "spent messages dropped";
        case Reduction::eager:
            return "votes counted at once";
    }
    return {};
}

std::string_view text(Driver driver) {
    switch (driver) {
        case Driver::durable:
            return "written, then sent";
        case Driver::send_before_write:
            return "sent before it is written";
        case Driver::overtake:
            return "later messages overtake a write";
        case Driver::queue:
            return "everything waits for the write";
    }
    return {};
}

// Where most faults are found at once: what needs no second term, or a jump between configurations.
std::vector<Scope> first_scopes() {
    return {
        {.name = "one_term_from_A",
         .terms = 1,
         .versions = 2,
         .initial = a,
         .configurations = every},
        {.name = "one_term_from_ABC",
         .terms = 1,
         .versions = 2,
         .initial = abc,
         .configurations = every},
        {.name = "two_values",
         .terms = 2,
         .versions = 2,
         .initial = abc,
         .configurations = {abc},
         .values = Values::two},
        {.name = "any_change_from_ABC",
         .terms = 2,
         .versions = 2,
         .initial = abc,
         .configurations = every,
         .reduction = Reduction::eager},
        {.name = "any_change_from_A",
         .terms = 2,
         .versions = 2,
         .initial = a,
         .configurations = every,
         .reduction = Reduction::eager},
    };
}

std::vector<Scope> larger_scopes() {
    return {
        {.name = "no_change", .terms = 2, .versions = 3, .initial = abc, .configurations = {abc}},
        {.name = "change", .terms = 2, .versions = 2, .initial = abc, .configurations = {abc, ab}},
        {.name = "newcomers",
         .terms = 2,
         .versions = 2,
         .initial = a,
         .configurations = {a, ab, ac, abc},
         .reduction = Reduction::eager,
         .newcomers = true},
        {.name = "three_terms",
         .terms = 3,
         .versions = 3,
         .initial = abc,
         .configurations = {abc},
         .reduction = Reduction::eager},
        {.name = "three_terms_change",
         .terms = 3,
         .versions = 2,
         .initial = abc,
         .configurations = {abc, ab},
         .reduction = Reduction::eager,
         .by_hand = true},
        {.name = "changes",
         .terms = 2,
         .versions = 3,
         .initial = abc,
         .configurations = {abc, ab, ac, bc},
         .reduction = Reduction::eager},
        {.name = "change_and_back",
         .terms = 2,
         .versions = 3,
         .initial = abc,
         .configurations = {abc, ab},
         .reduction = Reduction::prune},
        {.name = "writes_queue",
         .terms = 1,
         .versions = 2,
         .initial = abc,
         .configurations = {abc, ab},
         .driver = Driver::queue},
        {.name = "writes_queue_two_terms",
         .terms = 2,
         .versions = 1,
         .initial = abc,
         .configurations = {abc},
         .driver = Driver::queue},
    };
}

std::vector<Scope> scopes_by_hand() {
    return {
        {.name = "full_change_and_back",
         .terms = 2,
         .versions = 3,
         .initial = abc,
         .configurations = {abc, ab},
         .by_hand = true},
        {.name = "full_grow_and_back",
         .terms = 2,
         .versions = 3,
         .initial = ab,
         .configurations = {ab, abc},
         .by_hand = true},
        {.name = "full_two_values",
         .terms = 2,
         .versions = 3,
         .initial = abc,
         .configurations = {abc},
         .values = Values::two,
         .by_hand = true},
        {.name = "full_one_by_one",
         .terms = 2,
         .versions = 3,
         .initial = a,
         .configurations = {a, ab, abc},
         .reduction = Reduction::eager,
         .by_hand = true},
        {.name = "full_any_change",
         .terms = 2,
         .versions = 3,
         .initial = abc,
         .configurations = every,
         .reduction = Reduction::eager,
         .by_hand = true},
        {.name = "full_three_terms_change",
         .terms = 3,
         .versions = 3,
         .initial = abc,
         .configurations = {abc, ab},
         .reduction = Reduction::eager,
         .by_hand = true},
        {.name = "full_four_terms",
         .terms = 4,
         .versions = 2,
         .initial = abc,
         .configurations = {abc},
         .reduction = Reduction::eager,
         .by_hand = true},
    };
}

}  // namespace

std::vector<Scope> scopes() {
    auto all = first_scopes();
    for (const auto& more : {larger_scopes(), scopes_by_hand()})
        all.insert(all.end(), more.begin(), more.end());
    return all;
}

std::string describe(const Scope& scope) {
    std::string line = "nodes 3, terms 0.." + std::to_string(scope.terms) + ", versions 0.." +
                       std::to_string(scope.versions) + ", from " + text(scope.initial) +
                       " to any of";
    for (const Mask mask : scope.configurations) line += " " + text(mask);
    line += scope.values == Values::two ? ", values x or y" : ", each proposal another value";
    line += ", restarts ";
    line += scope.restarts == Scope::any_number ? "any number" : std::to_string(scope.restarts);
    if (scope.newcomers) line += ", others know nothing";
    return line + ", " + std::string(text(scope.driver)) + ", " +
           std::string(text(scope.reduction));
}

}  // namespace posthorse::model
