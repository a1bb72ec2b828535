// The states of processes and their calls, each computed once and named by a number.
//
// Contract  call() asks a process to do one thing at one time and returns what became of it; the
//           same question gets the same answer.
#pragma once

#include <deque>
#include <map>
#include <unordered_map>
#include <vector>

#include "tests/model/lease/process.h"
#include "tests/model/lease/scope.h"
#include "tests/model/lease/values.h"

namespace posthorse::model::lease {

using ProcessNumber = std::uint32_t;
using MessageNumber = std::uint16_t;

// One thing that a process does or that happens to it.
struct Action {
    static constexpr std::uint16_t renew = 0, beat = 1, leave = 2, restart = 3, publish = 4;
    static constexpr std::uint16_t publish_extra = 5, stand = 16, deliver = 32;
    std::uint16_t code;
};

// The time of a process: units since the beginning, and how far its wall clock was put back.
struct Time {
    std::uint8_t boot = 0;
    std::uint8_t put_back = 0;
};

struct Outcome {
    ProcessNumber process = 0;
    std::vector<MessageNumber> sent;
    std::optional<std::uint8_t> committed;
};

class Machines {
public:
    explicit Machines(const Scope& scope) : scope_(scope) {}

    // Each slot's process at the beginning. Only once.
    std::vector<ProcessNumber> found();
    const Outcome& call(ProcessNumber process, Action action, Time time);

    const Process& process(ProcessNumber number) const { return processes_[number].process; }
    // The epoch of the partition, when this process owns it by what it may act on.
    std::optional<Epoch> owned_epoch(ProcessNumber number) const {
        return processes_[number].owned_epoch;
    }
    const Message& message(MessageNumber number) const { return messages_[number]; }
    const replication::Published& published(std::uint8_t number) const {
        return values_.published(number);
    }
    // Each slot has a clock of its own: none is ever compared with another's.
    static Clocks clocks(Slot slot, Time time);

    std::size_t process_count() const { return processes_.size(); }
    std::size_t call_count() const { return calls_.size(); }

private:
    struct Kept {
        Process process;
        Slot slot;
        std::optional<Epoch> owned_epoch;
    };

    ProcessNumber keep(Process process, Slot slot);
    MessageNumber keep(const Message& message);
    Outcome make(ProcessNumber number, Action action, Time time);

    const Scope& scope_;
    Values values_;
    std::deque<Kept> processes_;
    std::unordered_multimap<std::size_t, ProcessNumber> numbers_;
    std::vector<Message> messages_;
    std::map<Message, MessageNumber> message_numbers_;
    std::unordered_map<std::uint64_t, Outcome> calls_;
};

}  // namespace posthorse::model::lease
