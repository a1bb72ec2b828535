// What a pool of many machines costs: messages, octets, values and processor time, by part of a
// run.
//
// Place     scale_script.cc begins and ends parts; scale_main.cc prints the medians of many runs.
// Contract  Octets are those of the production codec, without what gRPC, TLS and TCP add. Processor
//           time is of the core alone, on this machine: it says how work grows, not how long it
//           takes elsewhere.
// Owner     One Simulation.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/sim/control/simulation.h"

namespace posthorse::sim::control {

// Of a part of a run: `took` is what the part waited for, the others are of all of it.
struct Figures {
    double seconds = 0;
    double took_s = 0;
    std::uint64_t commits = 0;
    std::uint64_t elections = 0;
    std::uint64_t takeovers = 0;
    std::uint64_t waits = 0;  // partitions whose holders are all away
    std::uint64_t messages = 0;
    std::uint64_t octets = 0;
    std::uint64_t leader_messages = 0;  // that whoever led sent
    std::uint64_t leader_octets = 0;
    std::uint64_t value_octets = 0;   // of the largest value that was published
    std::uint64_t leader_events = 0;  // of the machine that worked most
    double leader_processor_s = 0;    // of the same
    double longest_event_ms = 0;      // of any
};

class Meter {
public:
    explicit Meter(Simulation& simulation);

    void begin();
    // Adds what was since begin(). `took_s`: nullopt, all of it.
    void end(const std::string& part, std::optional<double> took_s = std::nullopt);
    double seconds() const;  // since begin()

    struct Part {
        std::string name;
        Figures figures;
    };
    const std::vector<Part>& parts() const { return parts_; }

private:
    void saw(std::size_t from, const Outgoing& message);
    std::uint64_t octets_of(const Outgoing& message);

    Simulation& simulation_;
    Figures sent_;  // since begin()
    BootTime began_{};
    Counts counts_;
    std::vector<Part> parts_;
    replication::Value newest_;  // that was published, and its octets
    std::uint64_t newest_octets_ = 0;
};

// Grows to `machines`, and has every trouble that a large pool must bear. `tenths`: of the machines
// that are replaced.
void live_with_many(Simulation& simulation, Meter& meter, std::size_t machines, std::size_t tenths);

}  // namespace posthorse::sim::control
