// The command line of a model: which scopes are searched, in what order, and what the exit says.
//
// Contract  run_program() returns 0 when all chosen scopes hold, 1 at the first violation, and 2
//           for a wrong command line or when some search could not be finished.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/model/search.h"

namespace posthorse::model {

enum class Verdict { holds, violated, undecided };

// For printf.
inline unsigned long long wide(std::uint64_t number) {
    return number;
}

inline void print_trace(const Found& found) {
    std::printf("  VIOLATION after %zu steps: %s\n", found.trace.size(), found.violation->c_str());
    for (std::size_t at = 0; at < found.trace.size(); ++at)
        std::printf("  %4zu  %s\n", at + 1, found.trace[at].c_str());
}

template <class Driver>
using DriverNames = std::vector<std::pair<std::string_view, Driver>>;

template <class Driver>
struct Options {
    bool full = false;
    bool list = false;
    std::string_view only;
    std::optional<Driver> driver;
};

template <class Driver>
std::optional<Options<Driver>> parse(int argc, char** argv, const DriverNames<Driver>& drivers) {
    Options<Driver> options;
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
            const std::string_view wanted = argv[++at];
            for (const auto& [name, driver] : drivers)
                if (name == wanted) options.driver = driver;
            if (!options.driver) return {};
        } else {
            return {};
        }
    }
    return options;
}

template <class Scope, class Driver>
std::vector<Scope> chosen(const std::vector<Scope>& scopes, const Options<Driver>& options) {
    std::vector<Scope> result;
    for (auto scope : scopes) {
        if (options.only.empty() ? scope.by_hand && !options.full : scope.name != options.only)
            continue;
        if (options.driver) scope.driver = *options.driver;
        result.push_back(scope);
    }
    return result;
}

template <class Driver>
int usage(const char* program, const DriverNames<Driver>& drivers) {
    std::string names;
    for (const auto& [name, driver] : drivers) (names += names.empty() ? "" : "|") += name;
    std::fprintf(stderr, "usage: %s [--full] [--list] [--scope NAME]\n  [--driver %s]\n", program,
                 names.c_str());
    return 2;
}

// `search` gives a scope's Verdict, and prints what it found.
template <class Scope, class Driver, class Search>
int run_program(int argc,
                char** argv,
                const std::vector<Scope>& scopes,
                const DriverNames<Driver>& drivers,
                Search search) {
    const auto options = parse(argc, argv, drivers);
    if (!options || chosen(scopes, *options).empty()) return usage(argv[0], drivers);
    bool undecided = false;
    for (const auto& scope : chosen(scopes, *options)) {
        const char* title = options->list ? "" : "scope ";
        std::printf("%s%s: %s\n", title, std::string(scope.name).c_str(), describe(scope).c_str());
        std::fflush(stdout);
        if (options->list) continue;
        const Verdict verdict = search(scope);
        if (verdict == Verdict::violated) return 1;
        undecided = undecided || verdict == Verdict::undecided;
    }
    return undecided ? 2 : EXIT_SUCCESS;
}

}  // namespace posthorse::model
