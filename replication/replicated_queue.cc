#include "replication/replicated_queue.h"

#include <algorithm>
#include <optional>

#include "proto/types/assert.h"
#include "replication/gathering.h"
#include "storage/queue_ops.h"

namespace posthorse::replication {
namespace {

using Envelopes = std::vector<Envelope>;

// A holder that owes for this long gets no new mail.
constexpr Duration quick_enough = std::chrono::milliseconds{500};

Ownership::Settings ownership_settings(const ReplicatedQueue::Settings& settings) {
    return {.partition = {.times = {settings.holder_silence, settings.replication_timeout}},
            .heal_bytes_per_second = settings.heal_bytes_per_second};
}

}  // namespace

ReplicatedQueue::ReplicatedQueue(const Clock& clock,
                                 storage::QueueStore& store,
                                 ControlPlane& control,
                                 PeerStreams& streams,
                                 Executor& home,
                                 Settings settings)
    : clock_(clock),
      store_(store),
      control_(control),
      settings_(std::move(settings)),
      ownership_({clock, store, control, streams, home},
                 ownership_settings(settings_),
                 {.taken = [this](PartitionId id,
                                  Result<void> result) { partition_taken(id, std::move(result)); },
                  .given_up = [this](PartitionId id) { partition_given_up(id); },
                  .told = [this](Tell answers) { told(std::move(answers)); },
                  .up =
                      [this](NodeId node) {
                          doubts_.ask_at_once(node);
                          ask_about_doubts(node);
                      },
                  .is_quiet = [this](PartitionId id) { return is_quiet(id); }},
                 attempts_) {}

ReplicatedQueue::~ReplicatedQueue() = default;

// ------------------------------------------------------------------ partitions come and go

void ReplicatedQueue::start(Completion<> done) {
    control_.watch([this](const PoolState& state) { ownership_.pool_changed(state); });
    control_.start(while_alive([this, done = std::move(done)](Result<PoolState> state) mutable {
        if (!state) return done(state.error());
        started_ = std::move(done);
        ownership_.pool_changed(*state);
        if (ownership_.taking_up() == 0) partition_taken({}, {});
    }));
}

// The first of them is enough to begin: others may wait for holders that are away.
void ReplicatedQueue::partition_taken(PartitionId id, Result<void> result) {
    if (result && ownership_.find(id) != nullptr) {
        taken_[id] = ++takeovers_;
        for (const auto message : std::exchange(undecided_[id], {})) store_.release(message);
        undecided_.erase(id);
        find_doubts(id);
    }
    if (!result && not_taken_up_) not_taken_up_(id, result.error());
    if (!started_ || (!result && ownership_.taking_up() > 0)) return;
    accepting_ = result.has_value();
    std::exchange(started_, {})(std::move(result));
}

// Attempts under way learn of it from may_send_dot(); messages that arrive get no 250.
void ReplicatedQueue::partition_given_up(PartitionId id) {
    const auto in_it = [id](const auto& entry) { return entry.first.partition() == id; };
    std::erase_if(arriving_, in_it);
    std::erase_if(claimed_, [&](const auto& entry) {
        if (!in_it(entry)) return false;
        store_.release(entry.first);
        return true;
    });
    claimable_.erase(id);
    taken_.erase(id);
    doubts_.given_up(id);
    std::erase_if(unread_doubts_, in_it);
}

// A claim that was made while its partition went is nobody's, though it may be back, even in the
// same epoch: its attempts in doubt are claimed first.
bool ReplicatedQueue::still_owns(QueueId id, std::uint64_t since) {
    const auto taken = taken_.find(id.partition());
    if (taken != taken_.end() && taken->second <= since) return true;
    store_.release(id);
    return false;
}

bool ReplicatedQueue::is_quiet(PartitionId id) const {
    const auto in_it = [id](const auto& entry) { return entry.first.partition() == id; };
    return std::none_of(arriving_.begin(), arriving_.end(), in_it) &&
           std::none_of(claimed_.begin(), claimed_.end(), in_it);
}

bool ReplicatedQueue::has_mail_of(const std::vector<PartitionId>& partitions) const {
    return std::any_of(partitions.begin(), partitions.end(),
                       [this](PartitionId id) { return store_.count(id) > 0; });
}

void ReplicatedQueue::tick() {
    store_.sync_patient();
    ownership_.tick();
    vouch();
    for (const auto node : doubts_.nodes()) ask_about_doubts(node);
    for (auto& [id, attempts] : std::exchange(known_everywhere_, {})) {
        if (auto* partition = ownership_.find(id))
            partition->submit_local(storage::Unremember{std::move(attempts)});
    }
}

bool ReplicatedQueue::lease_live() const {
    return control_.lease_live(clock_.boot(), settings_.drift_margin);
}

void ReplicatedQueue::wake() {
    if (wake_) wake_();
}

HistoryEvent ReplicatedQueue::event(std::string what) const {
    return {clock_.wall(), control_.self(), std::move(what)};
}

void ReplicatedQueue::submit(QueueId id, OwnedPartition::AnyChange change, Completion<> done) {
    auto* partition = owned(id);
    if (partition == nullptr) return done(no_such_message(id));
    partition->submit(std::move(change), clock_.boot(), std::move(done));
}

// ------------------------------------------------------------------ accept

// In a pool of one there is nobody else.
std::size_t ReplicatedQueue::holders_wanted(std::uint32_t copies) const {
    const auto& pool = control_.read();
    const std::size_t wanted = copies == 0 ? pool.settings.copies : copies;
    return pool.members.size() <= 1 ? 1 : wanted;
}

bool ReplicatedQueue::is_quick(const OwnedPartition& partition) const {
    if (partition.owed(clock_.boot()) > quick_enough) return false;
    return std::all_of(partition.progress().begin(), partition.progress().end(),
                       [&](const auto& entry) {
                           const auto& [node, progress] = entry;
                           return partition.invited() == node ||
                                  progress.phase() == PeerProgress::Phase::following;
                       });
}

// With holders enough and none of them slow. Else, when that is what the policy wants: with as many
// as there are, or in this node's own hands. One copy alone is wanted where it is had soonest.
OwnedPartition* ReplicatedQueue::choose_open(std::uint32_t copies) {
    const auto wanted = holders_wanted(copies);
    std::vector<OwnedPartition*> full;
    std::vector<OwnedPartition*> fewer;
    OwnedPartition* slow = nullptr;
    OwnedPartition* solo = nullptr;
    for (const auto& [id, partition] : ownership_.all()) {
        const auto& state = partition->state();
        if (state.phase != PartitionPhase::open) continue;
        const auto holders = state.in_sync.size();
        if (state.solo)
            solo = partition.get();
        else if (holders >= wanted && is_quick(*partition))
            full.push_back(partition.get());
        else if (holders > 1 && is_quick(*partition))
            fewer.push_back(partition.get());
        else
            slow = partition.get();
    }
    const bool cut_off = !control_.leased(clock_.boot());
    if ((copies == 1 || cut_off) && solo != nullptr) return solo;
    if (!full.empty()) return full[settings_.random() % full.size()];
    if (settings_.when_short == ShortPolicy::refuse) return nullptr;
    if (!fewer.empty()) return fewer[settings_.random() % fewer.size()];
    return solo != nullptr ? solo : slow;
}

void ReplicatedQueue::begin(std::uint64_t size_hint_bytes,
                            std::uint32_t copies,
                            Completion<QueueId> done) {
    if (!accepting_) return done(Error{Errc::unavailable, "this node takes no new mail: it stops"});
    if (!store_.healthy()) return done(Error{Errc::io, "the queue's disk failed"});
    if (!lease_live()) return done(Error{Errc::unavailable, "this node has no live lease"});
    if (ownership_.drains()) return done(Error{Errc::unavailable, "this node drains"});
    const auto stats = store_.stats();
    if (!stats.accepting || stats.disk_free_bytes < size_hint_bytes) {
        return done(Error{Errc::full, "the queue's disk is nearly full"});
    }
    auto* partition = choose_open(copies);
    if (partition == nullptr)
        return done(Error{Errc::unavailable,
                          "too few nodes can take a copy now, and pool.when_short is 'refuse'"});
    const auto id = partition->mint(clock_.wall());
    arriving_[id] = 0;
    done(id);
}

void ReplicatedQueue::append(QueueId id, std::uint32_t index, Chunk bytes, Completion<> done) {
    const auto arriving = arriving_.find(id);
    if (arriving == arriving_.end()) return done(no_such_message(id));
    PH_ASSERT(index == arriving->second + 1);
    arriving->second = index;
    submit(id, storage::Append{id, index, std::move(bytes)}, std::move(done));
}

void ReplicatedQueue::commit(Envelope envelope, Chunk head, Completion<> done) {
    const auto arriving = arriving_.find(envelope.id);
    if (arriving == arriving_.end()) return done(no_such_message(envelope.id));
    PH_ASSERT(envelope.chunk_count == arriving->second);
    const auto id = envelope.id;
    auto* partition = owned(id);
    if (!lease_live() || partition == nullptr) {
        abort(id);
        return done(Error{Errc::unavailable, "the lease was lost while the message arrived"});
    }
    arriving_.erase(arriving);
    envelope.version = 1;
    const auto copies = partition->state().in_sync.size();
    if (!envelope.history.empty())
        envelope.history.back().what +=
            copies == 1 ? ", 1 copy" : ", " + std::to_string(copies) + " copies";
    auto kept = heads_.keep(head);
    auto change = storage::Commit{envelope, std::move(head)};
    submit(id, std::move(change),
           while_alive([this, id, envelope = std::move(envelope), kept = std::move(kept),
                        done = std::move(done)](Result<void> stored) mutable {
               if (stored) {
                   claimed_.emplace(id, Claimed{std::move(envelope), {}, {}, std::move(kept)});
                   return done({});
               }
               const bool unknown = stored.error().code == Errc::unknown;
               if (unknown && owned(id) != nullptr)
                   return withdraw(std::move(envelope), std::move(done));
               if (unknown) undecided_[id.partition()].push_back(id);
               done(std::move(stored));
           }));
}

// Some holders may have it: it must be gone before the client may hear a refusal (design.md,
// "before a 451 it is withdrawn, durably"). The claim that it was born with keeps it from being
// sent meanwhile.
void ReplicatedQueue::withdraw(Envelope envelope, Completion<> done) {
    auto change = storage::settle(envelope, std::nullopt, {}, {});
    submit(envelope.id, std::move(change), [done = std::move(done)](Result<void> gone) mutable {
        if (!gone) return done(Error{Errc::unknown, gone.error().what});
        done(Error{Errc::unavailable,
                   "the copies did not confirm in time; the message was withdrawn"});
    });
}

void ReplicatedQueue::abort(QueueId id) {
    const auto arriving = arriving_.extract(id);
    if (arriving.empty() || arriving.mapped() == 0) return;  // nothing was written
    submit(id, storage::Abort{id, arriving.mapped()}, [](Result<void>) {});
}

// ------------------------------------------------------------------ deliver

std::vector<std::pair<PartitionId, Epoch>> ReplicatedQueue::claimable() const {
    std::vector<std::pair<PartitionId, Epoch>> partitions;
    for (const auto id : claimable_) {
        if (const auto* partition = ownership_.find(id))
            partitions.emplace_back(id, partition->state().epoch);
    }
    return partitions;
}

void ReplicatedQueue::claim(std::size_t limit, Completion<Envelopes> done) {
    const auto partitions = claimable();
    if (partitions.empty() || limit == 0 || !lease_live() || ownership_.drains())
        return done(Envelopes{});
    auto all = std::make_shared<Gathering<Envelope>>();
    all->missing = partitions.size();
    all->done = while_alive(
        [this, since = takeovers_, done = std::move(done)](Result<Envelopes> found) mutable {
            if (!found) return done(std::move(found));
            done(hand_out(*std::move(found), since));
        });
    const auto share = (limit + partitions.size() - 1) / partitions.size();
    for (const auto& [id, epoch] : partitions) {
        store_.claim(id, epoch, clock_.wall(), share,
                     [all](Result<Envelopes> part) { all->add(std::move(part)); });
    }
}

std::vector<Envelope> ReplicatedQueue::hand_out(Envelopes found, std::uint64_t since) {
    Envelopes handed_out;
    for (auto& envelope : found) {
        if (!still_owns(envelope.id, since)) continue;
        // An operator resumed what is still being delivered: the attempt's settle() frees it.
        if (claimed_.contains(envelope.id)) continue;
        if (auto open = unread_doubts_.extract(envelope.id); !open.empty()) {
            put_in_doubt(envelope, std::move(open.mapped()));
            continue;
        }
        if (!envelope.doubts.empty()) {
            decide_doubts(std::move(envelope), handed_out);
            continue;
        }
        claimed_.emplace(envelope.id, Claimed{envelope, {}, {}});
        handed_out.push_back(std::move(envelope));
    }
    return handed_out;
}

void ReplicatedQueue::next_due(Completion<WallTime> done) {
    const auto partitions = claimable();
    if (partitions.empty()) return done(never);
    auto all = std::make_shared<Gathering<WallTime>>();
    all->missing = partitions.size();
    all->done = [done = std::move(done)](Result<std::vector<WallTime>> times) mutable {
        if (!times) return done(times.error());
        done(*std::min_element(times->begin(), times->end()));
    };
    for (const auto& [id, epoch] : partitions) {
        store_.next_due(id, [all](Result<WallTime> when) {
            if (!when) return all->add(when.error());
            all->add(std::vector<WallTime>{*when});
        });
    }
}

void ReplicatedQueue::intend(Intent intent, Completion<> done) {
    const auto id = intent.id;
    const auto claimed = claimed_.find(id);
    if (claimed == claimed_.end()) return done(no_such_message(id));
    claimed->second.intended.push_back(intent.attempt);
    attempts_.began({id, intent.attempt});
    intent.by = control_.self();
    const auto attempt = intent.attempt;
    submit(id, storage::Intend{std::move(intent)},
           while_alive([this, id, attempt, done = std::move(done)](Result<void> stored) mutable {
               const auto still = claimed_.find(id);
               if (stored && still != claimed_.end()) still->second.recorded.insert(attempt);
               done(std::move(stored));
           }));
}

// A message that was given to others and came back is another claim: attempts of the earlier one
// have no intent in it.
bool ReplicatedQueue::may_send_dot(QueueId id, std::uint32_t attempt) const {
    const auto claimed = claimed_.find(id);
    if (claimed == claimed_.end() || claimed->second.envelope.held) return false;
    return claimed->second.recorded.contains(attempt) && lease_live();
}

void ReplicatedQueue::settle(Settlement settlement, Completion<> done) {
    const auto claimed = claimed_.find(settlement.id);
    if (claimed == claimed_.end()) {
        late(settlement);
        return done(no_such_message(settlement.id));
    }
    const Envelope before = std::move(claimed->second.envelope);
    const auto due = settlement.goes_on ? before.due_at : settlement.next_due;
    auto after = storage::apply_outcomes(before, settlement.outcomes, due);
    if (after && settlement.warned) after = storage::mark_warned(std::move(*after));
    if (after)
        after = storage::end_attempts(std::move(*after), settlement.ended_attempts,
                                      settlement.outcomes);
    if (after) after = with_events(std::move(*after), before, std::move(settlement.events));
    if (after && settlement.end) after = storage::after_claim(std::move(*after), *settlement.end);
    if (after && !settlement.hold_why.empty()) after = held(*std::move(after), settlement.hold_why);
    std::optional<Envelope> poison;
    if (after && settlement.end == AttemptEnd::cut_off && is_poison(*after))
        poison = after = held_as_poison(*std::move(after));
    mint_notices(settlement.id, settlement.notices);
    const bool notices = !settlement.notices.empty();
    const bool stays = settlement.goes_on && after;
    if (stays)
        claimed->second.envelope = *after;
    else
        claimed_.erase(claimed);
    auto change = storage::settle(before, std::move(after), std::move(settlement.notices),
                                  settlement.ended_attempts);
    if (stays) change.claim = storage::ClaimAfter::stays;
    change.patient = !notices && !settlement.ended_attempts.empty();
    change.remember = to_remember(settlement);
    const bool remembered = !change.remember.empty();
    const auto id = settlement.id;
    submit(id, std::move(change),
           while_alive([this, notices, remembered, settlement = std::move(settlement),
                        poison = std::move(poison),
                        done = std::move(done)](Result<void> stored) mutable {
               const bool ok = stored.has_value();
               ok ? settled(settlement, remembered) : late(settlement);
               if (ok && poison && poison_) poison_(*poison);
               done(std::move(stored));
               if (ok && notices) wake();
           }));
}

// An owner that dies before the holders have it can tell, when it comes back, how it ended.
std::vector<storage::AttemptOutcome> ReplicatedQueue::to_remember(const Settlement& settlement) {
    std::vector<storage::AttemptOutcome> remember;
    const auto* partition = owned(settlement.id);
    if (partition == nullptr || partition->state().in_sync.size() < 2) return remember;
    for (const auto attempt : settlement.ended_attempts)
        remember.push_back({settlement.id, attempt, settlement.outcomes});
    return remember;
}

void ReplicatedQueue::settled(const Settlement& settlement, bool remembered) {
    doubts_.decided(settlement.id);
    for (const auto attempt : settlement.ended_attempts) {
        attempts_.ended({settlement.id, attempt});
        if (remembered)
            known_everywhere_[settlement.id.partition()].emplace_back(settlement.id, attempt);
    }
}

// The pool gave the message to another node while this one sent it, or before every holder had its
// outcome: that one will ask.
void ReplicatedQueue::late(const Settlement& settlement) {
    for (const auto attempt : settlement.ended_attempts)
        attempts_.late({settlement.id, attempt}, settlement.outcomes, clock_.boot());
}

bool ReplicatedQueue::will_be_asked() const {
    return attempts_.has_untold(clock_.boot() - settings_.in_doubt_wait);
}

Envelope ReplicatedQueue::with_events(Envelope after,
                                      const Envelope& before,
                                      std::vector<HistoryEvent> events) {
    const auto self = control_.self();
    const bool came_from_another = !before.history.empty() && before.history.back().node != self;
    if (came_from_another && !events.empty())
        after = storage::note(std::move(after), event("owned by this node from here on"));
    for (auto& one : events) {
        one.node = self;
        after = storage::note(std::move(after), std::move(one));
    }
    return after;
}

void ReplicatedQueue::mint_notices(QueueId cause, std::vector<NewMessage>& notices) {
    auto* partition = owned(cause);
    PH_ASSERT(partition != nullptr || notices.empty());
    for (auto& notice : notices) {
        notice.envelope.id = partition->mint(clock_.wall());
        notice.envelope.version = 1;
    }
}

void ReplicatedQueue::park(QueueId id, WallTime due) {
    auto claimed = claimed_.extract(id);
    if (claimed.empty()) return;
    const Envelope& before = claimed.mapped().envelope;
    if (before.held || due <= before.due_at) {
        store_.release(id);
        return;
    }
    submit(id, storage::settle(before, storage::park(before, due), {}, {}), [](Result<void>) {});
}

}  // namespace posthorse::replication
