#include "tests/sim/pool/machine.h"

#include "proto/types/assert.h"
#include "storage/queue_key.h"
#include "tests/sim/pool/pool.h"

namespace posthorse::sim::pool {
namespace {

using namespace std::chrono_literals;

constexpr Duration watch_every = 500ms;

}  // namespace

Machine::Machine(Pool& pool, Setup setup)
    : pool_(pool),
      world_(pool.around().world),
      setup_(std::move(setup)),
      clock_(world_, setup_.clock) {
    pool_.around().network.attach(setup_.address, setup_.index,
                                  [this](const replication::Outgoing& message) {
                                      if (node_) node_->receive(message);
                                  });
    replace_disk();
    watch_health();
}

Machine::~Machine() = default;

std::string Machine::label() const {
    return "n" + std::to_string(setup_.index + 1) + std::string(disks_ - 1, '\'');
}

std::string Machine::story() const {
    if (!runs()) return "off";
    const auto status = node_->control().core().status(clock_.boot());
    const auto& journal = pool_.around().journal;
    return status.phase + ", number " + std::to_string(status.incarnation.counter) + ", term " +
           std::to_string(status.term.value) + ", leader " +
           (status.leader ? journal.name(*status.leader) : "none") + ", voters " +
           journal.names(status.voters.voters) + (status.voters_change ? " changing" : "") +
           (status.waits_for.empty() ? "" : ", waits for " + status.waits_for) +
           (paused() ? ", paused" : "");
}

ControlCore::Settings Machine::control_settings() const {
    ControlCore::Settings settings;
    settings.facts = {.name = "n" + std::to_string(setup_.index + 1),
                      .address = setup_.address,
                      .zone = setup_.zone,
                      .release = "1"};
    settings.alone = setup_.alone;
    settings.expect = setup_.expect;
    settings.pool = pool_.settings();
    settings.election.abdicate_after = settings.pool.lease_ttl / 2;
    return settings;
}

// ------------------------------------------------------------------ processes

void Machine::boot() {
    if (runs() || retired || held) return;
    starts_ += 1;
    const auto name = label() + "." + std::to_string(starts_);
    pool_.around().journal.note(name + " starts");
    disk_->queue.faults.fail_sync.reset();
    node_ = std::make_unique<Node>(
        pool_.around(),
        Node::Place{.machine = setup_.index,
                    .name = name,
                    .number = pool_.next_process(),
                    .clock = clock_,
                    .pace = pace_,
                    .queue = disk_->queue,
                    .record = disk_->record,
                    .control = control_settings(),
                    .look = [this] { return pool_.addresses(); },
                    .stranger = [this](const std::string& why) { become_stranger(why); }});
    node_->start();
}

void Machine::boot_after(Duration delay) {
    world_.after(delay, [this] { boot(); });
}

void Machine::end() {
    pool_.forget(*this);
    node_.reset();
}

void Machine::kill() {
    if (!runs()) return;
    if (!node_->healthy()) return lose_power();
    pool_.around().journal.note(label() + " is killed");
    pool_.around().counts.kills += 1;
    end();
}

void Machine::lose_power() {
    if (!runs()) return;
    pool_.around().journal.note(label() + " loses its power");
    pool_.around().counts.powers += 1;
    node_->fall_silent();
    end();
    power_fails();
}

// Records of attempts that were not synced go with the power.
void Machine::power_fails() {
    power_failed_ = world_.boot();
    auto& history = pool_.around().history;
    auto& queue = disk_->queue;
    const auto key_of = [](const History::AttemptName& one) {
        return storage::intent_key(one.first, one.second);
    };
    const auto has = [&](const History::AttemptName& one) {
        return queue.get(storage::Family::meta, key_of(one)).has_value();
    };
    // The end of an attempt may have been written over its record, and be lost with it.
    const auto had = [&](const History::AttemptName& one) {
        return has(one) || queue.is_unsynced(storage::Family::meta, key_of(one));
    };
    auto open = history.open_attempts();
    std::erase_if(open, [&](const auto& one) { return !had(one); });
    queue.crash(world_.below(queue.unsynced_writes() + 1));
    for (const auto& one : open) {
        if (!has(one)) history.power_took(one);
    }
}

void Machine::pause() {
    if (!runs() || paused()) return;
    pool_.around().journal.note(label() + " is paused");
    pool_.around().counts.pauses += 1;
    node_->process().pause();
}

void Machine::go_on() {
    if (!paused()) return;
    pool_.around().journal.note(label() + " goes on");
    node_->process().go_on();
}

void Machine::fail_next_sync() {
    if (!runs()) return;
    pool_.around().journal.note("the next sync of " + label() + " will fail");
    pool_.around().counts.failed_syncs += 1;
    disk_->queue.faults.fail_sync = disk_->queue.syncs();
}

// After a failed sync nobody knows what the disk holds.
void Machine::watch_health() {
    world_.after(watch_every, [this] {
        if (runs() && !node_->healthy()) {
            lose_power();
            boot_after(world_.between(500ms, 5s));
        }
        watch_health();
    });
}

void Machine::become_stranger(const std::string& why) {
    world_.after(Duration{}, [this, why] {
        pool_.around().journal.note(label() + " is a stranger: " + why);
        pool_.around().counts.strangers += 1;
        pool_.estranged(*this, why);
        end();
        replace_disk();
        boot_after(300ms);
    });
}

// ------------------------------------------------------------------ leaving

void Machine::leave(Duration patience) {
    if (!serves()) return;
    pool_.around().journal.note(label() + " leaves");
    node_->leave(patience, [this, start = starts_](bool all) {
        world_.after(Duration{}, [this, start, all] {
            if (runs() && starts_ == start) left(all);
        });
    });
}

void Machine::left(bool all) {
    pool_.around().journal.note(label() + " has left" + (all ? "" : ", with mail of its own"));
    pool_.around().counts.leaves += 1;
    left_all = all;
    end();
    pool_.has_left(*this);
}

// ------------------------------------------------------------------ disks

void Machine::replace_disk() {
    PH_ASSERT(!runs());
    disk_ = std::make_unique<Disk>();
    for (auto& byte : disk_->record.self.bytes) byte = static_cast<std::uint8_t>(world_.random());
    if (disks_ > 0) setup_.alone = false;  // the operator has set pool.join by now
    disks_ += 1;
    went_back_ = false;
    pool_.around().journal.name(id(), label());
}

void Machine::restore(const Disk& old) {
    PH_ASSERT(!runs());
    *disk_ = old;
    disk_->queue.crash();
    went_back_ = true;
}

void Machine::damage(QueueId id) {
    disk_->queue.damage({storage::Family::envelope, storage::envelope_key(id),
                         make_chunk("these bytes are no record")});
}

}  // namespace posthorse::sim::pool
