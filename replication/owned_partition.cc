#include "replication/owned_partition.h"

#include <algorithm>
#include <utility>

#include "proto/types/assert.h"
#include "replication/operation_need.h"

namespace posthorse::replication {
namespace {

// Appends wait while a holder has not received this much.
constexpr std::size_t append_window_bytes = 2 * 1024 * 1024;
constexpr Duration propose_again = std::chrono::seconds{1};
// For so long a newcomer may be out of reach.
constexpr Duration newcomer_away_max = std::chrono::seconds{5};

std::vector<NodeId> without(std::vector<NodeId> nodes, NodeId self) {
    std::erase(nodes, self);
    return nodes;
}

// What holders get: not what only the owner's own store is to remember.
storage::Operation for_holders(storage::Operation operation) {
    if (auto* settle = std::get_if<storage::Settle>(&operation.change)) settle->remember.clear();
    return operation;
}

}  // namespace

OwnedPartition::OwnedPartition(PartitionState state,
                               NodeId self,
                               storage::Position base,
                               Settings settings,
                               storage::QueueStore& store,
                               PeerStreams& streams,
                               Pace& pace)
    : state_(std::move(state)),
      first_epoch_(state_.epoch),
      self_(self),
      base_(base),
      settings_(settings),
      fsm_(settings.times, other_holders(), Sequence{0}),
      log_(Sequence{0}, settings.retain_bytes_max),
      store_(store),
      streams_(streams),
      pace_(pace) {
    for (const auto& node : other_holders()) progress_[node];
}

OwnedPartition::~OwnedPartition() = default;

std::vector<NodeId> OwnedPartition::other_holders() const {
    return without(state_.in_sync, self_);
}

std::optional<NodeId> OwnedPartition::invited() const {
    if (!newcomer_) return std::nullopt;
    return newcomer_->node;
}

void OwnedPartition::begin(const std::function<bool(NodeId)>& is_up) {
    for (auto& [node, progress] : progress_) is_up(node) ? up(node) : down(node);
}

// ------------------------------------------------------------------ operations

void OwnedPartition::submit(AnyChange change, BootTime now, Completion<> done) {
    const auto sequence = fsm_.begin(need_of(change), now);
    const bool is_append = std::holds_alternative<storage::Append>(change);
    storage::Operation operation{{state_.id, state_.epoch, sequence}, std::move(change)};
    waiting_.emplace(sequence, Waiting{std::move(done), is_append});
    if (progress_.empty())
        log_.skip();
    else
        log_.append(for_holders(operation));
    // The store's thread syncs while this one hands the operation to the streams.
    store_.apply(std::move(operation), [weak = weak_from_this(), sequence](Result<void> result) {
        if (const auto self = weak.lock()) self->stored(sequence, std::move(result));
    });
    for (auto& [node, progress] : progress_) {
        if (progress.overrun(log_.first())) open(node, progress);
        pump(node, progress);
    }
}

void OwnedPartition::submit_local(AnyChange change) {
    store_.apply({{state_.id, state_.epoch, Sequence{0}}, std::move(change)}, [](Result<void>) {});
}

QueueId OwnedPartition::mint(WallTime now) {
    last_minted_ = std::max(last_minted_, now);
    return QueueId::make(last_minted_, state_.id, state_.epoch, minted_++);
}

void OwnedPartition::stored(Sequence sequence, Result<void> result) {
    if (!result) {
        fsm_.local_failed(sequence);
        // A write that failed may be on the disk all the same, and at holders.
        const bool may_be = !fsm_.holders().empty() || result.error().code == Errc::io;
        finish(sequence, may_be ? Error{Errc::unknown, result.error().what} : result.error());
        return;
    }
    OwnerFsm::Effects effects;
    fsm_.local_done(sequence, effects);
    carry_out(effects);
}

void OwnedPartition::finish(Sequence sequence, Result<void> result) {
    auto node = waiting_.extract(sequence);
    if (node.empty()) return;
    auto& waiting = node.mapped();
    if (waiting.is_append && result && holders_lag())
        return late_.push_back(std::move(waiting.done));
    waiting.done(std::move(result));
}

void OwnedPartition::carry_out(const OwnerFsm::Effects& effects) {
    trim();
    for (const auto sequence : effects.done) finish(sequence, {});
    for (const auto sequence : effects.overdue) {
        finish(sequence, Error{Errc::unknown, "a holder did not acknowledge in time"});
    }
}

// A newcomer that is brought up anew begins with a listing: it needs nothing that it was sent.
void OwnedPartition::trim() {
    auto upto = fsm_.durable_everywhere();
    for (const auto& [node, progress] : progress_) {
        if (!fsm_.binds(node) && progress.sends())
            upto = std::min(upto, Sequence{progress.next().value - 1});
    }
    log_.trim(upto);
    while (!late_.empty() && !holders_lag()) {
        auto done = std::move(late_.front());
        late_.pop_front();
        done({});
    }
}

// Whoever sends a body goes at the pace of the slowest holder's log. Its disk is no matter before
// the commit, which nothing that waits here would ever reach: what is received and not yet synced
// is kept for a new stream as far as there is room (OperationLog).
bool OwnedPartition::holders_lag() const {
    auto have = log_.last();
    for (const auto& [node, progress] : progress_) {
        if (fsm_.binds(node))
            have = std::min(have, progress.received());
        else if (progress.sends())
            have = std::min(have, Sequence{progress.next().value - 1});
    }
    return log_.bytes_after(have) > append_window_bytes;
}

std::size_t OwnedPartition::waive_intents(BootTime now) {
    const auto waived = fsm_.waive(now);
    if (waived.empty()) return 0;
    store_.probe([weak = weak_from_this(), waived](Result<void> synced) {
        const auto self = weak.lock();
        if (!self) return;
        for (const auto sequence : waived) self->finish(sequence, synced);
    });
    return waived.size();
}

std::uint64_t OwnedPartition::lag() const {
    return fsm_.last().value - fsm_.durable_everywhere().value;
}

// ------------------------------------------------------------------ holders

void OwnedPartition::up(NodeId node) {
    const auto found = progress_.find(node);
    if (found == progress_.end()) return;
    found->second.up();
    open(node, found->second);
}

void OwnedPartition::down(NodeId node) {
    const auto found = progress_.find(node);
    if (found == progress_.end()) return;
    found->second.down();
    end_source(node);
}

void OwnedPartition::open(NodeId node, PeerProgress& progress) {
    end_source(node);
    progress.opened(state_.epoch);
    streams_.send(node, Open{slice()});
}

void OwnedPartition::drained(NodeId node) {
    const auto found = progress_.find(node);
    if (found == progress_.end()) return;
    pump(node, found->second);
    const auto source = sources_.find(node);
    if (source != sources_.end()) source->second->go_on();
}

// What was submitted in an earlier epoch of this ownership goes in the one that is now.
void OwnedPartition::pump(NodeId node, PeerProgress& progress) {
    while (progress.sends() && progress.next() <= log_.last() &&
           streams_.backlog(node) < backlog_high_bytes) {
        const auto sequence = progress.next();
        progress.sent(sequence);
        auto operate = log_.at(sequence);
        operate.operation.stamp.epoch = state_.epoch;
        streams_.send(node, std::move(operate));
    }
}

void OwnedPartition::answered(NodeId node, Frame frame, BootTime now) {
    const auto found = progress_.find(node);
    if (found == progress_.end() || slice_of(frame) != slice()) return;
    auto& progress = found->second;
    if (const auto* at = std::get_if<Standing>(&frame)) return stands(node, progress, *at);
    if (const auto* ack = std::get_if<Ack>(&frame)) return acknowledged(node, progress, *ack);
    if (const auto* refused = std::get_if<Refused>(&frame)) {
        end_source(node);
        return progress.refused(refused->why, now);
    }
    const auto source = sources_.find(node);
    if (const auto* want = std::get_if<Want>(&frame)) {
        if (source != sources_.end()) source->second->on(*want);
        return;
    }
    mend(std::move(frame));
}

// ------------------------------------------------------------------ mending

void OwnedPartition::fetch(QueueId id, Lost lost) {
    for (const auto& [node, progress] : progress_) {
        if (progress.phase() != PeerProgress::Phase::following) continue;
        fetching_[id] = lost;
        return streams_.send(node, Fetch{slice(), {id}});
    }
}

void OwnedPartition::mend(Frame frame) {
    if (auto* body = std::get_if<Body>(&frame)) {
        if (fetching_.contains(body->id))
            submit_local(storage::Append{body->id, body->index, std::move(body->bytes)});
    } else if (auto* record = std::get_if<Record>(&frame)) {
        const auto fetched = fetching_.extract(record->envelope.id);
        if (fetched.empty()) return;
        mended_ += 1;
        submit_local(storage::Restore{std::move(record->envelope), std::move(record->head),
                                      fetched.mapped() == Lost::body});
    } else if (const auto* gone = std::get_if<Gone>(&frame)) {
        fetching_.erase(gone->id);
    }
}

void OwnedPartition::stands(NodeId node, PeerProgress& progress, const Standing& standing) {
    const auto follow =
        progress.standing(standing, {base_, first_epoch_, log_.first(), log_.last()});
    if (!follow) return;
    streams_.send(node, *follow);
    if (follow->listing) {
        list_to(node);
    } else {
        const Sequence has{follow->next.value - 1};
        acknowledged(node, progress, Ack{slice(), has, has});  // its answer came behind a sync
    }
    if (const auto still = progress_.find(node); still != progress_.end())
        pump(node, still->second);
}

void OwnedPartition::acknowledged(NodeId node, PeerProgress& progress, const Ack& ack) {
    if (!progress.acknowledged(ack)) return;
    if (invited() == node) {
        newcomer_->received = std::max(newcomer_->received, ack.received);
        newcomer_->durable = std::max(newcomer_->durable, ack.durable);
    }
    OwnerFsm::Effects effects;
    fsm_.acknowledged(node, ack.received, ack.durable, effects);
    carry_out(effects);
}

void OwnedPartition::list_to(NodeId node) {
    const auto source = std::make_shared<ListingSource>(
        slice(), ListingSource::Ports{
                     .store = store_,
                     .pace = pace_,
                     .send = [this, node](Frame frame) { streams_.send(node, std::move(frame)); },
                     .room = [this, node] { return streams_.backlog(node) < backlog_high_bytes; },
                     // A holder is silent from here on, and judged as such.
                     .failed =
                         [this, node](const Error&) {
                             if (invited() == node) newcomer_->cannot_be_listed_to = true;
                         }});
    sources_[node] = source;
    source->list();
}

void OwnedPartition::end_source(NodeId node) {
    const auto source = sources_.extract(node);
    if (!source.empty()) source.mapped()->end();
}

void OwnedPartition::forget_holder(NodeId node) {
    end_source(node);
    progress_.erase(node);
}

// ------------------------------------------------------------------ the set

void OwnedPartition::invite(NodeId node, bool is_up) {
    PH_ASSERT(!newcomer_ && !state_.holds(node));
    newcomer_ = Newcomer{.node = node};
    auto& progress = progress_[node];
    if (!is_up) return;
    progress.up();
    open(node, progress);
}

void OwnedPartition::call_off_invitation(OwnerFsm::Effects& out) {
    const auto node = newcomer_->node;
    newcomer_.reset();
    forget_holder(node);
    fsm_.unbind(node, out);
}

// For long.
bool OwnedPartition::is_away(BootTime now) {
    auto& since = newcomer_->away_since;
    if (progress_.at(newcomer_->node).sends() && !newcomer_->cannot_be_listed_to)
        since.reset();
    else if (!since)
        since = now;
    return since && now - *since >= newcomer_away_max;
}

// Operations wait for it from before the pool is asked: none is done without it that it lacks.
void OwnedPartition::tend_newcomer(BootTime now, Due& due) {
    const auto node = newcomer_->node;
    if (is_away(now)) {
        newcomer_->away_since = now;
        if (newcomer_->proposed) return due.silent.push_back(node);
        due.called_off = node;
        OwnerFsm::Effects effects;
        call_off_invitation(effects);
        return carry_out(effects);
    }
    if (progress_.at(node).phase() != PeerProgress::Phase::following) return;
    if (!fsm_.binds(node)) fsm_.bind(node, newcomer_->received, newcomer_->durable);
    if (now < newcomer_->again_at || !fsm_.covers(node)) return;
    newcomer_->proposed = state_.epoch;
    newcomer_->again_at = now + propose_again;
    due.propose_holder = node;
}

void OwnedPartition::changed(const PartitionState& state) {
    PH_ASSERT(state.id == state_.id && state.owner == state_.owner && state.epoch >= state_.epoch);
    const bool epoch_changed = state.epoch != state_.epoch;
    state_ = state;
    if (!epoch_changed) return;
    // The pool has decided about a newcomer that it was asked about: for it, or against it.
    const bool decided = newcomer_ && (newcomer_->proposed || state_.holds(newcomer_->node));
    if (decided) newcomer_.reset();
    auto binding = other_holders();
    if (newcomer_ && fsm_.binds(newcomer_->node)) binding.push_back(newcomer_->node);
    for (const auto& [node, progress] : std::map(progress_)) {
        const bool stays = state_.holds(node) || (newcomer_ && newcomer_->node == node);
        if (!stays) forget_holder(node);
    }
    for (const auto& node : other_holders()) progress_[node];
    for (auto& [node, progress] : progress_) {
        if (progress.phase() == PeerProgress::Phase::down) continue;
        progress.reopen();
        open(node, progress);
    }
    OwnerFsm::Effects effects;
    fsm_.bound(binding, effects);
    carry_out(effects);
}

void OwnedPartition::abandon() {
    for (const auto& [node, progress] : progress_) end_source(node);
    newcomer_.reset();
    for (auto& [sequence, waiting] : std::exchange(waiting_, {}))
        waiting.done(Error{Errc::unknown, "this node does not own the partition any more"});
    for (auto& done : std::exchange(late_, {}))
        done(Error{Errc::unknown, "this node does not own the partition any more"});
}

// Holders that neither follow nor are dropped hold up whoever sends a body, and not for ever.
void OwnedPartition::give_up_late(BootTime now) {
    if (late_.empty()) return late_since_.reset();
    if (!late_since_) late_since_ = now;
    if (now - *late_since_ < settings_.times.give_up) return;
    for (auto& done : std::exchange(late_, {}))
        done(Error{Errc::unavailable, "the copies of this message do not follow"});
}

OwnedPartition::Due OwnedPartition::tick(BootTime now) {
    Due due;
    OwnerFsm::Effects effects;
    fsm_.tick(now, effects);
    for (const auto node : effects.silent) {
        const bool only_invited = invited() == node && !newcomer_->proposed;
        if (!only_invited) {
            due.silent.push_back(node);
            continue;
        }
        call_off_invitation(effects);
        due.called_off = node;
    }
    carry_out(effects);
    for (auto& [node, progress] : progress_) {
        if (progress.open_due(now)) open(node, progress);
    }
    for (const auto& [node, source] : std::map(sources_)) source->go_on();
    if (newcomer_) tend_newcomer(now, due);
    give_up_late(now);
    return due;
}

}  // namespace posthorse::replication
