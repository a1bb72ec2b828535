// How much of the agreement one search covers: bounds, liberties and reductions.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace posthorse::model {

using Mask = std::uint8_t;  // of the nodes: 1 A, 2 B, 4 C

// When a message leaves that depends on a change of what is remembered.
enum class Driver {
    durable,            // the contract: written, then sent; a crash before the write is a restart
    send_before_write,  // fault: sent, and the write may be lost
    overtake,           // fault: while one call's write is under way, later calls' messages leave
    queue,              // while a write is under way calls go on, and everything waits for it
};

enum class Values {
    two,           // every proposal is x or y, freely
    one_proposal,  // one value a proposal: the code never looks into a value, so names are enough
};

// coordination_model.h says why each is sound.
enum class Reduction {
    none,   // every message stays deliverable until its receiver's term has passed it
    prune,  // messages that can never have an effect any more are dropped
    eager,  // and Joins and acceptances are counted as soon as they can be
};

struct Scope {
    std::string_view name;
    std::uint8_t terms;
    std::uint8_t versions;
    Mask initial;
    std::vector<Mask> configurations;  // that may be proposed
    Values values = Values::one_proposal;
    Reduction reduction = Reduction::none;
    std::uint8_t restarts = any_number;  // of all nodes together
    Driver driver = Driver::durable;
    bool newcomers = false;  // who is not in `initial` knows no configuration at all
    bool by_hand = false;    // only with --full
    std::uint64_t states_max = 150'000'000;

    static constexpr std::uint8_t any_number = 255;
};

}  // namespace posthorse::model
