#include "tests/sim/pool/pool.h"

#include <algorithm>

#include "replication/core/placement.h"
#include "storage/queue_key.h"
#include "storage/queue_record.h"

namespace posthorse::sim::pool {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t drift_max = 10'000;  // in a million, either way

std::string number(PartitionId partition) {
    return "partition " + std::to_string(partition.value);
}

// Whether a power loss now would leave the message whole.
bool durable_on(const storage::MemoryDisk& disk, const Envelope& envelope) {
    if (!disk.is_synced(storage::Family::envelope, storage::envelope_key(envelope.id)))
        return false;
    for (std::uint32_t index = 0; index <= envelope.chunk_count; ++index)
        if (!disk.is_synced(storage::Family::body, storage::body_key(envelope.id, index)))
            return false;
    return true;
}

using Records = std::vector<std::pair<std::string, std::string>>;

// Bodies that never became messages are garbage until the next start: they do not count.
Records records(const storage::MemoryDisk& disk, storage::Family family, PartitionId partition) {
    Records found;
    const auto is_of_message = [&](std::string_view key) {
        const auto id = storage::body_id(key);
        return !id || disk.get(storage::Family::envelope, storage::envelope_key(*id)).has_value();
    };
    const auto scanned = disk.scan(family, storage::partition_range(partition),
                                   [&](std::string_view key, std::string_view value) {
                                       if (family != storage::Family::body || is_of_message(key))
                                           found.emplace_back(key, value);
                                       return true;
                                   });
    PH_ASSERT(scanned.has_value());
    return found;
}

// Of a record of any family but meta.
QueueId id_of(std::string_view key) {
    if (const auto id = storage::envelope_id(key)) return *id;
    if (const auto id = storage::body_id(key)) return *id;
    const auto due = storage::due_position(key);
    return due ? due->id : QueueId{};
}

std::string hex(std::string_view bytes) {
    constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        text += digits[static_cast<unsigned char>(c) >> 4];
        text += digits[static_cast<unsigned char>(c) & 15];
    }
    return text;
}

std::string first_difference(storage::Family family, const Records& has, const Records& held) {
    const auto [one, other] = std::ranges::mismatch(has, held);
    const bool lacks = one != has.end() && (other == held.end() || one->first < other->first);
    const bool differs = one != has.end() && other != held.end() && one->first == other->first;
    const auto& key = lacks || differs ? one->first : other->first;
    return std::string(1, storage::to_char(family)) + " " + hex(key) +
           (differs ? " is another"
            : lacks ? " is missing"
                    : " is too much");
}

}  // namespace

Pool::Pool(Surroundings around, replication::PoolSettings settings)
    : around_(std::move(around)), settings_(settings) {}

Machine& Pool::add(Kind kind) {
    auto& world = around_.world;
    const auto index = machines_.size();
    if (index == 0) zones_ = world.chance(30);
    Machine::Setup setup{.index = index,
                         .address = "n" + std::to_string(index + 1) + ":4190",
                         .zone = zones_ ? std::string(1, static_cast<char>('a' + index % 3)) : "",
                         .alone = kind.alone,
                         .expect = kind.expect,
                         .clock = {}};
    setup.clock.offset = world.between(0s, 10'000'000s);
    setup.clock.drift = static_cast<std::int64_t>(world.below(2 * drift_max + 1)) -
                        static_cast<std::int64_t>(drift_max);
    machines_.push_back(std::make_unique<Machine>(*this, std::move(setup)));
    return *machines_.back();
}

std::vector<std::string> Pool::addresses() const {
    std::vector<std::string> addresses;
    for (const auto& machine : machines_) {
        if (!machine->retired) addresses.push_back(machine->address());
    }
    return addresses;
}

void Pool::forget(const Machine& machine) {
    if (machine.runs()) seen_.erase(&machine.node()->control());
}

void Pool::estranged(const Machine& machine, const std::string& why) {
    if (!strangers_excused)
        around_.journal.fail(machine.label() + " became a stranger without a reason: " + why);
}

void Pool::has_left(Machine& machine) {
    if (on_left) on_left(machine);
}

// ------------------------------------------------------------------ who

Machine* Pool::leader() {
    for (const auto& machine : machines_) {
        if (machine->runs() && machine->node()->control().core().leads()) return machine.get();
    }
    return nullptr;
}

Machine* Pool::other_than(const Machine* one) {
    std::vector<Machine*> others;
    for (const auto& machine : machines_) {
        if (machine->runs() && machine.get() != one) others.push_back(machine.get());
    }
    return others.empty() ? nullptr : others[around_.world.below(others.size())];
}

Machine* Pool::any() {
    return other_than(nullptr);
}

Machine* Pool::serving() {
    std::vector<Machine*> found;
    for (const auto& machine : machines_) {
        if (machine->serves()) found.push_back(machine.get());
    }
    return found.empty() ? nullptr : found[around_.world.below(found.size())];
}

const Machine* Pool::with(const NodeId& node) const {
    for (const auto& machine : machines_) {
        if (machine->id() == node) return machine.get();
    }
    return nullptr;
}

Machine* Pool::with(const NodeId& node) {
    return const_cast<Machine*>(std::as_const(*this).with(node));
}

Machine* Pool::owner_of(QueueId id) {
    const auto* partition = newest_ ? newest_->find(id.partition()) : nullptr;
    return partition != nullptr && partition->owner ? with(*partition->owner) : nullptr;
}

std::vector<Machine*> Pool::wanted() {
    std::vector<Machine*> wanted;
    for (const auto& machine : machines_) {
        if (!machine->retired) wanted.push_back(machine.get());
    }
    return wanted;
}

// ------------------------------------------------------------------ values

void Pool::stepped(const SimControl& control) {
    const auto* election = control.core().election();
    if (election == nullptr) return;
    const auto* machine = with(control.self());
    if (machine != nullptr && machine->went_back() && !rolled_back &&
        !around_.journal.violation()) {
        rolled_back = true;
        around_.counts.rolled_back += 1;
        around_.journal.note(machine->label() + " goes on with its old disk: the run ends");
    }
    if (!election->committed()) return;
    const auto& value = *election->committed();
    auto& seen = seen_[&control];
    if (seen == value.version) return;
    seen = value.version;
    if (newest_ && newest_->version >= value.version) return;
    new_value(value);
}

void Pool::new_value(const PoolState& value) {
    const PoolState before = newest_.value_or(PoolState{});
    newest_ = value;
    if (around_.journal.told()) {
        around_.journal.note("version " + std::to_string(value.version.value) + ":" +
                             around_.journal.show_step(before, value));
    }
    count_step(before, value);
    check_value(value);
    for (const auto& partition : value.partitions) {
        if (partition.unvouched) around_.history.unvouched(partition.id);
    }
}

void Pool::check_value(const PoolState& value) {
    for (const auto& one : value.partitions) {
        const bool solo = one.solo && one.phase == replication::PartitionPhase::open;
        if (solo && one.in_sync.size() > 1)
            around_.journal.fail(number(one.id) +
                                 " is its owner's alone and open, and others hold it");
    }
}

void Pool::count_step(const PoolState& before, const PoolState& after) {
    for (const auto& is : after.partitions) {
        const auto* was = before.find(is.id);
        if (was == nullptr) continue;
        if (is.owner && was->owner != is.owner) around_.counts.takeovers += 1;
        for (const auto& node : is.in_sync)
            if (!was->holds(node)) around_.counts.widened += 1;
        for (const auto& node : was->in_sync)
            if (!is.holds(node)) around_.counts.narrowed += 1;
    }
}

bool Pool::owns(const SimControl& control, QueueId id) const {
    const auto* partition = newest_ ? newest_->find(id.partition()) : nullptr;
    return partition != nullptr && partition->owner == control.self() &&
           newest_->is_live(control.self(), control.incarnation());
}

// A node whose disk was replaced is no holder any more, and one whose disk went back says nothing.
std::vector<Custody> Pool::custody(const Envelope& envelope) const {
    std::vector<Custody> holders;
    const auto* partition = newest_ ? newest_->find(envelope.id.partition()) : nullptr;
    if (partition == nullptr) return {{"nobody", false}};
    for (const auto& node : partition->in_sync) {
        const auto* machine = with(node);
        if (machine == nullptr || machine->went_back()) continue;
        holders.push_back({machine->label(), durable_on(machine->disk().queue, envelope)});
    }
    return holders;
}

std::optional<std::string> Pool::ignorant(QueueId id, std::uint32_t attempt, BootTime since) const {
    const auto* partition = newest_ ? newest_->find(id.partition()) : nullptr;
    if (partition == nullptr) return std::nullopt;
    for (const auto& node : partition->in_sync) {
        const auto* machine = with(node);
        if (machine == nullptr || machine->went_back() || machine->power_failed() >= since)
            continue;
        const auto key = storage::intent_key(id, attempt);
        if (!machine->disk().queue.get(storage::Family::meta, key)) return machine->label();
    }
    return std::nullopt;
}

// ------------------------------------------------------------------ messages

std::vector<Envelope> Pool::messages(const Machine& machine, PartitionId partition) const {
    std::vector<Envelope> envelopes;
    for (const auto& [key, value] :
         records(machine.disk().queue, storage::Family::envelope, partition)) {
        if (auto envelope = storage::decode_envelope(value))
            envelopes.push_back(*std::move(envelope));
    }
    return envelopes;
}

std::vector<Envelope> Pool::messages() const {
    std::vector<Envelope> all;
    if (!newest_) return all;
    for (const auto& partition : newest_->partitions) {
        const auto* machine = with(partition.owner.value_or(partition.in_sync.front()));
        if (machine == nullptr) continue;
        auto some = messages(*machine, partition.id);
        std::ranges::move(some, std::back_inserter(all));
    }
    return all;
}

bool Pool::held_by_others(const Machine& machine, const Envelope& envelope) const {
    const auto* partition = newest_->find(envelope.id.partition());
    return partition != nullptr && std::ranges::any_of(partition->in_sync, [&](const NodeId& node) {
               const auto* other = with(node);
               return other != nullptr && other != &machine &&
                      durable_on(other->disk().queue, envelope);
           });
}

// Also a value that its leader has not written yet may reach the others.
bool Pool::decides_without(const Machine& machine) const {
    const auto is_there = [&](const NodeId& node) {
        return node != machine.id() && with(node) != nullptr && !with(node)->went_back();
    };
    const auto decides = [&](const replication::Configuration& configuration) {
        auto voters = configuration.voters;
        std::erase_if(voters, [&](const NodeId& node) { return !is_there(node); });
        return configuration.is_majority(voters);
    };
    const auto all_decide = [&](const replication::Published& accepted) {
        const bool of_pool = accepted.value && accepted.value->pool_id == newest_->pool_id;
        return !of_pool || (decides(accepted.configuration) && decides(accepted.committed));
    };
    return std::ranges::all_of(machines_, [&](const auto& one) {
        if (!one->runs()) return true;
        const auto* election = one->node()->control().core().election();
        return all_decide(one->disk().record.agreement.accepted) &&
               (election == nullptr || all_decide(election->durable().accepted));
    });
}

bool Pool::can_be_spared(const Machine& machine) const {
    if (!newest_ || !decides_without(machine)) return false;
    const auto has_copies = [&](const NodeId& node) {
        const auto* other = with(node);
        return other != nullptr && other != &machine && !other->went_back();
    };
    return std::ranges::all_of(newest_->partitions, [&](const auto& partition) {
        const bool in_sync = !partition.unvouched;  // else nobody knows what the others have
        return (in_sync && std::ranges::any_of(partition.in_sync, has_copies)) ||
               messages(machine, partition.id).empty();
    });
}

// ------------------------------------------------------------------ is all well?

std::optional<std::string> Pool::unsettled() const {
    if (!newest_) return "there is no pool";
    for (const auto& machine : machines_) {
        if (machine->retired) continue;
        if (auto why = unsettled_node(*machine)) return why;
    }
    return unsettled_partitions();
}

std::optional<std::string> Pool::unsettled_node(const Machine& machine) const {
    if (!machine.runs()) return machine.label() + " does not run";
    const auto& control = machine.node()->control();
    if (!machine.node()->up()) return machine.label() + " is not up";
    if (machine.node()->leaving()) return machine.label() + " has not left yet";
    const auto* member = newest_->member(machine.id());
    if (member == nullptr || member->draining) return machine.label() + " is no full member";
    if (!control.lease_live(machine.now(), replication::drift_margin(settings_.lease_ttl)))
        return machine.label() + " has no lease";
    if (control.core().committed().version != newest_->version)
        return machine.label() + " lacks the newest value";
    if (control.core().status(machine.now()).voters_change)
        return "the change of voters is not done";
    return std::nullopt;
}

std::optional<std::string> Pool::unsettled_partitions() const {
    std::map<NodeId, std::size_t> alone;
    for (const auto& one : newest_->partitions) {
        if (one.owner && one.solo && one.phase == replication::PartitionPhase::open)
            alone[*one.owner] += 1;
        const bool held = std::ranges::any_of(
            one.in_sync, [&](const NodeId& node) { return newest_->is_live(node); });
        if (held && !one.owner) return number(one.id) + " has a holder that lives, and no owner";
    }
    for (const auto& machine : machines_) {
        if (!machine->retired && alone[machine->id()] != 1)
            return machine->label() + " has no partition of its own";
    }
    if (replication::short_partitions(*newest_) == 0) return std::nullopt;
    std::string lacking;
    for (const auto& one : newest_->partitions) {
        const auto copies = replication::staying_holders(*newest_, one);
        if (copies < replication::copies_wanted(*newest_)) lacking += " " + number(one.id);
    }
    return "copies are lacking, among others of" + lacking;
}

std::optional<std::string> Pool::different() const {
    const auto comparable = [&](const Machine& machine, storage::Family family, PartitionId id) {
        auto found = records(machine.disk().queue, family, id);
        std::erase_if(found,
                      [&](const auto& record) { return damaged.contains(id_of(record.first)); });
        return found;
    };
    for (const auto& one : newest_->partitions) {
        const auto* owner = one.owner ? with(*one.owner) : nullptr;
        if (owner == nullptr) continue;
        for (const auto family :
             {storage::Family::envelope, storage::Family::due, storage::Family::body}) {
            const auto has = comparable(*owner, family, one.id);
            for (const auto& node : one.in_sync) {
                const auto* holder = with(node);
                if (holder == nullptr || holder == owner) continue;
                around_.counts.compared += has.empty() ? 0 : 1;
                const auto held = comparable(*holder, family, one.id);
                if (held != has)
                    return number(one.id) + " is not the same at " + owner->label() + " and " +
                           holder->label() + ": " + first_difference(family, has, held);
            }
        }
    }
    return std::nullopt;
}

}  // namespace posthorse::sim::pool
