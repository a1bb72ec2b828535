#include "replication/ownership.h"

#include <algorithm>

#include "proto/types/assert.h"
#include "replication/core/placement.h"

namespace posthorse::replication {
namespace {

constexpr Duration look_every = std::chrono::seconds{1};
constexpr Duration heal_every = std::chrono::milliseconds{100};
constexpr Duration mend_every = std::chrono::seconds{5};

}  // namespace

Ownership::Ownership(Ports ports, Settings settings, Events events, AttemptBook& attempts)
    : ports_(ports),
      settings_(settings),
      events_(std::move(events)),
      pace_(settings.heal_bytes_per_second),
      held_(ports.store, ports.control, ports.streams, ports.home, pace_, attempts),
      streams_(ports.control, ports.streams),
      short_mail_(partitions_, ports.control, ports.store) {
    ports_.streams.receive(*this);
}

Ownership::~Ownership() = default;

template <class Call>
auto Ownership::while_alive(Call call) {
    return [alive = std::weak_ptr<char>(alive_), call = std::move(call)](auto&&... args) mutable {
        if (!alive.expired()) call(std::forward<decltype(args)>(args)...);
    };
}

OwnedPartition* Ownership::find(PartitionId id) {
    const auto found = partitions_.find(id);
    return found == partitions_.end() ? nullptr : found->second.get();
}

const OwnedPartition* Ownership::find(PartitionId id) const {
    const auto found = partitions_.find(id);
    return found == partitions_.end() ? nullptr : found->second.get();
}

// ------------------------------------------------------------------ the pool's value

void Ownership::pool_changed(const PoolState& state) {
    const auto self = ports_.control.self();
    for (const auto& [id, partition] : std::map(partitions_)) {
        const auto* now = state.find(id);
        // An earlier epoch: the pool goes on from a disk of the past, and nobody could tell.
        const bool mine = now != nullptr && now->owner == self;
        if (!mine || now->epoch < partition->state().epoch)
            disown(id);
        else if (*now != partition->state())
            partition->changed(*now);
    }
    std::erase_if(taking_up_, [&](const auto& entry) {
        const auto* now = state.find(entry.first);
        const bool goes_on =
            now != nullptr && now->owner == self && now->epoch == entry.second->state().epoch;
        if (!goes_on) entry.second->end();
        return !goes_on;
    });
    handed_over_.follow(state, self);
    const auto* own_member = state.member(self);
    drains_ = own_member != nullptr && own_member->draining;
    somebody_leaves_ =
        std::any_of(state.members.begin(), state.members.end(),
                    [](const Member& member) { return member.draining && member.live; });
    pace_.unleash(is_urgent());
    held_.pool_changed(state);
    for (const auto node : streams_.follow(state)) went_down(node);
    takeover_times_.changed(state, self, ports_.clock.boot());
    untaken_.clear();
    for (const auto& partition : state.partitions) {
        const bool mine = partition.owner == self && !handed_over_.contains(partition.id);
        if (mine && !partitions_.contains(partition.id) && !taking_up_.contains(partition.id))
            own(partition);
    }
    drop_garbage(state);
}

void Ownership::own(const PartitionState& state) {
    const auto taking =
        std::make_shared<TakeUp>(state, ports_.control.self(), ports_.store, ports_.streams,
                                 while_alive([this, state](Result<storage::Position> base) {
                                     taken_up(state, std::move(base));
                                 }));
    taking_up_[state.id] = taking;
    taking->begin(ports_.clock.boot());
}

// In an epoch that this node owned before, an accepted value had taken it and was never committed.
void Ownership::taken_up(const PartitionState& state, Result<storage::Position> base) {
    const auto keep_alive = taking_up_.extract(state.id);
    if (!base) {
        untaken_.push_back(state);
        return events_.taken(state.id, base.error());
    }
    const auto former = former_.extract(state.id);
    const bool goes_on = !former.empty() && former.mapped()->state().epoch == state.epoch;
    const auto partition = goes_on ? former.mapped()
                                   : std::make_shared<OwnedPartition>(
                                         state, ports_.control.self(), *base, settings_.partition,
                                         ports_.store, ports_.streams, pace_);
    partitions_[state.id] = partition;
    if (goes_on) partition->changed(state);
    partition->begin(reached());
    events_.taken(state.id, {});
}

void Ownership::disown(PartitionId id) {
    const auto partition = partitions_.extract(id);
    former_[id] = partition.mapped();
    events_.given_up(id);
    partition.mapped()->abandon();
}

// A partition that its owner retired was empty. Of others that are gone a copy may be of use yet.
void Ownership::drop_garbage(const PoolState& state) {
    const bool same_pool = std::exchange(pool_incarnation_, state.incarnation) == state.incarnation;
    for (const auto id : std::exchange(retiring_, {})) {
        if (state.find(id) != nullptr || !same_pool) continue;
        former_.erase(id);
        ports_.store.drop(id, [](Result<void>) {});
    }
    for (const auto& partition : state.partitions) {
        if (partition.owner && partition.phase == PartitionPhase::closing)
            retiring_.insert(partition.id);
    }
}

// ------------------------------------------------------------------ time

void Ownership::tick() {
    const auto now = ports_.clock.boot();
    pace_.advance(now);
    held_.tick();
    for (const auto& [id, taking] : std::map(taking_up_)) {
        const auto silence = settings_.partition.times.silence;
        for (const auto node : taking->tick(now, silence)) silent(taking->state(), node);
    }
    for (const auto& [id, partition] : std::map(partitions_)) tend(*partition);
    if (now >= next_look_for_oldest_) {
        next_look_for_oldest_ = now + look_every;
        short_mail_.look_for_oldest();
    }
    if (now < next_heal_) return;
    next_heal_ = now + heal_every;
    heal();
    look_for_empty(now);
    if (now >= next_mend_ && ports_.store.stats().set_aside > 0) {
        next_mend_ = now + mend_every;
        for (const auto& [id, partition] : partitions_) mend(id);
    }
    if (drains_) hand_over();
    for (auto& change : handed_over_.due(drains_, now)) propose(std::move(change));
    if (now >= next_take_up_ && ports_.store.healthy()) {
        next_take_up_ = now + look_every;
        for (const auto& state : std::exchange(untaken_, {})) own(state);
    }
}

void Ownership::propose(Change change) {
    ports_.control.propose(std::move(change), [](Result<void>) {});
}

void Ownership::silent(const PartitionState& state, NodeId holder) {
    healing_.avoid(holder, ports_.clock.boot());
    propose(DropHolder{state.id, state.epoch, holder});
}

void Ownership::tend(OwnedPartition& partition) {
    const auto now = ports_.clock.boot();
    const auto state = partition.state();
    const auto due = partition.tick(now);
    for (const auto node : due.silent) silent(state, node);
    if (due.called_off) healing_.avoid(*due.called_off, now);
    if (due.propose_holder) propose(AddHolder{state.id, state.epoch, *due.propose_holder});
    // Who is about to go would take with it what nobody else knows.
    if (!due.silent.empty() && !hurries_ && ports_.control.unevictable())
        intents_waived_ += partition.waive_intents(now);
}

void Ownership::hurry() {
    hurries_ = true;
    pace_.unleash(true);
}

void Ownership::hasten() {
    constexpr Duration give_up = std::chrono::seconds{1};
    settings_.partition.times.give_up = give_up;
    for (const auto& [id, partition] : partitions_) partition->hasten(give_up);
}

// ------------------------------------------------------------------ healing

void Ownership::look_for_empty(BootTime now) {
    if (now < next_look_ && !is_urgent()) return;
    next_look_ = now + look_every;
    for (const auto& [id, partition] : std::map(partitions_)) {
        if (partition->state().phase == PartitionPhase::closing) retire(id, *partition);
    }
}

void Ownership::heal() {
    const auto& pool = ports_.control.read();
    Healing::Situation here{
        .urgent = is_urgent(), .leaving = hurries_, .draining = drains_, .reached = reached()};
    std::vector<Healing::ShortSet> sets;
    for (const auto& [id, partition] : partitions_) {
        if (partition->invited())
            here.inviting += 1;
        else if (is_short(pool, partition->state()))
            sets.push_back({&partition->state(), may_have_mail(*partition)});
    }
    const auto steps = healing_.due(pool, sets, here, ports_.clock.boot());
    for (const auto id : steps.close) propose(ClosePartition{id});
    for (const auto& [id, node] : steps.invite) {
        if (auto* partition = find(id)) partition->invite(node, true);
    }
}

// What was set aside somebody else may have.
bool Ownership::may_have_mail(const OwnedPartition& partition) const {
    const auto id = partition.state().id;
    return ports_.store.count(id) > 0 || partition.under_way() > 0 || damaged_.contains(id);
}

std::function<bool(NodeId)> Ownership::reached() const {
    return [this](NodeId node) { return is_up(node); };
}

// What was set aside because it could not be read: another holder may have it.
void Ownership::mend(PartitionId id) {
    ports_.store.damaged(id, while_alive([this, id](Result<std::vector<QueueId>> damaged) {
                             auto* partition = find(id);
                             if (!damaged || partition == nullptr) return;
                             if (damaged->empty()) damaged_.erase(id);
                             if (!damaged->empty()) damaged_.insert(id);
                             for (const auto message : *damaged)
                                 partition->fetch(message, OwnedPartition::Lost::record);
                         }));
}

void Ownership::fetch_body(QueueId id) {
    if (auto* partition = find(id.partition())) partition->fetch(id, OwnedPartition::Lost::body);
}

std::uint64_t Ownership::mended() const {
    std::uint64_t mended = 0;
    for (const auto& [id, partition] : partitions_) mended += partition->mended();
    return mended;
}

// A closing partition without a message is of no use to anybody.
void Ownership::retire(PartitionId id, OwnedPartition& partition) {
    if (partition.under_way() > 0 || ports_.store.count(id) > 0 || !events_.is_quiet(id)) return;
    const auto epoch = partition.state().epoch;
    ports_.store.damaged(id, while_alive([this, id, epoch](Result<std::vector<QueueId>> damaged) {
                             if (!damaged || !damaged->empty()) return;  // others may have it
                             look_for_mail(id, epoch);
                         }));
}

// Counts are not enough to throw mail away by.
void Ownership::look_for_mail(PartitionId id, Epoch epoch) {
    ports_.store.list(id, QueueId{}, 1,
                      while_alive([this, id, epoch](Result<std::vector<Envelope>> found) {
                          const auto* partition = find(id);
                          const bool empty = found && found->empty() && partition != nullptr &&
                                             partition->under_way() == 0 && events_.is_quiet(id);
                          if (!empty || partition->state().epoch != epoch) return;
                          propose(RetirePartition{id, epoch});
                      }));
}

// ------------------------------------------------------------------ draining

// A copy that is being made meanwhile its next owner makes.
void Ownership::hand_over() {
    for (const auto& [id, partition] : std::map(partitions_)) {
        const auto state = partition->state();
        const bool quiet = partition->under_way() == 0 && events_.is_quiet(id);
        if (!quiet || ports_.store.count(id) == 0) continue;  // an empty one is retired
        const auto to = next_owner(ports_.control.read(), state, reached());
        if (!to) continue;
        disown(id);
        handed_over_.add(state, *to);
    }
}

// ------------------------------------------------------------------ frames

void Ownership::up(NodeId node) {
    streams_.up(node);
    takeover_times_.up(node);
    for (const auto& [id, taking] : std::map(taking_up_)) taking->up(node);
    for (const auto& [id, partition] : std::map(partitions_)) partition->up(node);
    events_.up(node);
}

void Ownership::down(NodeId node) {
    streams_.down(node);
    went_down(node);
}

void Ownership::went_down(NodeId node) {
    takeover_times_.down(node, ports_.clock.boot());
    for (const auto& [id, partition] : std::map(partitions_)) partition->down(node);
}

void Ownership::answered(NodeId node, Frame frame) {
    if (auto* tell = std::get_if<Tell>(&frame)) return events_.told(std::move(*tell));
    const auto id = slice_of(frame).partition;
    const auto now = ports_.clock.boot();
    if (const auto taking = taking_up_.find(id); taking != taking_up_.end()) {
        const auto keep_alive = taking->second;
        return keep_alive->answered(node, std::move(frame), now);
    }
    if (const auto owned = partitions_.find(id); owned != partitions_.end()) {
        const auto keep_alive = owned->second;
        keep_alive->answered(node, std::move(frame), now);
    }
}

void Ownership::drained(NodeId node) {
    for (const auto& [id, partition] : std::map(partitions_)) partition->drained(node);
}

void Ownership::came(LinkId link, const PeerStreams::Peer& from, Frame frame) {
    held_.came(link, from, std::move(frame));
}

void Ownership::ended(LinkId link) {
    held_.ended(link);
}

void Ownership::drained(LinkId link) {
    held_.drained(link);
}

}  // namespace posthorse::replication
