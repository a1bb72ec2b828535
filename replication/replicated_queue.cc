#include "replication/replicated_queue.h"

#include <algorithm>
#include <optional>

#include "proto/types/assert.h"
#include "storage/queue_ops.h"

namespace posthorse::replication {
namespace {

using Envelopes = std::vector<Envelope>;

Error no_such_message(QueueId id) {
    return {Errc::not_found, "no message " + id.to_string() + " in this node's partitions"};
}

// Collects the answers of several partitions and answers once, in id order.
template <class T>
struct Gathering {
    std::size_t missing = 0;
    std::vector<T> items;
    std::optional<Error> failure;
    Completion<std::vector<T>> done;

    void add(Result<std::vector<T>> part) {
        if (part) {
            std::move(part->begin(), part->end(), std::back_inserter(items));
        } else {
            failure = part.error();
        }
        if (--missing > 0) return;
        if (failure && items.empty()) return done(*failure);
        done(std::move(items));
    }
};

}  // namespace

ReplicatedQueue::ReplicatedQueue(const Clock& clock,
                                 storage::QueueStore& store,
                                 ControlPlane& control,
                                 HolderLinks& holders,
                                 Settings settings)
    : clock_(clock),
      store_(store),
      control_(control),
      holders_(holders),
      settings_(std::move(settings)) {}

ReplicatedQueue::~ReplicatedQueue() = default;

template <class Call>
auto ReplicatedQueue::while_alive(Call call) {
    return [alive = std::weak_ptr<char>(alive_), call = std::move(call)](auto&&... args) mutable {
        if (!alive.expired()) call(std::forward<decltype(args)>(args)...);
    };
}

// ------------------------------------------------------------------ start and agreement

void ReplicatedQueue::start(Completion<> done) {
    holders_.on_ack([this](const Ack& ack) {
        const auto found = partitions_.find(ack.partition);
        if (found != partitions_.end()) found->second->acknowledged(ack);
    });
    control_.watch([this](const PoolState& state) { pool_changed(state); });
    control_.start(while_alive([this, done = std::move(done)](Result<PoolState> state) mutable {
        if (!state) return done(state.error());
        started_ = std::move(done);
        pool_changed(*state);
        taken_up({});
    }));
}

// What the pool gives and takes. What it takes is given up before this returns.
void ReplicatedQueue::pool_changed(const PoolState& state) {
    const auto self = control_.self();
    for (const auto& [id, partition] : std::map(partitions_)) {
        const auto* now = state.find(id);
        if (now == nullptr || now->owner != self)
            disown(id);
        else if (*now != partition->state())
            partition->narrowed(*now);  // or it closes, in the epoch that it has
    }
    std::erase_if(taking_up_, [&](const auto& entry) {
        const auto* now = state.find(entry.first);
        return now == nullptr || now->owner != self || now->epoch != entry.second;
    });
    for (const auto& partition : state.partitions) {
        const bool mine = partition.owner == self;
        if (mine && !partitions_.contains(partition.id) && !taking_up_.contains(partition.id))
            own(partition);
    }
}

// Nothing is read from a partition or written to it before its fence stands.
void ReplicatedQueue::own(const PartitionState& state) {
    taking_up_[state.id] = state.epoch;
    store_.fence(state.id, state.epoch, while_alive([this, state](Result<void> result) {
                     fenced(state, std::move(result));
                 }));
}

bool ReplicatedQueue::is_taking_up(const PartitionState& state) const {
    const auto taking = taking_up_.find(state.id);
    return taking != taking_up_.end() && taking->second == state.epoch;
}

void ReplicatedQueue::fenced(const PartitionState& state, Result<void> result) {
    if (!is_taking_up(state)) return taken_up({});  // taken away meanwhile
    if (!result) {
        taking_up_.erase(state.id);
        return taken_up(std::move(result));
    }
    store_.intents(state.id, while_alive([this, state](Result<std::vector<Intent>> intents) {
                       if (is_taking_up(state)) begin_with(state, std::move(intents));
                       taken_up({});
                   }));
}

// Nothing is claimed before the attempts in doubt are: they would be sent as if they were not.
void ReplicatedQueue::begin_with(const PartitionState& state, Result<std::vector<Intent>> intents) {
    taking_up_.erase(state.id);
    if (!intents) {
        first_taken_up_ = intents.error();
        return;
    }
    auto former = std::exchange(former_[state.id], {});
    former_.erase(state.id);
    const bool goes_on = former.partition && former.partition->state().epoch == state.epoch;
    partitions_[state.id] = goes_on ? std::move(former.partition) : make_partition(state);
    if (goes_on) partitions_[state.id]->narrowed(state);
    for (const auto message : former.undecided) store_.release(message);
    std::map<QueueId, std::vector<Intent>> by_message;
    for (auto& intent : *intents) by_message[intent.id].push_back(std::move(intent));
    for (auto& [message, open] : by_message) resolve_message(message, std::move(open));
    if (accepting_) wake();
}

// A new epoch counts its operations from one.
std::shared_ptr<OwnedPartition> ReplicatedQueue::make_partition(const PartitionState& state) {
    const auto recovered = store_.partitions();
    const auto info = std::find_if(recovered.begin(), recovered.end(),
                                   [&](const auto& one) { return one.id == state.id; });
    const bool same_epoch = info != recovered.end() && info->fence == state.epoch;
    return std::make_shared<OwnedPartition>(
        state, control_.self(), same_epoch ? info->last : Sequence{0},
        OwnerFsm::Settings{settings_.holder_silence, settings_.replication_timeout}, store_,
        holders_);
}

void ReplicatedQueue::taken_up(Result<void> result) {
    if (!started_) return;
    if (!result) first_taken_up_ = std::move(result);
    if (!taking_up_.empty()) return;
    accepting_ = first_taken_up_.has_value();
    std::exchange(started_, {})(first_taken_up_);
}

// Attempts under way learn of it from may_send_dot(); messages that arrive get no 250.
void ReplicatedQueue::disown(PartitionId id) {
    const auto in_it = [id](const auto& entry) { return entry.first.partition() == id; };
    std::erase_if(arriving_, in_it);
    std::erase_if(claimed_, [&](const auto& entry) {
        if (!in_it(entry)) return false;
        store_.release(entry.first);
        return true;
    });
    const auto partition = partitions_.extract(id);
    former_[id] = {partition.mapped(), {}};
    partition.mapped()->abandon();
}

// A claim that was made while its partition went is nobody's.
bool ReplicatedQueue::still_owns(QueueId id) {
    if (owned(id) != nullptr) return true;
    store_.release(id);
    return false;
}

// Attempts were cut off: nobody knows whether the remotes took the message. As long as operations
// reach no other holder there is nobody to ask, so the policy decides at once.
void ReplicatedQueue::resolve_message(QueueId id, std::vector<Intent> open) {
    const auto epoch = partitions_.at(id.partition())->state().epoch;
    store_.claim_one(
        epoch, id, while_alive([this, open = std::move(open)](Result<Envelope> before) {
            if (!before) return;  // an operator removed it in the meantime
            if (!still_owns(before->id)) return;
            in_doubt_ += open.size();
            Envelope after = *before;
            std::vector<std::uint32_t> ended;
            for (const auto& intent : open) {
                after = storage::mark_in_doubt(std::move(after), intent, clock_.wall());
                ended.push_back(intent.attempt);
            }
            if (settings_.in_doubt == InDoubtPolicy::hold) {
                after = storage::hold(std::move(after), "in doubt: the reply of " +
                                                            open.front().remote + " was lost");
            }
            auto change = storage::settle(*before, after, {}, std::move(ended));
            submit(after.id, std::move(change), [this, id = after.id](Result<void> stored) {
                if (stored) in_doubt_recorded(id);
                // Else the store failed: the node is fenced and the intents stay.
            });
        }));
}

void ReplicatedQueue::in_doubt_recorded(QueueId id) {
    if (settings_.in_doubt != InDoubtPolicy::bounce || !bounce_in_doubt_) return wake();
    claim_one(id, while_alive([this](Result<Envelope> claimed) {
                  if (claimed) bounce_in_doubt_(std::move(*claimed));
              }));
}

void ReplicatedQueue::tick() {
    const auto now = clock_.boot();
    for (const auto& [id, partition] : std::map(partitions_)) {
        const auto epoch = partition->state().epoch;
        for (const auto& holder : partition->tick(now))
            control_.propose(DropHolder{id, epoch, holder}, [](Result<void>) {});
        if (partition->state().phase == PartitionPhase::closing && is_quiet(id))
            retire_when_empty(id);
    }
}

bool ReplicatedQueue::is_quiet(PartitionId id) const {
    const auto in_it = [id](const auto& entry) { return entry.first.partition() == id; };
    return partitions_.at(id)->under_way() == 0 &&
           std::none_of(arriving_.begin(), arriving_.end(), in_it) &&
           std::none_of(claimed_.begin(), claimed_.end(), in_it);
}

// A closing partition without a message is of no use to anybody.
void ReplicatedQueue::retire_when_empty(PartitionId id) {
    constexpr Duration look_every = std::chrono::seconds{1};
    const auto now = clock_.boot();
    auto& next = next_retirement_[id];
    if (now < next) return;
    next = now + look_every;
    store_.list(id, QueueId{}, 1, while_alive([this, id](Result<Envelopes> found) {
                    const auto partition = partitions_.find(id);
                    if (!found || partition == partitions_.end()) return;
                    if (!found->empty()) return void(with_mail_.insert(id));
                    with_mail_.erase(id);
                    if (!is_quiet(id)) return;
                    control_.propose(RetirePartition{id, partition->second->state().epoch},
                                     [](Result<void>) {});
                }));
}

bool ReplicatedQueue::lease_live() const {
    return control_.lease_live(clock_.boot(), settings_.drift_margin);
}

void ReplicatedQueue::wake() {
    if (wake_) wake_();
}

OwnedPartition* ReplicatedQueue::owned(QueueId id) {
    const auto found = partitions_.find(id.partition());
    return found == partitions_.end() ? nullptr : found->second.get();
}

// Without a way to other holders only a partition of this node alone can take a message: one that
// has no others, or else the solo one.
OwnedPartition* ReplicatedQueue::choose_open() {
    std::vector<OwnedPartition*> open;
    OwnedPartition* solo = nullptr;
    for (const auto& [id, partition] : partitions_) {
        const auto& state = partition->state();
        if (state.phase != PartitionPhase::open) continue;
        if (state.solo)
            solo = partition.get();
        else if (holders_.carries() || state.in_sync.size() == 1)
            open.push_back(partition.get());
    }
    if (open.empty()) return solo;
    return open[settings_.random() % open.size()];
}

void ReplicatedQueue::submit(QueueId id, OwnedPartition::AnyChange change, Completion<> done) {
    auto* partition = owned(id);
    if (partition == nullptr) return done(no_such_message(id));
    partition->submit(std::move(change), clock_.boot(), std::move(done));
}

// ------------------------------------------------------------------ accept

void ReplicatedQueue::begin(std::uint64_t size_hint_bytes, Completion<QueueId> done) {
    if (!accepting_) return done(Error{Errc::unavailable, "this node takes no new mail: it stops"});
    if (!store_.healthy()) return done(Error{Errc::io, "the queue's disk failed"});
    if (!lease_live()) return done(Error{Errc::unavailable, "this node has no live lease"});
    const auto stats = store_.stats();
    if (!stats.accepting || stats.disk_free_bytes < size_hint_bytes) {
        return done(Error{Errc::full, "the queue's disk is nearly full"});
    }
    auto* partition = choose_open();
    if (partition == nullptr) return done(Error{Errc::unavailable, "no open partition"});
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
    if (!lease_live()) {
        abort(id);
        return done(Error{Errc::unavailable, "the lease was lost while the message arrived"});
    }
    arriving_.erase(arriving);
    envelope.version = 1;
    auto change = storage::Commit{envelope, std::move(head)};
    submit(id, std::move(change),
           while_alive([this, envelope = std::move(envelope),
                        done = std::move(done)](Result<void> stored) mutable {
               if (stored) {
                   claimed_.emplace(envelope.id, Claimed{envelope, {}});
                   return done({});
               }
               const bool unknown = stored.error().code == Errc::unknown;
               if (unknown && owned(envelope.id) != nullptr)
                   return withdraw(std::move(envelope), std::move(done));
               if (unknown) former_[envelope.id.partition()].undecided.push_back(envelope.id);
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

void ReplicatedQueue::claim(std::size_t limit, Completion<Envelopes> done) {
    if (partitions_.empty() || limit == 0 || !lease_live()) return done(Envelopes{});
    auto all = std::make_shared<Gathering<Envelope>>();
    all->missing = partitions_.size();
    all->done = while_alive([this, done = std::move(done)](Result<Envelopes> found) mutable {
        if (!found) return done(std::move(found));
        // An operator resumed what is still being delivered: the attempt's settle() frees it.
        std::erase_if(*found, [&](const Envelope& envelope) {
            return !still_owns(envelope.id) ||
                   !claimed_.try_emplace(envelope.id, Claimed{envelope, {}}).second;
        });
        done(std::move(found));
    });
    const auto share = (limit + partitions_.size() - 1) / partitions_.size();
    for (const auto& [id, partition] : partitions_) {
        store_.claim(id, partition->state().epoch, clock_.wall(), share,
                     [all](Result<Envelopes> part) { all->add(std::move(part)); });
    }
}

void ReplicatedQueue::next_due(Completion<WallTime> done) {
    if (partitions_.empty()) return done(never);
    auto all = std::make_shared<Gathering<WallTime>>();
    all->missing = partitions_.size();
    all->done = [done = std::move(done)](Result<std::vector<WallTime>> times) mutable {
        if (!times) return done(times.error());
        done(*std::min_element(times->begin(), times->end()));
    };
    for (const auto& [id, partition] : partitions_) {
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
    submit(id, storage::Intend{std::move(intent)}, std::move(done));
}

bool ReplicatedQueue::may_send_dot(QueueId id) const {
    const auto claimed = claimed_.find(id);
    if (claimed == claimed_.end() || claimed->second.envelope.held) return false;
    return partitions_.contains(id.partition()) && lease_live();
}

void ReplicatedQueue::settle(Settlement settlement, Completion<> done) {
    auto claimed = claimed_.extract(settlement.id);
    if (claimed.empty()) return done(no_such_message(settlement.id));
    const Envelope& before = claimed.mapped().envelope;
    auto after = storage::apply_outcomes(before, settlement.outcomes, settlement.next_due);
    if (after && settlement.warned) after = storage::mark_warned(std::move(*after));
    mint_notices(settlement.id, settlement.notices);
    const bool notices = !settlement.notices.empty();
    auto change = storage::settle(before, std::move(after), std::move(settlement.notices),
                                  std::move(settlement.ended_attempts));
    submit(settlement.id, std::move(change),
           while_alive([this, notices, done = std::move(done)](Result<void> stored) mutable {
               const bool ok = stored.has_value();
               done(std::move(stored));
               if (ok && notices) wake();
           }));
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

// ------------------------------------------------------------------ operate

void ReplicatedQueue::act(QueueId id, Action action, std::string why, Completion<Envelope> done) {
    const auto claimed = claimed_.find(id);
    if (claimed != claimed_.end())
        return apply_action(claimed->second.envelope, action, why, std::move(done));
    auto* partition = owned(id);
    if (partition == nullptr) return done(no_such_message(id));
    store_.claim_one(partition->state().epoch, id,
                     while_alive([this, action, why = std::move(why),
                                  done = std::move(done)](Result<Envelope> current) mutable {
                         if (!current) return done(std::move(current));
                         if (!still_owns(current->id)) return done(no_such_message(current->id));
                         apply_action(std::move(*current), action, why, std::move(done));
                     }));
}

// `current` is claimed: by an attempt under way, or just now for this action alone.
void ReplicatedQueue::apply_action(Envelope current,
                                   Action action,
                                   const std::string& why,
                                   Completion<Envelope> done) {
    const auto now = clock_.wall();
    std::optional<Envelope> after;
    switch (action) {
        case Action::retry:
            after = storage::retry(current, now);
            break;
        case Action::hold:
            after = storage::hold(current, why);
            break;
        case Action::resume:
            after = storage::resume(current, now);
            break;
        case Action::remove:
            break;
    }
    std::vector<std::uint32_t> ended;
    auto claim_after = storage::ClaimAfter::ends;
    const auto claimed = claimed_.find(current.id);
    if (claimed != claimed_.end()) {
        if (after) {
            claimed->second.envelope = *after;
            claim_after = storage::ClaimAfter::stays;
        } else {
            ended = std::move(claimed->second.intended);  // a restart finds nothing in doubt
            claimed_.erase(claimed);  // the attempt under way ends without the dot, or for nobody
        }
    }
    auto shown = after ? *after : current;
    auto change = storage::settle(current, std::move(after), {}, std::move(ended));
    change.claim = claim_after;
    submit(current.id, std::move(change),
           while_alive([this, action, shown = std::move(shown),
                        done = std::move(done)](Result<void> stored) mutable {
               if (!stored) return done(stored.error());
               const auto id = shown.id;
               done(std::move(shown));
               if (acted_) acted_(id, action);
               if (action == Action::retry || action == Action::resume) wake();
           }));
}

void ReplicatedQueue::claim_one(QueueId id, Completion<Envelope> done) {
    auto* partition = owned(id);
    if (partition == nullptr) return done(no_such_message(id));
    if (claimed_.contains(id))
        return done(Error{Errc::conflict, id.to_string() + " is being delivered; try again"});
    store_.claim_one(partition->state().epoch, id,
                     while_alive([this, done = std::move(done)](Result<Envelope> found) mutable {
                         if (found && !still_owns(found->id))
                             return done(no_such_message(found->id));
                         if (found) claimed_.emplace(found->id, Claimed{*found, {}});
                         done(std::move(found));
                     }));
}

void ReplicatedQueue::find(QueueId id, Completion<Envelope> done) {
    store_.envelope(id, std::move(done));
}

void ReplicatedQueue::chunk(QueueId id, std::uint32_t index, Completion<Chunk> done) {
    store_.chunk(id, index, std::move(done));
}

void ReplicatedQueue::list(QueueId after, std::size_t limit, Completion<Envelopes> done) {
    if (partitions_.empty()) return done(Envelopes{});
    auto all = std::make_shared<Gathering<Envelope>>();
    all->missing = partitions_.size();
    all->done = [limit, done = std::move(done)](Result<Envelopes> found) mutable {
        if (!found) return done(std::move(found));
        std::sort(found->begin(), found->end(),
                  [](const Envelope& a, const Envelope& b) { return a.id < b.id; });
        if (found->size() > limit) found->resize(limit);
        done(std::move(found));
    };
    for (const auto& [id, partition] : partitions_) {
        store_.list(id, after, limit, [all](Result<Envelopes> part) { all->add(std::move(part)); });
    }
}

QueueCounters ReplicatedQueue::counters() const {
    return {.messages = store_.stats().messages, .claimed = claimed_.size(), .in_doubt = in_doubt_};
}

bool ReplicatedQueue::only_mail_is_left() const {
    return std::all_of(partitions_.begin(), partitions_.end(),
                       [&](const auto& entry) { return with_mail_.contains(entry.first); });
}

bool ReplicatedQueue::idle() const {
    return claimed_.empty() && arriving_.empty() &&
           std::all_of(partitions_.begin(), partitions_.end(),
                       [](const auto& entry) { return entry.second->under_way() == 0; });
}

}  // namespace posthorse::replication
