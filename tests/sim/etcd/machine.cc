#include "tests/sim/etcd/machine.h"

#include <algorithm>

#include "tests/sim/etcd/checker.h"

namespace posthorse::sim::etcd {
namespace {

using namespace std::chrono_literals;

constexpr Duration tick_every = 50ms;

}  // namespace

Machine::Machine(
    World& world, control::Journal& journal, Server& server, Checker& checker, Setup setup)
    : world_(world),
      journal_(journal),
      server_(server),
      checker_(checker),
      setup_(std::move(setup)),
      link_(server.add_link()) {
    replace_disk();
}

std::string Machine::label() const {
    return "n" + std::to_string(setup_.index + 1) + std::string(disks_ - 1, '\'');
}

void Machine::replace_disk() {
    PH_ASSERT(!up());
    disk_ = {};
    for (auto& byte : disk_.self.bytes) byte = static_cast<std::uint8_t>(world_.random());
    disks_ += 1;
    another_s = false;
    if (disks_ > 1) setup_.expect = 1000;  // it comes to a pool, and begins none
    journal_.name(disk_.self, label());
}

// ------------------------------------------------------------------ the process

void Machine::boot() {
    if (up() || retired) return;
    journal_.counts.starts += 1;
    life_ = std::make_shared<Life>(world_);
    EtcdCore::Settings settings;
    settings.facts.name = label();
    settings.facts.address = label() + ":1";
    settings.expect = setup_.expect;
    settings.pool = setup_.pool;
    core_ = std::make_unique<EtcdCore>(disk_, settings, [this] { return world_.random(); });
    reached_ = world_.boot();
    step([&](BootTime now, EtcdEffects& out) { core_->start(now, out); });
    journal_.note(label() + " starts, number " + std::to_string(core_->incarnation().counter));
    schedule_tick();
    after(world_.between(0ms, 500ms), [this] { go(); });
}

void Machine::crash() {
    if (!up()) return;
    journal_.note(label() + " ends");
    if (writing_ && world_.chance(50)) disk_ = *std::move(writing_);
    writing_.reset();
    life_->end();
    life_.reset();
    core_.reset();
    late_.clear();
    claims_.clear();
    handed_.clear();
    asked_.clear();
    watch_.reset();
    paused_ = leaving_ = pulling_ = false;
}

void Machine::pause() {
    if (!up() || paused_) return;
    journal_.note(label() + " is paused");
    journal_.counts.pauses += 1;
    paused_ = true;
}

void Machine::resume() {
    if (!up() || !paused_) return;
    journal_.note(label() + " goes on");
    paused_ = false;
    while (up() && !paused_ && !late_.empty()) {
        auto event = std::move(late_.front());
        late_.pop_front();
        event();
    }
}

void Machine::leave() {
    if (!up() || leaving_) return;
    journal_.note(label() + " leaves");
    when_awake([this] {
        leaving_ = true;
        step([&](BootTime now, EtcdEffects& out) { core_->leave(now, out); });
    });
}

void Machine::propose(replication::Change change) {
    when_awake([this, change] {
        journal_.counts.proposals += 1;
        step([&](BootTime now, EtcdEffects& out) { core_->propose(change, now, out); });
    });
}

bool Machine::begin_without(const std::vector<NodeId>& others) {
    bool begun = false;
    step([&](BootTime now, EtcdEffects& out) {
        begun = core_->begin_without(others, now, out).has_value();
    });
    journal_.note(label() + (begun ? " begins without the others" : " may not begin anew"));
    return begun;
}

void Machine::when_awake(UniqueFunction<void()> event) {
    if (!up()) return;
    if (paused_ || !late_.empty())
        late_.push_back(std::move(event));
    else
        event();
}

void Machine::after(Duration delay, UniqueFunction<void()> event) {
    life_->after(delay,
                 [this, event = std::move(event)]() mutable { when_awake(std::move(event)); });
}

void Machine::schedule_tick() {
    after(tick_every, [this] {
        mind_link();
        step([&](BootTime now, EtcdEffects& out) { core_->tick(now, out); });
        if (up()) schedule_tick();
    });
}

void Machine::carry_out(EtcdEffects& out) {
    for (const auto& notice : out.notices)
        journal_.note(label() + ": " + notice.event + ": " + notice.what);
    if (out.changed) take_changes();
    if (out.write) {
        PH_ASSERT(!writing_);
        writing_ = std::move(out.write);
        life_->after(world_.between(1ms, 8ms), [this] { finish_write(); });
    }
    if (out.watch_from) {
        watch_ = out.watch_from;
        watch_life_ = server_.life();
        server_changed();
    }
    const std::weak_ptr<Life> life = life_;
    for (auto& one : out.transactions) {
        server_.ask(link_, std::move(one.transaction),
                    [this, life, number = one.number](EtcdAnswer answer) {
                        if (life.expired()) return;
                        when_awake([this, number, answer = std::move(answer)] {
                            step([&](BootTime now, EtcdEffects& effects) {
                                core_->answered(number, answer, now, effects);
                            });
                        });
                    });
    }
    if (out.read) {
        server_.read(link_, [this, life](std::optional<EtcdSnapshot> snapshot) {
            if (life.expired()) return;
            when_awake([this, snapshot = std::move(snapshot)] {
                step([&](BootTime now, EtcdEffects& effects) {
                    if (snapshot)
                        core_->read(*snapshot, now, effects);
                    else
                        core_->read_failed("no answer", now, effects);
                });
            });
        });
    }
    for (const auto& answer : out.answers) {
        const bool unknown = answer.error && answer.error->code == Errc::unknown;
        journal_.counts.unknowns += unknown ? 1 : 0;
        const auto asked = asked_.find(answer.request);
        if (asked == asked_.end()) continue;
        if (answer.error && !unknown) handed_.erase(asked->second);  // it was not done
        asked_.erase(asked);
    }
    if (!out.answers.empty()) refresh_claims();
    if (out.probe) probe();
    checker_.saw(*this);
    if (!out.stranger.empty()) return become_stranger(out.stranger);
    if (!out.left) return;
    journal_.note(label() + " has left");
    journal_.counts.leaves += 1;
    crash();
    if (on_left) on_left(*this);
}

void Machine::become_stranger(const std::string& why) {
    journal_.note(label() + " is a stranger: " + why);
    journal_.counts.strangers += 1;
    checker_.estranged(*this, why);
    crash();
    replace_disk();
    world_.after(300ms, [this] { boot(); });
}

// ------------------------------------------------------------------ the edge

// A link that is cut is noticed after a while.
void Machine::mind_link() {
    if (server_.reaches(link_)) reached_ = world_.boot();
    if (watch_ && world_.boot() - reached_ > 2500ms) end_watch("no answer");
    server_changed();
}

void Machine::end_watch(const std::string& why) {
    watch_.reset();
    step([&](BootTime now, EtcdEffects& out) { core_->watch_ended(why, now, out); });
}

void Machine::server_changed() {
    if (!up() || !watch_ || pulling_) return;
    pulling_ = true;
    after(world_.between(1ms, server_.quality.most), [this] {
        pulling_ = false;
        pull();
    });
}

void Machine::pull() {
    if (!watch_ || (server_.up() && !server_.reaches(link_))) return;
    if (watch_life_ != server_.life()) return end_watch("etcd has ended");
    const auto changes = server_.since(*watch_);
    if (!changes) return end_watch("compacted");
    for (const auto& one : *changes) {
        if (!up() || !watch_ || *watch_ > one.revision) return;
        watch_ = Revision{one.revision.value + 1};
        step([&](BootTime now, EtcdEffects& out) { core_->watched(one, now, out); });
    }
}

void Machine::finish_write() {
    if (!writing_) return;
    if (disk_hangs) return life_->after(50ms, [this] { finish_write(); });
    disk_ = *std::move(writing_);
    writing_.reset();
    when_awake([this] { step([&](BootTime now, EtcdEffects& out) { core_->written(now, out); }); });
}

void Machine::probe() {
    after(world_.between(1ms, 8ms), [this] {
        if (disk_hangs) return probe();
        step([&](BootTime now, EtcdEffects& out) { core_->probed(now, out); });
    });
}

// ------------------------------------------------------------------ what stands for the queue

void Machine::take_changes() {
    refresh_claims();
    if (ignores_changes) return;
    const auto version = core_->acting().version;
    after(world_.between(0ms, 40ms), [this, version] { core_->acted_on(version); });
}

void Machine::refresh_claims() {
    claims_.clear();
    for (const auto& partition : core_->acting().partitions) {
        if (partition.owner != node()) continue;
        const auto handed = handed_.find(partition.id);
        if (handed != handed_.end() && handed->second == partition.epoch) continue;
        claims_[partition.id] = partition.epoch;
    }
}

void Machine::go() {
    if (!ignores_changes) core_->acted_on(core_->acting().version);
    if (!leaving_ && !ignores_changes) {
        if (auto change = wish()) {
            journal_.counts.proposals += 1;
            const auto* hand = std::get_if<replication::HandOver>(&*change);
            if (hand != nullptr) handed_[hand->partition] = hand->epoch;
            refresh_claims();
            step([&](BootTime now, EtcdEffects& out) {
                asked_[core_->propose(*change, now, out)] = *replication::partition_of(*change);
            });
        }
    }
    if (up()) after(world_.between(300ms, 900ms), [this] { go(); });
}

bool Machine::is_busy(PartitionId partition) const {
    return std::any_of(asked_.begin(), asked_.end(),
                       [&](const auto& asked) { return asked.second == partition; });
}

// Sets are widened, narrowed and handed over, and closed partitions empty.
std::optional<replication::Change> Machine::wish() {
    const auto& state = core_->acting();
    for (const auto& [id, epoch] : handed_) {
        // Nobody knows whether it was done: an epoch more, and it is clear.
        const auto* partition = state.find(id);
        if (partition != nullptr && partition->epoch == epoch && !is_busy(id))
            return replication::Vouch{id, epoch};
    }
    if (claims_.empty() || !core_->lease_live(now(), {})) return std::nullopt;
    auto claim = claims_.begin();
    std::advance(claim, static_cast<std::ptrdiff_t>(world_.below(claims_.size())));
    const auto* partition = state.find(claim->first);
    if (partition == nullptr || is_busy(partition->id)) return std::nullopt;
    if (partition->phase == replication::PartitionPhase::closing)
        return replication::RetirePartition{partition->id, partition->epoch};
    if (partition->solo) return std::nullopt;
    const auto& member = state.members[world_.below(state.members.size())];
    if (member.id == node()) return std::nullopt;
    if (!partition->holds(member.id)) {
        if (!member.live || partition->in_sync.size() >= setup_.pool.copies) return std::nullopt;
        checker_.widening(partition->id, member.id);
        return replication::AddHolder{partition->id, partition->epoch, member.id};
    }
    if (!member.live) return replication::DropHolder{partition->id, partition->epoch, member.id};
    if (!restless || !world_.chance(10)) return std::nullopt;
    if (world_.chance(50))
        return replication::DropHolder{partition->id, partition->epoch, member.id};
    return replication::HandOver{partition->id, partition->epoch, member.id};
}

}  // namespace posthorse::sim::etcd
