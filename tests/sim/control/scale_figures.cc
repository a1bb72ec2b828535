#include "tests/sim/control/scale_figures.h"

#include <algorithm>

#include "replication/edge/control_codec.h"

namespace posthorse::sim::control {
namespace {

double seconds_of(Duration time) {
    return static_cast<double>(time.count()) / 1000;
}

double seconds_of(std::clock_t time) {
    return static_cast<double>(time) / CLOCKS_PER_SEC;
}

}  // namespace

Meter::Meter(Simulation& simulation) : simulation_(simulation) {
    simulation_.pool.measures_work = true;
    simulation_.pool.restless = false;
    simulation_.pool.network().sees = [this](std::size_t from, const Outgoing& message) {
        saw(from, message);
    };
}

// A value goes to everybody in messages of one size: it is encoded once.
std::uint64_t Meter::octets_of(const Outgoing& message) {
    const auto* published = std::get_if<replication::Published>(&message.message);
    if (published != nullptr && published->value == newest_) return newest_octets_;
    const auto octets = replication::encode_message(message.header, message.message).size();
    if (published != nullptr) {
        newest_ = published->value;
        newest_octets_ = octets;
    }
    return octets;
}

void Meter::saw(std::size_t from, const Outgoing& message) {
    const auto octets = octets_of(message);
    sent_.messages += 1;
    sent_.octets += octets;
    const auto& machine = *simulation_.pool.machines()[from];
    if (!machine.up() || !machine.core().leads()) return;
    sent_.leader_messages += 1;
    sent_.leader_octets += octets;
    if (std::holds_alternative<replication::Published>(message.message))
        sent_.value_octets = std::max<std::uint64_t>(sent_.value_octets, octets);
}

double Meter::seconds() const {
    return seconds_of(simulation_.world.boot() - began_);
}

void Meter::begin() {
    sent_ = {};
    began_ = simulation_.world.boot();
    counts_ = simulation_.journal.counts;
    for (const auto& machine : simulation_.pool.machines()) machine->take_work();
}

void Meter::end(const std::string& part, std::optional<double> took_s) {
    auto figures = sent_;
    const auto& counts = simulation_.journal.counts;
    figures.seconds = seconds();
    figures.took_s = took_s.value_or(figures.seconds);
    figures.commits = counts.commits - counts_.commits;
    figures.elections = counts.leaders - counts_.leaders;
    figures.takeovers = counts.takeovers - counts_.takeovers;
    figures.waits = counts.waits - counts_.waits;
    for (const auto& machine : simulation_.pool.machines()) {
        const auto work = machine->take_work();
        figures.longest_event_ms =
            std::max(figures.longest_event_ms, 1000 * seconds_of(work.longest));
        if (seconds_of(work.processor) <= figures.leader_processor_s) continue;
        figures.leader_processor_s = seconds_of(work.processor);
        figures.leader_events = work.events;
    }
    parts_.push_back({part, std::move(figures)});
}

}  // namespace posthorse::sim::control
