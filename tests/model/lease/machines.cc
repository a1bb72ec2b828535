#include "tests/model/lease/machines.h"

#include "proto/types/assert.h"

namespace posthorse::model::lease {

using namespace replication;

namespace {

PoolState first_value(const Scope& scope) {
    PoolState pool;
    pool.pool_id = "pool";
    pool.version = {1};
    pool.settings.lease_ttl = ttl;
    Mask nodes = 0;
    for (const auto node : scope.processes) nodes = static_cast<Mask>(nodes | 1u << node);
    std::vector<NodeId> holders{id_of(scope.owner)};
    for (std::uint8_t node = 0; node < nodes_max; ++node) {
        if (!(nodes >> node & 1)) continue;
        pool = changed(pool, Start{id_of(node), {1, node}, {}}).value();
        if (node != scope.owner) holders.push_back(id_of(node));
    }
    return changed(pool, OpenPartition{holders}).value();
}

}  // namespace

Clocks Machines::clocks(Slot slot, Time time) {
    const BootTime boot{Duration{1000 * slot + 500 + time.boot}};
    return {boot, boot - Duration{time.put_back}};
}

std::vector<ProcessNumber> Machines::found() {
    PH_ASSERT(processes_.empty());
    const auto voters = configuration_of(scope_.voters);
    const Published first{Term{1}, PoolVersion{1}, values_.keep(first_value(scope_)), voters,
                          voters};
    values_.number_of(first);
    std::vector<ProcessNumber> numbers;
    for (Slot slot = 0; slot < scope_.processes.size(); ++slot) {
        Process process(scope_, values_, slot);
        process.found(first, clocks(slot, {}), scope_.processes[slot] == scope_.leader);
        numbers.push_back(keep(std::move(process), slot));
    }
    return numbers;
}

ProcessNumber Machines::keep(Process process, Slot slot) {
    const auto hash = process.hash();
    const auto [begin, end] = numbers_.equal_range(hash);
    for (auto at = begin; at != end; ++at) {
        if (processes_[at->second].process == process) return at->second;
    }
    const auto number = static_cast<ProcessNumber>(processes_.size());
    const auto epoch = process.owned_epoch();
    processes_.push_back({std::move(process), slot, epoch});
    numbers_.emplace(hash, number);
    return number;
}

MessageNumber Machines::keep(const Message& message) {
    const auto [at, is_new] =
        message_numbers_.try_emplace(message, static_cast<MessageNumber>(messages_.size()));
    if (is_new) messages_.push_back(message);
    PH_ASSERT(messages_.size() < 65'000);
    return at->second;
}

const Outcome& Machines::call(ProcessNumber process, Action action, Time time) {
    const std::uint64_t key = std::uint64_t{process} << 32 | std::uint64_t{action.code} << 16 |
                              std::uint64_t{time.put_back} << 8 | time.boot;
    const auto found = calls_.find(key);
    if (found != calls_.end()) return found->second;
    return calls_.emplace(key, make(process, action, time)).first->second;
}

Outcome Machines::make(ProcessNumber number, Action action, Time time) {
    const Slot slot = processes_[number].slot;
    Process process = processes_[number].process;
    const Clocks now = clocks(slot, time);
    Effects effects;
    if (action.code >= Action::deliver) {
        const Message message = messages_[static_cast<std::size_t>(action.code - Action::deliver)];
        process.deliver(message, now, effects);
    } else if (action.code >= Action::stand) {
        process.stand(static_cast<std::uint8_t>(action.code - Action::stand), now, effects);
    } else if (action.code >= Action::publish_extra) {
        const auto& extra =
            scope_.extras[static_cast<std::size_t>(action.code - Action::publish_extra)];
        process.publish(&extra, now, effects);
    } else if (action.code == Action::publish) {
        process.publish(nullptr, now, effects);
    } else if (action.code == Action::renew) {
        process.renew(now, effects);
    } else if (action.code == Action::beat) {
        process.beat(now, effects);
    } else if (action.code == Action::leave) {
        process.leave(now, effects);
    } else {
        process.restart();
    }
    Outcome outcome;
    outcome.process = keep(std::move(process), slot);
    for (const auto& message : effects.sent) outcome.sent.push_back(keep(message));
    outcome.committed = effects.committed;
    return outcome;
}

}  // namespace posthorse::model::lease
