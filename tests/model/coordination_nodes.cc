#include "tests/model/coordination_nodes.h"

#include <algorithm>
#include <utility>

#include "proto/types/assert.h"

namespace posthorse::model {

using namespace replication;
using Kind = Message::Kind;

namespace {

// A value is an address in here.
const std::array<char, 256> values{};
const std::shared_ptr<const void> values_owner(&values, [](const void*) {});

NodeId id_of(Self self) {
    NodeId id;
    id.bytes.fill(static_cast<std::uint8_t>(self + 1));
    return id;
}

Mask mask_of(const std::vector<NodeId>& nodes) {
    Mask mask = 0;
    for (const auto& node : nodes) mask = static_cast<Mask>(mask | 1u << (node.bytes[0] - 1u));
    return mask;
}

Configuration configuration_of(Mask mask) {
    Configuration configuration;
    for (Self self = 0; self < node_count; ++self) {
        if (mask >> self & 1) configuration.voters.push_back(id_of(self));
    }
    return configuration;
}

Spot spot_of(const Place& place) {
    return {static_cast<std::uint8_t>(place.term.value),
            static_cast<std::uint8_t>(place.version.value)};
}

Place place_of(const Spot& spot) {
    return {Term{spot.term}, PoolVersion{spot.version}};
}

std::string text(Self self) {
    return std::string(1, static_cast<char>('A' + self));
}

std::string text(const Spot& spot) {
    return std::to_string(spot.term) + "." + std::to_string(spot.version);
}

std::string nodes_text(Mask mask) {
    std::string names = "{";
    for (Self self = 0; self < node_count; ++self) {
        if (mask >> self & 1) names += text(self);
    }
    return names + "}";
}

}  // namespace

Action Action::propose(std::size_t configuration_index, std::size_t value_index) {
    return {static_cast<std::uint16_t>(propose_code + 2 * configuration_index + value_index)};
}
Action Action::start_join(std::uint8_t term, Self candidate) {
    return {static_cast<std::uint16_t>(start_join_code + 4 * term + candidate)};
}
Action Action::deliver(MessageNumber message) {
    return {static_cast<std::uint16_t>(deliver_code + message)};
}

const std::array<Nodes::Permutation, Nodes::permutation_count>& Nodes::permutations() {
    static const std::array<Permutation, permutation_count> all{
        {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}};
    return all;
}

Mask Nodes::renamed(Mask mask, const Permutation& names) {
    Mask result = 0;
    for (Self self = 0; self < node_count; ++self) {
        if (mask >> self & 1) result = static_cast<Mask>(result | 1u << names[self]);
    }
    return result;
}

Nodes::Nodes(const Scope& scope) : scope_(scope) {
    PH_ASSERT(scope.terms <= 7 && scope.versions <= 15 && scope.configurations.size() <= 7);
}

// Number 0 is no value; of proposals each has its own, with the proposer's name in it.
std::uint8_t Nodes::value_number(Self self, const Spot& spot, std::size_t index) const {
    if (scope_.values == Values::two) return static_cast<std::uint8_t>(1 + index);
    const unsigned place = (spot.term - 1u) * scope_.versions + (spot.version - 1u);
    return static_cast<std::uint8_t>(1 + self + node_count * place);
}

std::uint8_t Nodes::renamed_value(std::uint8_t number, const Permutation& names) const {
    if (scope_.values == Values::two || number == 0) return number;
    const auto self = (number - 1u) % node_count;
    return static_cast<std::uint8_t>(number - self + names[self]);
}

Value Nodes::value(std::uint8_t number) const {
    if (number == 0) return nullptr;
    return Value(values_owner, reinterpret_cast<const PoolState*>(&values[number]));
}

std::uint8_t Nodes::number_of(const Value& value) const {
    if (value == nullptr) return 0;
    return static_cast<std::uint8_t>(reinterpret_cast<const char*>(value.get()) - values.data());
}

MessageNumber Nodes::number_of(const Message& message) {
    const auto bytes = [this](const Message& m, const Permutation& names) {
        const auto name = [&](Self self) { return static_cast<char>(names[self]); };
        return std::string{static_cast<char>(m.kind),
                           name(m.from),
                           name(m.to),
                           static_cast<char>(m.spot.term),
                           static_cast<char>(m.spot.version),
                           static_cast<char>(m.other.term),
                           static_cast<char>(m.other.version),
                           static_cast<char>(renamed_value(m.value, names)),
                           static_cast<char>(renamed(m.configuration, names)),
                           static_cast<char>(renamed(m.committed, names))};
    };
    // Who sends or gets a message of which only the place counts is not part of its name.
    const bool is_nameless = message.kind == Kind::commit || message.kind >= Kind::descends;
    const auto named = [&](std::size_t p) {
        auto result = bytes(message, permutations()[p]);
        if (is_nameless) result[1] = result[2] = 0;
        if (message.kind == Kind::publish || message.kind == Kind::leads) result[2] = 0;
        return "message" + result;
    };
    const auto [known, is_new] =
        message_numbers_.try_emplace(named(0), static_cast<MessageNumber>(messages_.size()));
    if (is_new) {
        PH_ASSERT(messages_.size() < 65'000);
        messages_.push_back({message, {}});
        for (std::size_t p = 0; p < permutation_count; ++p)
            messages_.back().prints[p] = Fingerprint::of(named(p));
    }
    return known->second;
}

Nodes::Key Nodes::key_of(const State& state, const Permutation& names) const {
    const auto& unsaved = state.machine.unsaved();
    Key key{};
    std::size_t at = 0;
    const auto put = [&](auto number) { key[at++] = static_cast<std::uint8_t>(number); };
    put(names[state.info.self]);
    for (const auto* durable : {&state.machine.durable(), &state.disk}) {
        put(durable->current_term.value);
        put(durable->accepted.term.value);
        put(durable->accepted.version.value);
        put(renamed_value(number_of(durable->accepted.value), names));
        put(renamed(mask_of(durable->accepted.configuration.voters), names));
        put(renamed(mask_of(durable->accepted.committed.voters), names));
    }
    put(unsaved.entered_term);
    put(unsaved.elected);
    put(renamed(mask_of(unsaved.joins), names));
    put(unsaved.published.value);
    put(renamed(mask_of(unsaved.published_configuration.voters), names));
    put(renamed(mask_of(unsaved.accepted_by), names));
    for (const auto message : state.waiting) {  // drivers that wait are searched without symmetry
        put(message / 256 + 1);
        put(message % 256);
    }
    return key;
}

NodeNumber Nodes::intern(Self self, CoordinationFsm machine, Durable disk, Sent waiting) {
    State state{std::move(machine), std::move(disk), std::move(waiting), {}, {}};
    const auto& durable = state.machine.durable();
    const auto& unsaved = state.machine.unsaved();
    const auto accepted = spot_of(state.machine.accepted());
    state.info = {
        .self = self,
        .accepted = accepted,
        .on_disk = spot_of({state.disk.accepted.term, state.disk.accepted.version}),
        .term = static_cast<std::uint8_t>(state.disk.current_term.value),
        .memory_term = static_cast<std::uint8_t>(durable.current_term.value),
        .entered = unsaved.entered_term,
        .elected = unsaved.elected,
        .accepted_is_committed = durable.accepted.committed == durable.accepted.configuration,
        .published = static_cast<std::uint8_t>(unsaved.published.value)};
    PH_ASSERT(state.waiting.size() <= 12);
    const auto bytes = [&](const Permutation& names) {
        const auto key = key_of(state, names);
        return std::string("node", 4) + std::string(key.begin(), key.end());
    };
    const auto [known, is_new] = state_numbers_.try_emplace(
        bytes(permutations()[0]), static_cast<NodeNumber>(states_.size()));
    if (is_new) {
        for (std::size_t p = 0; p < permutation_count; ++p)
            state.prints[p] = Fingerprint::of(bytes(permutations()[p]));
        states_.push_back(std::move(state));
    }
    return known->second;
}

NodeNumber Nodes::initial(Self self) {
    const bool knows = !scope_.newcomers || scope_.initial >> self & 1;
    const auto configuration = configuration_of(knows ? scope_.initial : 0);
    const Durable durable{{}, {{}, {}, nullptr, configuration, configuration}};
    return intern(self, CoordinationFsm(durable), durable, {});
}

const Outcome* Nodes::outcomes(NodeNumber node, Action action) {
    if (known_.size() <= node) known_.resize(states_.size());
    if (known_[node].size() <= action.code)
        known_[node].resize(Action::deliver_code + messages_.size(), unknown);
    auto first = known_[node][action.code];
    if (first == unknown) {
        first = static_cast<std::uint32_t>(outcomes_.size());
        known_[node][action.code] = first;
        run(node, action);
    }
    return &outcomes_[first];
}

void Nodes::run(NodeNumber node, Action action) {
    const State before = states_[node];
    const Self self = before.info.self;
    if (action.code == Action::restart_code) {
        add_outcome(before, intern(self, CoordinationFsm(before.disk), before.disk, {}), {});
    } else if (action.code == Action::written_code) {
        const auto& machine = before.machine;
        add_outcome(before, intern(self, machine, machine.durable(), {}), before.waiting);
    } else {
        auto machine = before.machine;
        auto sent = call(self, action, machine);
        finish(before, std::move(machine), std::move(sent));
    }
    outcomes_.back().is_last = true;
}

// A crash between the call and its write is a restart in the state before the call.
void Nodes::finish(const State& before, CoordinationFsm machine, Sent sent) {
    const Self self = before.info.self;
    const bool changed = machine.durable() != before.machine.durable();
    const bool is_behind = machine.durable() != before.disk;
    auto waiting = before.waiting;
    switch (scope_.driver) {
        case Driver::durable:
        case Driver::send_before_write: {
            add_outcome(before, intern(self, machine, machine.durable(), {}), sent);
            if (!changed || scope_.driver == Driver::durable) return;
            const auto lost = intern(self, CoordinationFsm(before.disk), before.disk, {});
            return add_outcome(before, lost, sent);
        }
        case Driver::overtake:
        case Driver::queue:
            if (scope_.driver == Driver::queue ? is_behind : changed) {
                for (const auto message : sent) {
                    if (std::find(waiting.begin(), waiting.end(), message) == waiting.end())
                        waiting.push_back(message);
                }
                sent.clear();
            }
            return add_outcome(before, intern(self, machine, before.disk, waiting), sent);
    }
}

void Nodes::add_outcome(const State& before, NodeNumber after, const Sent& sent) {
    Outcome outcome{.node = after,
                    .elected = states_[after].info.elected && !before.info.elected,
                    .sent_count = static_cast<std::uint8_t>(sent.size()),
                    .is_last = false,
                    .sent = {}};
    PH_ASSERT(sent.size() <= outcome.sent.size());
    std::copy(sent.begin(), sent.end(), outcome.sent.begin());
    outcomes_.push_back(outcome);
}

Nodes::Sent Nodes::call(Self self, Action action, CoordinationFsm& machine) {
    if (action.code < Action::start_join_code) return propose(self, action, machine);
    if (action.code < Action::deliver_code) return start_join(self, action, machine);
    const Message received = messages_[action.code - Action::deliver_code].message;
    return deliver(self, received, machine);
}

Nodes::Sent Nodes::start_join(Self self, Action action, CoordinationFsm& machine) {
    const auto code = action.code - Action::start_join_code;
    const auto join = machine.start_join(Term{static_cast<std::uint64_t>(code / 4)});
    if (!join) return {};
    const auto spot = spot_of({join->accepted_term, join->accepted_version});
    return {number_of({.kind = Kind::join,
                       .from = self,
                       .to = static_cast<Self>(code % 4),
                       .spot = {static_cast<std::uint8_t>(join->term.value), 0},
                       .other = spot})};
}

Nodes::Sent Nodes::propose(Self self, Action action, CoordinationFsm& machine) {
    const std::size_t code = action.code - Action::propose_code;
    const auto parent = spot_of(machine.accepted());
    const Spot next{static_cast<std::uint8_t>(machine.term().value),
                    static_cast<std::uint8_t>(machine.unsaved().published.value + 1)};
    if (next.version > scope_.versions || next.term == 0) return {};
    const auto number = value_number(self, next, code % 2);
    const auto configuration = configuration_of(scope_.configurations[code / 2]);
    const auto published = machine.propose(value(number), configuration);
    if (!published) return {};
    const auto spot = spot_of({published->term, published->version});
    PH_ASSERT(spot == next && number_of(published->value) == number);
    return {number_of({.kind = Kind::publish,
                       .from = self,
                       .spot = spot,
                       .value = number,
                       .configuration = mask_of(published->configuration.voters),
                       .committed = mask_of(published->committed.voters)}),
            number_of({.kind = Kind::descends, .spot = spot, .other = parent})};
}

Nodes::Sent Nodes::deliver(Self self, const Message& message, CoordinationFsm& machine) {
    const auto place = place_of(message.spot);
    if (message.kind == Kind::join) {
        const auto accepted = place_of(message.other);
        machine.join(id_of(message.from), {place.term, accepted.term, accepted.version});
    } else if (message.kind == Kind::publish) {
        const Published published{place.term, place.version, value(message.value),
                                  configuration_of(message.configuration),
                                  configuration_of(message.committed)};
        const auto accepted = machine.accept(published);
        PH_ASSERT(!accepted || machine.durable().accepted == published);
        if (accepted)
            return {number_of({.kind = Kind::accepted,
                               .from = self,
                               .to = message.from,
                               .spot = spot_of(*accepted)})};
    } else if (message.kind == Kind::accepted) {
        const auto committed = machine.accepted_by(id_of(message.from), place);
        if (committed) return {number_of({.kind = Kind::commit, .spot = spot_of(*committed)})};
    } else {
        machine.commit(place);
    }
    return {};
}

std::string Nodes::describe(NodeNumber node) const {
    const auto& [machine, disk, waiting, info, prints] = states_[node];
    const auto& accepted = machine.durable().accepted;
    const auto& unsaved = machine.unsaved();
    std::string line = text(info.self) + " term " + std::to_string(machine.term().value) +
                       ", accepted " + text(info.accepted) + " " +
                       nodes_text(mask_of(accepted.configuration.voters)) + " after " +
                       nodes_text(mask_of(accepted.committed.voters));
    if (!unsaved.joins.empty()) line += ", joined by " + nodes_text(mask_of(unsaved.joins));
    if (unsaved.elected) {
        line += ", leads, published version " + std::to_string(info.published) + " accepted by " +
                nodes_text(mask_of(unsaved.accepted_by));
    }
    if (disk != machine.durable())
        line += ", on disk term " + std::to_string(info.term) + " accepted " + text(info.on_disk);
    return line;
}

std::string Nodes::describe(const Message& m) const {
    switch (m.kind) {
        case Kind::join:
            return "Join of " + text(m.from) + " for " + text(m.to) + " in term " +
                   std::to_string(m.spot.term) + ", having " + text(m.other);
        case Kind::publish:
            return "Publish " + text(m.spot) + " of " + text(m.from) + ", value " +
                   std::to_string(m.value) + ", configuration " + nodes_text(m.configuration) +
                   " after " + nodes_text(m.committed);
        case Kind::accepted:
            return "Accepted " + text(m.spot) + " of " + text(m.from);
        case Kind::commit:
            return "Commit " + text(m.spot);
        case Kind::leads:
            return text(m.from) + " leads term " + std::to_string(m.spot.term) +
                   ", published up to version " + std::to_string(m.spot.version);
        case Kind::descends:
            return text(m.spot) + " is made from " + text(m.other);
        case Kind::top:
            return text(m.spot) + " is committed";
        case Kind::restarted:
            return std::to_string(m.spot.version) + " restarts";
    }
    return {};
}

}  // namespace posthorse::model
