#include "replication/replicated_queue.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "proto/types/assert.h"
#include "replication/owned_partition.h"
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

class ReplicatedQueue::Impl : public std::enable_shared_from_this<Impl> {
public:
    Impl(const Clock& clock,
         storage::QueueStore& store,
         ControlPlane& control,
         HolderLinks& holders,
         Settings settings)
        : clock_(clock),
          store_(store),
          control_(control),
          holders_(holders),
          settings_(std::move(settings)) {}

    // --- start and agreement
    void start(Completion<> done);
    void tick();
    void stop_accepting() { accepting_ = false; }

    // --- accept
    void begin(std::uint64_t size_hint_bytes, Completion<QueueId> done);
    void append(QueueId id, std::uint32_t index, Chunk bytes, Completion<> done);
    void commit(Envelope envelope, Chunk head, Completion<> done);
    void abort(QueueId id);

    // --- deliver
    void claim(std::size_t limit, Completion<Envelopes> done);
    void next_due(Completion<WallTime> done);
    void intend(Intent intent, Completion<> done);
    bool may_send_dot(QueueId id) const;
    void settle(Settlement settlement, Completion<> done);
    void park(QueueId id, WallTime due);

    // --- operate
    void act(QueueId id, Action action, std::string why, Completion<Envelope> done);
    void claim_one(QueueId id, Completion<Envelope> done);
    void list(QueueId after, std::size_t limit, Completion<Envelopes> done);
    bool delivering(QueueId id) const { return claimed_.contains(id); }
    QueueCounters counters() const;
    bool idle() const;

    storage::QueueStore& store() { return store_; }
    UniqueFunction<void()> wake_;
    UniqueFunction<void(QueueId, Action)> acted_;
    UniqueFunction<void(Envelope)> bounce_in_doubt_;

private:
    using PartitionRef = std::shared_ptr<OwnedPartition>;

    bool lease_live() const { return control_.lease_live(clock_.boot(), settings_.drift_margin); }
    OwnedPartition* owned(QueueId id);
    OwnedPartition* choose_open();
    void own(PartitionState state, Completion<> done);
    void resolve_intents(PartitionId id, Completion<> done);
    void resolve_message(QueueId id, std::vector<Intent> open);
    void in_doubt_recorded(QueueId id);
    void pool_changed(const PoolState& state);
    void submit(QueueId id, OwnedPartition::AnyChange change, Completion<> done);
    void withdraw(Envelope envelope, Completion<> done);
    void mint_notices(QueueId cause, std::vector<NewMessage>& notices);
    void apply_action(Envelope current,
                      Action action,
                      const std::string& why,
                      Completion<Envelope> done);
    void wake() {
        if (wake_) wake_();
    }

    const Clock& clock_;
    storage::QueueStore& store_;
    ControlPlane& control_;
    HolderLinks& holders_;
    Settings settings_;
    bool accepting_ = false;
    std::map<PartitionId, PartitionRef> partitions_;
    std::unordered_map<QueueId, std::uint32_t> arriving_;  // chunks appended so far
    std::unordered_map<QueueId, Envelope> claimed_;        // in their newest state
    std::uint64_t in_doubt_ = 0;
};

// ------------------------------------------------------------------ start and agreement

void ReplicatedQueue::Impl::start(Completion<> done) {
    holders_.on_ack([weak = weak_from_this()](const Ack& ack) {
        const auto self = weak.lock();
        if (!self) return;
        const auto found = self->partitions_.find(ack.partition);
        if (found != self->partitions_.end()) found->second->acknowledged(ack);
    });
    control_.watch([weak = weak_from_this()](const PoolState& state) {
        if (const auto self = weak.lock()) self->pool_changed(state);
    });
    control_.start(
        [self = shared_from_this(), done = std::move(done)](Result<PoolState> state) mutable {
            if (!state) return done(state.error());
            auto all = std::make_shared<Gathering<int>>();
            all->missing = 1;
            all->done = [self, done = std::move(done)](Result<std::vector<int>> result) mutable {
                if (!result) return done(result.error());
                self->accepting_ = true;
                done({});
            };
            for (const auto& partition : state->partitions) {
                if (partition.owner != self->control_.self()) continue;
                ++all->missing;
                self->own(partition, [all](Result<void> owned) {
                    all->add(owned ? Result<std::vector<int>>(std::vector<int>{}) : owned.error());
                });
            }
            all->add(std::vector<int>{});
        });
}

// Nothing is read from a partition or written to it before its fence stands.
void ReplicatedQueue::Impl::own(PartitionState state, Completion<> done) {
    const auto id = state.id;
    const auto epoch = state.epoch;
    const auto recovered = store_.partitions();
    const auto info = std::find_if(recovered.begin(), recovered.end(),
                                   [id](const auto& partition) { return partition.id == id; });
    // A new epoch counts its operations from one.
    const bool same_epoch = info != recovered.end() && info->fence == epoch;
    const Sequence last = same_epoch ? info->last : Sequence{0};
    partitions_[id] = std::make_shared<OwnedPartition>(
        std::move(state), control_.self(), last,
        OwnerFsm::Settings{settings_.holder_silence, settings_.replication_timeout}, store_,
        holders_);
    store_.fence(
        id, epoch,
        [self = shared_from_this(), id, done = std::move(done)](Result<void> fenced) mutable {
            if (!fenced) return done(std::move(fenced));
            self->resolve_intents(id, std::move(done));
        });
}

void ReplicatedQueue::Impl::resolve_intents(PartitionId id, Completion<> done) {
    store_.intents(id, [self = shared_from_this(),
                        done = std::move(done)](Result<std::vector<Intent>> intents) mutable {
        if (!intents) return done(intents.error());
        std::map<QueueId, std::vector<Intent>> by_message;
        for (auto& intent : *intents) by_message[intent.id].push_back(std::move(intent));
        for (auto& [message, open] : by_message) self->resolve_message(message, std::move(open));
        done({});
    });
}

// Attempts were cut off: nobody knows whether the remotes took the message. There is nobody to ask
// in a pool of one, so the policy decides at once.
void ReplicatedQueue::Impl::resolve_message(QueueId id, std::vector<Intent> open) {
    const auto epoch = partitions_.at(id.partition())->state().epoch;
    store_.claim_one(
        epoch, id, [self = shared_from_this(), open = std::move(open)](Result<Envelope> before) {
            if (!before) return;  // an operator removed it in the meantime
            self->in_doubt_ += open.size();
            Envelope after = *before;
            std::vector<std::uint32_t> ended;
            for (const auto& intent : open) {
                after = storage::mark_in_doubt(std::move(after), intent, self->clock_.wall());
                ended.push_back(intent.attempt);
            }
            if (self->settings_.in_doubt == InDoubtPolicy::hold) {
                after = storage::hold(std::move(after), "in doubt: the reply of " +
                                                            open.front().remote + " was lost");
            }
            auto change = storage::settle(*before, after, {}, std::move(ended));
            self->submit(after.id, std::move(change), [self, id = after.id](Result<void> stored) {
                if (stored) self->in_doubt_recorded(id);
                // Else the store failed: the node is fenced and the intents stay.
            });
        });
}

void ReplicatedQueue::Impl::in_doubt_recorded(QueueId id) {
    if (settings_.in_doubt != InDoubtPolicy::bounce || !bounce_in_doubt_) return wake();
    claim_one(id, [self = shared_from_this()](Result<Envelope> claimed) {
        if (claimed) self->bounce_in_doubt_(std::move(*claimed));
    });
}

void ReplicatedQueue::Impl::pool_changed(const PoolState& state) {
    for (const auto& [id, partition] : partitions_) {
        const auto* now = state.find(id);
        if (now == nullptr || now->epoch <= partition->state().epoch) continue;
        if (now->owner != control_.self()) continue;
        store_.fence(id, now->epoch, [](Result<void>) {});
        partition->narrowed(*now);
    }
}

void ReplicatedQueue::Impl::tick() {
    const auto now = clock_.boot();
    for (const auto& [id, partition] : partitions_) {
        for (const auto& holder : partition->tick(now)) {
            control_.propose(DropHolder{id, holder}, control_.read().version,
                             [](Result<PoolState>) {});
        }
    }
}

OwnedPartition* ReplicatedQueue::Impl::owned(QueueId id) {
    const auto found = partitions_.find(id.partition());
    return found == partitions_.end() ? nullptr : found->second.get();
}

OwnedPartition* ReplicatedQueue::Impl::choose_open() {
    std::vector<OwnedPartition*> open;
    for (const auto& [id, partition] : partitions_) {
        const auto& state = partition->state();
        if (state.phase == PartitionPhase::open && !state.solo) open.push_back(partition.get());
    }
    if (open.empty()) return nullptr;
    return open[settings_.random() % open.size()];
}

void ReplicatedQueue::Impl::submit(QueueId id,
                                   OwnedPartition::AnyChange change,
                                   Completion<> done) {
    auto* partition = owned(id);
    if (partition == nullptr) return done(no_such_message(id));
    partition->submit(std::move(change), clock_.boot(), std::move(done));
}

// ------------------------------------------------------------------ accept

void ReplicatedQueue::Impl::begin(std::uint64_t size_hint_bytes, Completion<QueueId> done) {
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

void ReplicatedQueue::Impl::append(QueueId id,
                                   std::uint32_t index,
                                   Chunk bytes,
                                   Completion<> done) {
    const auto arriving = arriving_.find(id);
    if (arriving == arriving_.end()) return done(no_such_message(id));
    PH_ASSERT(index == arriving->second + 1);
    arriving->second = index;
    submit(id, storage::Append{id, index, std::move(bytes)}, std::move(done));
}

void ReplicatedQueue::Impl::commit(Envelope envelope, Chunk head, Completion<> done) {
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
           [self = shared_from_this(), envelope = std::move(envelope),
            done = std::move(done)](Result<void> stored) mutable {
               if (stored) {
                   self->claimed_.emplace(envelope.id, envelope);
                   return done({});
               }
               if (stored.error().code == Errc::unknown) {
                   return self->withdraw(std::move(envelope), std::move(done));
               }
               done(std::move(stored));
           });
}

// Some holders may have it: it must be gone before the client may hear a refusal (design.md,
// "before a 451 it is withdrawn, durably"). The claim that it was born with keeps it from being
// sent meanwhile.
void ReplicatedQueue::Impl::withdraw(Envelope envelope, Completion<> done) {
    auto change = storage::settle(envelope, std::nullopt, {}, {});
    submit(envelope.id, std::move(change), [done = std::move(done)](Result<void> gone) mutable {
        if (!gone) return done(Error{Errc::unknown, gone.error().what});
        done(Error{Errc::unavailable,
                   "the copies did not confirm in time; the message was withdrawn"});
    });
}

void ReplicatedQueue::Impl::abort(QueueId id) {
    const auto arriving = arriving_.extract(id);
    if (arriving.empty() || arriving.mapped() == 0) return;  // nothing was written
    submit(id, storage::Abort{id, arriving.mapped()}, [](Result<void>) {});
}

// ------------------------------------------------------------------ deliver

void ReplicatedQueue::Impl::claim(std::size_t limit, Completion<Envelopes> done) {
    if (partitions_.empty() || limit == 0 || !lease_live()) return done(Envelopes{});
    auto all = std::make_shared<Gathering<Envelope>>();
    all->missing = partitions_.size();
    all->done = [self = shared_from_this(),
                 done = std::move(done)](Result<Envelopes> found) mutable {
        if (!found) return done(std::move(found));
        // An operator resumed what is still being delivered: the attempt's settle() frees it.
        std::erase_if(*found, [&](const Envelope& envelope) {
            return !self->claimed_.try_emplace(envelope.id, envelope).second;
        });
        done(std::move(found));
    };
    const auto share = (limit + partitions_.size() - 1) / partitions_.size();
    for (const auto& [id, partition] : partitions_) {
        store_.claim(id, partition->state().epoch, clock_.wall(), share,
                     [all](Result<Envelopes> part) { all->add(std::move(part)); });
    }
}

void ReplicatedQueue::Impl::next_due(Completion<WallTime> done) {
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

void ReplicatedQueue::Impl::intend(Intent intent, Completion<> done) {
    const auto id = intent.id;
    submit(id, storage::Intend{std::move(intent)}, std::move(done));
}

bool ReplicatedQueue::Impl::may_send_dot(QueueId id) const {
    const auto claimed = claimed_.find(id);
    if (claimed == claimed_.end() || claimed->second.held) return false;
    return partitions_.contains(id.partition()) && lease_live();
}

void ReplicatedQueue::Impl::settle(Settlement settlement, Completion<> done) {
    auto claimed = claimed_.extract(settlement.id);
    if (claimed.empty()) return done(no_such_message(settlement.id));
    const Envelope& before = claimed.mapped();
    auto after = storage::apply_outcomes(before, settlement.outcomes, settlement.next_due);
    if (after && settlement.warned) after = storage::mark_warned(std::move(*after));
    mint_notices(settlement.id, settlement.notices);
    const bool notices = !settlement.notices.empty();
    auto change = storage::settle(before, std::move(after), std::move(settlement.notices),
                                  std::move(settlement.ended_attempts));
    submit(
        settlement.id, std::move(change),
        [self = shared_from_this(), notices, done = std::move(done)](Result<void> stored) mutable {
            const bool ok = stored.has_value();
            done(std::move(stored));
            if (ok && notices) self->wake();
        });
}

void ReplicatedQueue::Impl::mint_notices(QueueId cause, std::vector<NewMessage>& notices) {
    auto* partition = owned(cause);
    PH_ASSERT(partition != nullptr || notices.empty());
    for (auto& notice : notices) {
        notice.envelope.id = partition->mint(clock_.wall());
        notice.envelope.version = 1;
    }
}

void ReplicatedQueue::Impl::park(QueueId id, WallTime due) {
    auto claimed = claimed_.extract(id);
    if (claimed.empty()) return;
    const Envelope& before = claimed.mapped();
    if (before.held || due <= before.due_at) {
        store_.release(id);
        return;
    }
    submit(id, storage::settle(before, storage::park(before, due), {}, {}), [](Result<void>) {});
}

// ------------------------------------------------------------------ operate

void ReplicatedQueue::Impl::act(QueueId id,
                                Action action,
                                std::string why,
                                Completion<Envelope> done) {
    const auto claimed = claimed_.find(id);
    if (claimed != claimed_.end())
        return apply_action(claimed->second, action, why, std::move(done));
    auto* partition = owned(id);
    if (partition == nullptr) return done(no_such_message(id));
    store_.claim_one(partition->state().epoch, id,
                     [self = shared_from_this(), action, why = std::move(why),
                      done = std::move(done)](Result<Envelope> current) mutable {
                         if (!current) return done(std::move(current));
                         self->apply_action(std::move(*current), action, why, std::move(done));
                     });
}

// `current` is claimed: by an attempt under way, or just now for this action alone.
void ReplicatedQueue::Impl::apply_action(Envelope current,
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
    const auto claimed = claimed_.find(current.id);
    if (claimed != claimed_.end()) {
        if (after) {
            claimed->second = *after;
        } else {
            claimed_.erase(claimed);  // the attempt under way ends without the dot, or for nobody
        }
    }
    auto shown = after ? *after : current;
    submit(current.id, storage::settle(current, std::move(after), {}, {}),
           [self = shared_from_this(), action, shown = std::move(shown),
            done = std::move(done)](Result<void> stored) mutable {
               if (!stored) return done(stored.error());
               const auto id = shown.id;
               done(std::move(shown));
               if (self->acted_) self->acted_(id, action);
               if (action == Action::retry || action == Action::resume) self->wake();
           });
}

void ReplicatedQueue::Impl::claim_one(QueueId id, Completion<Envelope> done) {
    auto* partition = owned(id);
    if (partition == nullptr) return done(no_such_message(id));
    if (claimed_.contains(id))
        return done(Error{Errc::conflict, id.to_string() + " is being delivered; try again"});
    store_.claim_one(
        partition->state().epoch, id,
        [self = shared_from_this(), done = std::move(done)](Result<Envelope> found) mutable {
            if (found) self->claimed_.emplace(found->id, *found);
            done(std::move(found));
        });
}

void ReplicatedQueue::Impl::list(QueueId after, std::size_t limit, Completion<Envelopes> done) {
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

QueueCounters ReplicatedQueue::Impl::counters() const {
    return {.messages = store_.stats().messages, .claimed = claimed_.size(), .in_doubt = in_doubt_};
}

bool ReplicatedQueue::Impl::idle() const {
    return claimed_.empty() && arriving_.empty() &&
           std::all_of(partitions_.begin(), partitions_.end(),
                       [](const auto& entry) { return entry.second->under_way() == 0; });
}

// ------------------------------------------------------------------ the facade

ReplicatedQueue::ReplicatedQueue(const Clock& clock,
                                 storage::QueueStore& store,
                                 ControlPlane& control,
                                 HolderLinks& holders,
                                 Settings settings)
    : impl_(std::make_shared<Impl>(clock, store, control, holders, std::move(settings))) {}

ReplicatedQueue::~ReplicatedQueue() = default;

void ReplicatedQueue::start(Completion<> done) {
    impl_->start(std::move(done));
}
void ReplicatedQueue::stop_accepting() {
    impl_->stop_accepting();
}
void ReplicatedQueue::tick() {
    impl_->tick();
}
void ReplicatedQueue::begin(std::uint64_t size_hint_bytes, Completion<QueueId> done) {
    impl_->begin(size_hint_bytes, std::move(done));
}
void ReplicatedQueue::append(QueueId id, std::uint32_t index, Chunk bytes, Completion<> done) {
    impl_->append(id, index, std::move(bytes), std::move(done));
}
void ReplicatedQueue::commit(Envelope envelope, Chunk head, Completion<> done) {
    impl_->commit(std::move(envelope), std::move(head), std::move(done));
}
void ReplicatedQueue::abort(QueueId id) {
    impl_->abort(id);
}
void ReplicatedQueue::claim(std::size_t limit, Completion<Envelopes> done) {
    impl_->claim(limit, std::move(done));
}
void ReplicatedQueue::next_due(Completion<WallTime> done) {
    impl_->next_due(std::move(done));
}
void ReplicatedQueue::intend(Intent intent, Completion<> done) {
    impl_->intend(std::move(intent), std::move(done));
}
bool ReplicatedQueue::may_send_dot(QueueId id) const {
    return impl_->may_send_dot(id);
}
void ReplicatedQueue::settle(Settlement settlement, Completion<> done) {
    impl_->settle(std::move(settlement), std::move(done));
}
void ReplicatedQueue::park(QueueId id, WallTime due) {
    impl_->park(id, due);
}
void ReplicatedQueue::act(QueueId id, Action action, std::string why, Completion<Envelope> done) {
    impl_->act(id, action, std::move(why), std::move(done));
}
void ReplicatedQueue::claim_one(QueueId id, Completion<Envelope> done) {
    impl_->claim_one(id, std::move(done));
}
void ReplicatedQueue::find(QueueId id, Completion<Envelope> done) {
    impl_->store().envelope(id, std::move(done));
}
void ReplicatedQueue::chunk(QueueId id, std::uint32_t index, Completion<Chunk> done) {
    impl_->store().chunk(id, index, std::move(done));
}
void ReplicatedQueue::list(QueueId after, std::size_t limit, Completion<Envelopes> done) {
    impl_->list(after, limit, std::move(done));
}
void ReplicatedQueue::on_due(UniqueFunction<void()> wake) {
    impl_->wake_ = std::move(wake);
}
void ReplicatedQueue::on_acted(UniqueFunction<void(QueueId, Action)> acted) {
    impl_->acted_ = std::move(acted);
}
void ReplicatedQueue::on_bounce_in_doubt(UniqueFunction<void(Envelope)> bounce) {
    impl_->bounce_in_doubt_ = std::move(bounce);
}
bool ReplicatedQueue::delivering(QueueId id) const {
    return impl_->delivering(id);
}
QueueCounters ReplicatedQueue::counters() const {
    return impl_->counters();
}
bool ReplicatedQueue::idle() const {
    return impl_->idle();
}

}  // namespace posthorse::replication
