#include "tests/sim/control/machine.h"

#include <algorithm>

#include "tests/sim/control/pool.h"

namespace posthorse::sim::control {
namespace {

using namespace std::chrono_literals;

constexpr Duration tick_every = 50ms;

}  // namespace

Machine::Machine(Pool& pool, Setup setup)
    : pool_(pool), world_(pool.world()), setup_(std::move(setup)) {
    pool_.network().attach(setup_.address, setup_.index, [this](const Outgoing& message) {
        when_awake([this, message] {
            step([&](BootTime now, ControlEffects& out) {
                core_->receive(message.header, message.message, now, out);
            });
        });
    });
    replace_disk();
}

Machine::~Machine() = default;

BootTime Machine::now() const {
    return setup_.clock.at(world_.boot());
}

std::string Machine::label() const {
    return "n" + std::to_string(setup_.index + 1) + std::string(disks_ - 1, '\'');
}

bool Machine::votes_alone() const {
    const std::vector<NodeId> alone{node()};
    return disk_.agreement.accepted.configuration.voters == alone;
}

std::string Machine::story() const {
    if (!up()) return "off";
    const auto status = core_->status(now());
    return status.phase + ", number " + std::to_string(status.incarnation.counter) + ", term " +
           std::to_string(status.term.value) + ", leader " +
           (status.leader ? pool_.journal().name(*status.leader) : "none") + ", voters " +
           pool_.journal().names(status.voters.voters) + (status.voters_change ? " changing" : "") +
           (status.waits_for.empty() ? "" : ", waits for " + status.waits_for);
}

// ------------------------------------------------------------------ the operator

void Machine::replace_disk() {
    PH_ASSERT(!up());
    disk_ = {};
    for (auto& byte : disk_.self.bytes) byte = static_cast<std::uint8_t>(world_.random());
    if (disks_ > 0) setup_.alone = false;  // the operator has set pool.join by now
    disks_ += 1;
    past_ = DiskPast::true_to_it;
    pool_.journal().name(disk_.self, label());
}

void Machine::restore(ControlRecord record, DiskPast past) {
    PH_ASSERT(!up());
    disk_ = std::move(record);
    past_ = past;
}

void Machine::boot() {
    if (up() || retired || held) return;
    starts_ += 1;
    pool_.journal().counts.starts += 1;
    life_ = std::make_unique<Life>(world_);
    ControlCore::Settings settings;
    settings.facts = {.name = "n" + std::to_string(setup_.index + 1),
                      .address = setup_.address,
                      .zone = setup_.zone,
                      .release = "1"};
    settings.alone = setup_.alone;
    settings.expect = setup_.expect;
    settings.pool = pool_.settings();
    settings.election.abdicate_after = settings.pool.lease_ttl / 2;
    core_ = std::make_unique<ControlCore>(disk_, settings, [this] { return world_.random(); });
    data_plane_ = std::make_unique<DataPlane>(*this);
    step([&](BootTime now, ControlEffects& out) { core_->start(now, out); });
    if (!up()) return;
    pool_.journal().note(label() + " starts, number " +
                         std::to_string(core_->incarnation().counter));
    schedule_tick();
    after(world_.between(0ms, 500ms), [this] { go(); });
}

void Machine::crash() {
    if (!up()) return;
    pool_.journal().note(label() + " ends");
    if (writing_ && world_.chance(50)) disk_ = *std::move(writing_);
    writing_.reset();
    life_.reset();
    data_plane_.reset();
    core_.reset();
    late_.clear();
    claims_.clear();
    write_waits_ = paused_ = leaving_ = gone_ = false;
    asked.reset();
    pool_.checker().changed(*this);
}

void Machine::pause() {
    if (!up() || paused_) return;
    pool_.journal().note(label() + " is paused");
    pool_.journal().counts.pauses += 1;
    paused_ = true;
}

void Machine::resume() {
    if (!up() || !paused_) return;
    pool_.journal().note(label() + " goes on");
    paused_ = false;
    while (up() && !paused_ && !late_.empty()) {
        auto event = std::move(late_.front());
        late_.pop_front();
        event();
    }
}

void Machine::begin_leaving() {
    if (!up() || leaving_) return;
    pool_.journal().note(label() + " wants to leave");
    leaving_ = true;
    left.reset();
    asked = world_.boot();
    set_draining(node(), true);
}

void Machine::operate(Change change) {
    when_awake([this, change] {
        step([&](BootTime now, ControlEffects& out) {
            data_plane_->asked(core_->propose(change, now, out), std::nullopt);
        });
    });
}

void Machine::set_draining(const NodeId& node, bool draining) {
    operate(replication::SetDraining{node, draining});
}

void Machine::remove_member(const NodeId& node) {
    operate(replication::RemoveMember{node, replication::Lost::accept});
}

bool Machine::begin_without(const std::vector<NodeId>& others) {
    if (!up() || paused_) return false;
    bool begun = false;
    step([&](BootTime now, ControlEffects& out) {
        const auto done = core_->begin_without(others, now, out);
        begun = done.has_value();
        pool_.journal().note(label() + (begun ? " begins without the others"
                                              : " may not begin: " + done.error().what));
    });
    return begun;
}

void Machine::set_disk(DiskHabit habit) {
    habit_ = habit;
    if (habit == DiskHabit::hangs || !std::exchange(write_waits_, false)) return;
    after(2ms, [this] { finish_write(); });
}

// ------------------------------------------------------------------ the process

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
        step([&](BootTime now, ControlEffects& out) { core_->tick(now, out); });
        if (up()) schedule_tick();
    });
}

// The data plane's own time.
void Machine::go() {
    if (!ignores_changes) data_plane_->tend();
    if (!up()) return;
    const auto* member = core_->committed().member(node());
    if (pool_.healed() && !leaving_ && core_->running() && member != nullptr && member->draining)
        set_draining(node(), false);
    const bool patient = asked && world_.boot() - *asked < pool_.settings().lease_ttl;
    if (leaving_ && !gone_ && (data_plane_->may_leave() || !patient)) {
        pool_.journal().note(label() + " leaves");
        gone_ = true;
        step([&](BootTime now, ControlEffects& out) { core_->leave(now, out); });
    }
    if (up()) after(world_.between(300ms, 700ms), [this] { go(); });
}

std::optional<std::clock_t> Machine::work_begins() const {
    if (!pool_.measures_work) return std::nullopt;
    return std::clock();
}

void Machine::work_ends(std::clock_t began) {
    const auto took = std::clock() - began;
    work_.events += 1;
    work_.processor += took;
    work_.longest = std::max(work_.longest, took);
}

void Machine::carry_out(ControlEffects& out) {
    for (const auto& notice : out.notices)
        pool_.journal().note(label() + ": " + notice.event + ": " + notice.what);
    if (out.changed) take_changes();
    if (out.write) start_write(*std::move(out.write));
    for (auto& message : out.sends) pool_.network().send(setup_.index, std::move(message));
    for (const auto& answer : out.answers) data_plane_->answered(answer);
    if (!out.answers.empty()) refresh_claims();
    pool_.checker().saw(*this);
    if (out.look) look();
    if (out.probe) probe();
    if (!out.stranger.empty()) return become_stranger(out.stranger);
    if (!out.left) return;
    pool_.journal().note(label() + " has left");
    pool_.journal().counts.leaves += 1;
    left = world_.boot();
    crash();
    pool_.has_left(*this);
}

void Machine::take_changes() {
    refresh_claims();
    if (ignores_changes) return;
    const auto version = core_->acting().version;
    after(world_.between(0ms, 40ms), [this, version] { core_->acted_on(version); });
}

void Machine::refresh_claims() {
    std::vector<PartitionId> claims;
    for (const auto& partition : core_->acting().partitions) {
        if (partition.owner == node() && !data_plane_->handed_over(partition))
            claims.push_back(partition.id);
    }
    claims_ = std::move(claims);
    pool_.checker().changed(*this);
}

bool Machine::entitled() const {
    return up() && !claims_.empty() && core_->lease_live(now(), Duration{0});
}

bool Machine::owns(PartitionId partition) const {
    return std::binary_search(claims_.begin(), claims_.end(), partition);
}

// ------------------------------------------------------------------ disk, names, store

void Machine::start_write(ControlRecord record) {
    PH_ASSERT(!writing_);
    writing_ = std::move(record);
    const auto delay =
        habit_ == DiskHabit::slow ? world_.between(50ms, 900ms) : world_.between(1ms, 8ms);
    life_->after(delay, [this] { finish_write(); });
}

void Machine::finish_write() {
    if (!writing_) return;
    if (habit_ == DiskHabit::hangs) {
        write_waits_ = true;
        return;
    }
    disk_ = *std::move(writing_);
    writing_.reset();
    when_awake(
        [this] { step([&](BootTime now, ControlEffects& out) { core_->written(now, out); }); });
}

void Machine::look() {
    after(world_.between(2ms, 60ms), [this] {
        std::vector<std::string> addresses;
        const bool partial = world_.below(100) < directory.partial;
        const bool incomplete = world_.below(100) < directory.incomplete;
        for (const auto& address : directory.addresses) {
            if (!(partial || incomplete) || world_.chance(60)) addresses.push_back(address);
        }
        core_->found(std::move(addresses), !incomplete);
    });
}

void Machine::probe() {
    const auto ends =
        habit_ == DiskHabit::good ? world_.between(1ms, 8ms) : world_.between(50ms, 900ms);
    after(ends, [this] {
        if (probe_hangs || habit_ == DiskHabit::hangs) return probe();
        step([&](BootTime now, ControlEffects& out) { core_->probed(now, out); });
    });
}

void Machine::become_stranger(const std::string& why) {
    pool_.journal().note(label() + " is a stranger: " + why);
    pool_.journal().counts.strangers += 1;
    pool_.checker().estranged(*this, why);
    crash();
    replace_disk();
    world_.after(300ms, [this] { boot(); });
}

}  // namespace posthorse::sim::control
