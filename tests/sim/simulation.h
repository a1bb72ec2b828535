// One run: clients send, servers misbehave, the node dies and comes back, and at the end all is
// well and everything must have arrived.
//
// Contract  run(seed, mutant) is a function: the same arguments give the same run on every machine.
//           A mutant is a part that breaks a promise on purpose, in the test doubles; a run that
//           meets it must end in a violation, or the checkers are worth nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tests/sim/history.h"

namespace posthorse::sim {

enum class Mutant : std::uint8_t {
    none,
    no_sync,     // the disk says that it synced
    early_ack,   // the other holder says that it has what it has not: 250 before the holders
    no_intents,  // attempts are not recorded before the dot
};
std::optional<Mutant> parse_mutant(std::string_view name);

struct Outcome {
    std::optional<std::string> violation;
    History::Counts counts;
};

Outcome run(std::uint64_t seed, Mutant mutant);

}  // namespace posthorse::sim
