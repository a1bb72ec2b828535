// Visits every state of a model, breadth first: a violation is found by a shortest trace.
//
// Contract  A Model has
//             State initial();
//             void successors(const State&, found): calls found(step, next, fault) for each step
//               that changes something; the same state gives the same steps with the same numbers;
//             Fingerprint fingerprint(const State&);
//             void pack(const State&, std::vector<std::uint16_t>&);  State unpack(const
//             uint16_t*&); std::string tell(const State&, std::uint32_t step): what happens in it,
//             for a reader.
//           The states of two levels are kept packed; of all others only fingerprint, parent and
//           step, from which a trace is played again.
// Bounds    26 to 45 bytes a state, and the states of the two levels at hand. A packed state has at
//           most 1000 words. 2^32 states.
#pragma once

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/model/fingerprint_set.h"

namespace posthorse::model {

struct Found {
    std::uint64_t states = 0;
    std::uint64_t transitions = 0;
    std::uint64_t depth = 0;
    double processor_s = 0;
    std::size_t bytes = 0;
    bool complete = false;  // every reachable state was visited
    std::optional<std::string> violation;
    std::vector<std::string> trace;
};

template <class Model>
class Search {
public:
    Search(Model& model, std::uint64_t states_max) : model_(model), states_max_(states_max) {}

    Found run() {
        const std::clock_t began = std::clock();
        const auto initial = model_.initial();
        visited_.insert(model_.fingerprint(initial));
        origins_.push_back({});
        keep(initial);
        while (!next_.empty() && !found_.violation && visited_.size() < states_max_) level();
        found_.complete = next_.empty() && !found_.violation;
        found_.states = visited_.size();
        found_.processor_s = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
        return std::move(found_);
    }

private:
    using Chunk = std::vector<std::uint16_t>;  // packed states; growing one vector would copy it
    static constexpr std::size_t chunk_size = 1 << 18;
    struct Origin {
        std::uint32_t parent = 0;
        std::uint32_t step = 0;
    };

    void level() {
        std::deque<Chunk> states;
        std::swap(states, next_);
        const std::size_t chunk_count = states.size();
        for (; !states.empty() && !found_.violation; states.pop_front()) expand(states.front());
        found_.bytes = std::max(found_.bytes, visited_.bytes() + origins_.size() * sizeof(Origin) +
                                                  2 * chunk_size * (chunk_count + next_.size()));
        if (!next_.empty() && !found_.violation) found_.depth += 1;
    }

    void expand(const Chunk& states) {
        const std::uint16_t* at = states.data();
        while (at != states.data() + states.size()) {
            const auto state = model_.unpack(at);
            model_.successors(state, [&](std::uint32_t step, const auto& next, const auto& fault) {
                visit(step, next, fault);
            });
            if (found_.violation) return;
            expanded_ += 1;
        }
    }

    template <class State>
    void keep(const State& state) {
        if (next_.empty() || next_.back().size() + 1000 > chunk_size) {
            next_.emplace_back();
            next_.back().reserve(chunk_size);
        }
        model_.pack(state, next_.back());
    }

    template <class State>
    void visit(std::uint32_t step, const State& next, const std::optional<std::string>& fault) {
        if (found_.violation) return;
        found_.transitions += 1;
        const bool is_new = visited_.insert(model_.fingerprint(next));
        if (!is_new && !fault) return;
        origins_.push_back({expanded_, step});
        if (fault) {
            found_.depth += 1;
            found_.violation = fault;
            found_.trace = trace();
            return;
        }
        keep(next);
    }

    // The way to the state that was found last.
    std::vector<std::string> trace() {
        std::vector<std::uint32_t> steps;
        for (auto at = static_cast<std::uint32_t>(origins_.size() - 1); at != 0;
             at = origins_[at].parent) {
            steps.push_back(origins_[at].step);
        }
        std::vector<std::string> lines;
        auto state = model_.initial();
        for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
            lines.push_back(model_.tell(state, *step));
            auto reached = state;
            model_.successors(state, [&](std::uint32_t number, const auto& next, const auto&) {
                if (number == *step) reached = next;
            });
            state = reached;
        }
        return lines;
    }

    Model& model_;
    const std::uint64_t states_max_;
    FingerprintSet visited_;
    std::deque<Origin> origins_;  // of each state, in the order in which they were found
    std::deque<Chunk> next_;      // found and not yet expanded
    std::uint32_t expanded_ = 0;  // the number of the state that is being expanded
    Found found_;
};

}  // namespace posthorse::model
