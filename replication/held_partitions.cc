#include "replication/held_partitions.h"

#include <algorithm>

#include "storage/queue_batch.h"

namespace posthorse::replication {
namespace {

// Chunks of a body are acknowledged a few at a time: only the pace of their sender hangs on it,
// which has twice as many on the way (OwnedPartition).
constexpr std::uint32_t quiet_operations_max = 4;

}  // namespace

HeldPartitions::HeldPartitions(storage::QueueStore& store,
                               ControlPlane& control,
                               PeerStreams& streams,
                               Executor& home,
                               Pace& pace,
                               AttemptBook& attempts)
    : store_(store),
      control_(control),
      streams_(streams),
      home_(home),
      pace_(pace),
      attempts_(attempts) {}

HeldPartitions::~HeldPartitions() = default;

template <class Call>
auto HeldPartitions::while_alive(Call call) {
    return [alive = std::weak_ptr<char>(alive_), call = std::move(call)](auto&&... args) mutable {
        if (!alive.expired()) call(std::forward<decltype(args)>(args)...);
    };
}

// ------------------------------------------------------------------ frames

void HeldPartitions::came(LinkId link, const PeerStreams::Peer& from, Frame frame) {
    const auto bytes = size_of(frame);
    const auto slice = slice_of(frame);
    if (auto* operate = std::get_if<Operate>(&frame))
        return take(link, std::move(*operate), bytes);  // reads on when it is applied
    streams_.read_on(link, bytes);
    if (auto* open = std::get_if<Open>(&frame)) return take(link, from, *open);
    if (auto* follow = std::get_if<Follow>(&frame)) return take(link, *follow);
    if (const auto* ask = std::get_if<Ask>(&frame)) return take(link, from, *ask);
    auto* to = held(link, slice);
    if (to == nullptr) return;  // of an earlier conversation
    if (std::holds_alternative<Pull>(frame)) return list(*to, {});
    if (auto* fetch = std::get_if<Fetch>(&frame)) return list(*to, std::move(fetch->ids));
    if (const auto* want = std::get_if<Want>(&frame)) {
        if (to->source) to->source->on(*want);
        return;
    }
    const auto target = to->target;
    if (!target) return;
    if (const auto* page = std::get_if<Page>(&frame)) target->on(*page);
    if (auto* body = std::get_if<Body>(&frame)) target->on(std::move(*body));
    if (auto* record = std::get_if<Record>(&frame)) target->on(std::move(*record));
    if (const auto* gone = std::get_if<Gone>(&frame)) target->on(*gone);
    if (auto* end = std::get_if<ListEnd>(&frame)) target->on(std::move(*end));
}

HeldPartitions::Held* HeldPartitions::held(LinkId link, const Slice& slice) {
    const auto found = held_.find(slice.partition);
    if (found == held_.end()) return nullptr;
    auto& held = found->second;
    return held.link == link && held.slice == slice && held.opened ? &held : nullptr;
}

void HeldPartitions::ended(LinkId link) {
    std::erase_if(held_, [&](auto& entry) {
        auto& held = entry.second;
        if (held.link != link) return false;
        if (held.target) held.target->end();
        if (held.source) held.source->end();
        return true;
    });
}

void HeldPartitions::drained(LinkId link) {
    for (auto& [id, held] : std::map(held_)) {
        if (held.link == link && held.source) held.source->go_on();
    }
}

void HeldPartitions::tick() {
    for (auto& [id, held] : std::map(held_)) {
        if (held.source) held.source->go_on();
    }
}

std::size_t HeldPartitions::copying() const {
    return static_cast<std::size_t>(
        std::count_if(held_.begin(), held_.end(),
                      [](const auto& entry) { return entry.second.target != nullptr; }));
}

// ------------------------------------------------------------------ who is believed

std::optional<HolderRefusal> HeldPartitions::disbelieve(const Slice& slice,
                                                        const PeerStreams::Peer& from) const {
    const auto& pool = control_.read();
    const auto* partition = pool.find(slice.partition);
    if (partition == nullptr)
        return slice.partition < pool.next_partition ? HolderRefusal::fenced
                                                     : HolderRefusal::not_yet;
    if (slice.epoch > partition->epoch) return HolderRefusal::not_yet;
    if (slice.epoch < partition->epoch || partition->owner != from.node ||
        !pool.is_live(from.node, from.incarnation) || from.node == control_.self())
        return HolderRefusal::fenced;
    return std::nullopt;
}

void HeldPartitions::take(LinkId link, const PeerStreams::Peer& from, Open open) {
    if (const auto why = disbelieve(open.slice, from)) return refuse(link, open.slice, *why);
    auto& held = held_[open.slice.partition];
    if (held.target) held.target->end();
    if (held.source) held.source->end();
    // An owner that asks twice may follow what it heard first, before it hears the second.
    const bool again = held.link == link && held.slice == open.slice && held.opened;
    held = Held{.link = link, .slice = open.slice, .opened = again, .whole = again && held.whole};
    store_.fence(open.slice.partition, open.slice.epoch,
                 while_alive([this, link, slice = open.slice](Result<storage::CopyState> copy) {
                     opened(link, slice, std::move(copy));
                 }));
}

void HeldPartitions::opened(LinkId link, Slice slice, Result<storage::CopyState> copy) {
    const auto found = held_.find(slice.partition);
    if (found == held_.end() || found->second.link != link || found->second.slice != slice) return;
    if (!copy) {
        const bool fenced = copy.error().code == Errc::fenced;
        return give_up(link, slice, fenced ? HolderRefusal::fenced : HolderRefusal::failed);
    }
    auto& held = found->second;
    held.opened = true;
    held.whole = copy->whole;
    streams_.answer(link, Standing{slice, copy->at});
}

// What an owner of the past still sends is not applied: the value that ended it is known here.
void HeldPartitions::pool_changed(const PoolState& state) {
    for (const auto& [id, held] : std::map(held_)) {
        const auto* partition = state.find(id);
        const bool mine = partition != nullptr && partition->owner == control_.self();
        const bool goes_on = partition != nullptr && partition->epoch <= held.slice.epoch && !mine;
        if (!goes_on) give_up(held.link, held.slice, HolderRefusal::fenced);
    }
    forget_taken_up(state);
}

void HeldPartitions::refuse(LinkId link, const Slice& slice, HolderRefusal why) {
    streams_.answer(link, Refused{slice, why});
}

void HeldPartitions::give_up(LinkId link, const Slice& slice, HolderRefusal why) {
    const auto found = held_.find(slice.partition);
    if (found == held_.end() || found->second.link != link || found->second.slice != slice) return;
    if (found->second.target) found->second.target->end();
    if (found->second.source) found->second.source->end();
    held_.erase(found);
    refuse(link, slice, why);
}

// ------------------------------------------------------------------ operations

void HeldPartitions::take(LinkId link, Follow follow) {
    auto* to = held(link, follow.slice);
    if (to == nullptr) return;
    to->expected = follow.next;
    const Sequence before{follow.next.value - 1};
    to->received = to->durable = before;
    // It has parts of what came after the position that it told.
    if (!follow.listing && !to->whole) return give_up(link, follow.slice, HolderRefusal::gap);
    to->listed = follow.listing;
    // What ends the bodies that were arriving was sent before, or their owner is no more.
    if (follow.listing || follow.next == Sequence{1})
        forget_bodies(follow.slice.partition, follow.slice.epoch);
    if (follow.listing) begin_copy(*to, before);
}

// It is whole, up to `before` at least, when the target says so.
void HeldPartitions::begin_copy(Held& held, Sequence before) {
    const auto link = held.link;
    const auto slice = held.slice;
    held.whole = false;
    if (held.target) return held.target->begin();  // its end may be on its way to the disk
    held.target = std::make_shared<ListingTarget>(
        slice, storage::Position{slice.epoch, before}, store_,
        [this, link](Frame frame) { streams_.answer(link, std::move(frame)); },
        while_alive(
            [this, link, slice](Result<void> done) { whole(link, slice, std::move(done)); }));
    held.target->begin();
}

void HeldPartitions::whole(LinkId link, Slice slice, Result<void> result) {
    auto* to = held(link, slice);
    if (to == nullptr) return;
    if (!result) return give_up(link, slice, HolderRefusal::failed);
    to->target.reset();
    to->whole = true;
    to->durable = to->received;  // EndCopy was synced behind all of them
    owe_ack(slice.partition);
}

void HeldPartitions::take(LinkId link, Operate operate, std::size_t bytes) {
    const auto stamp = operate.operation.stamp;
    const Slice slice{stamp.partition, stamp.epoch};
    auto* to = held(link, slice);
    if (to == nullptr || !to->expected) return streams_.read_on(link, bytes);
    const bool whole = arriving_.came(operate.operation);
    const bool lacks_body =
        !whole && std::holds_alternative<storage::Commit>(operate.operation.change);
    const bool can_wait = !lacks_body || to->target || to->listed;
    if (stamp.sequence != *to->expected || !can_wait) {
        streams_.read_on(link, bytes);
        return give_up(link, slice, HolderRefusal::gap);
    }
    to->expected->value += 1;
    const bool is_late = lacks_body && !to->target;
    if (lacks_body) begin_copy(*to, Sequence{stamp.sequence.value - 1});
    if (to->target) to->target->operated(operate.operation, whole);
    if (is_late) to->target->want_missing();
    if (!whole) leave_out(operate.operation);
    const auto need = need_of(operate.operation.change);
    operate.operation.unbroken = true;
    std::optional<QueueId> born;  // claimed: by its owner, which is not here
    if (const auto* commit = std::get_if<storage::Commit>(&operate.operation.change))
        born = commit->envelope.id;
    store_.apply(std::move(operate.operation),
                 while_alive([this, link, slice, need, bytes, born,
                              sequence = stamp.sequence](Result<void> result) {
                     streams_.read_on(link, bytes);
                     if (born) store_.release(*born);
                     applied(link, slice, sequence, need, std::move(result));
                 }));
}

void HeldPartitions::forget_bodies(PartitionId partition, Epoch epoch) {
    for (const auto id : arriving_.extract(partition))
        store_.apply({{partition, epoch, Sequence{0}}, storage::Forget{id}}, [](Result<void>) {});
}

// Before the take-up may bring them whole, whether their owner is heard or not: what was committed
// is forgotten no more.
void HeldPartitions::forget_taken_up(const PoolState& state) {
    for (const auto id : arriving_.partitions()) {
        const auto* partition = state.find(id);
        if (partition != nullptr && partition->owner == control_.self())
            forget_bodies(id, partition->epoch);
    }
}

// A part of a body that began before the listing did, or its commit: all of it is to be had from
// the owner's store, and nothing of it is here before that comes. Its place in the order is taken.
void HeldPartitions::leave_out(storage::Operation& operation) {
    if (const auto* append = std::get_if<storage::Append>(&operation.change)) {
        operation.change = storage::Abort{append->id, 0};
    } else {
        const auto envelope = std::get<storage::Commit>(operation.change).envelope;
        operation.change = storage::Abort{envelope.id, envelope.chunk_count};
    }
}

void HeldPartitions::applied(
    LinkId link, Slice slice, Sequence sequence, Need need, Result<void> result) {
    if (!result) forget_bodies(slice.partition, slice.epoch);  // it may be a part of one
    auto* to = held(link, slice);
    if (to == nullptr) return;
    if (!result) {
        const bool fenced = result.error().code == Errc::fenced;
        return give_up(link, slice, fenced ? HolderRefusal::fenced : HolderRefusal::failed);
    }
    to->received = std::max(to->received, sequence);
    if (need == Need::durable) to->durable = std::max(to->durable, sequence);
    to->quietly = need == Need::local ? to->quietly + 1 : quiet_operations_max;
    if (!to->target && to->quietly >= quiet_operations_max) owe_ack(slice.partition);
}

// One for all that the store completed together.
void HeldPartitions::owe_ack(PartitionId partition) {
    if (acks_owed_.empty()) home_.post(while_alive([this] { send_acks(); }));
    if (std::find(acks_owed_.begin(), acks_owed_.end(), partition) == acks_owed_.end())
        acks_owed_.push_back(partition);
}

void HeldPartitions::send_acks() {
    for (const auto partition : std::exchange(acks_owed_, {})) {
        const auto found = held_.find(partition);
        if (found == held_.end() || found->second.target) continue;
        auto& held = found->second;
        held.quietly = 0;
        streams_.answer(held.link, Ack{held.slice, held.received, held.durable});
    }
}

// ------------------------------------------------------------------ what the owner lacks

void HeldPartitions::list(Held& to, std::vector<QueueId> ids) {
    if (to.source && !ids.empty()) return to.source->fetch(std::move(ids));
    if (to.source) to.source->end();
    const auto link = to.link;
    const auto slice = to.slice;
    to.source = std::make_shared<ListingSource>(
        slice, ListingSource::Ports{
                   .store = store_,
                   .pace = pace_,
                   .send = [this, link](Frame frame) { streams_.answer(link, std::move(frame)); },
                   .room = [this, link] { return streams_.backlog(link) < backlog_high_bytes; },
                   .failed = while_alive([this, link, slice](const Error&) {
                       give_up(link, slice, HolderRefusal::failed);
                   })});
    const auto source = to.source;
    ids.empty() ? source->list() : source->fetch(std::move(ids));
}

// Told whether or not this node holds the partition any more: it made the attempts. Of those that
// are under way here still nothing is said: it will be asked again.
void HeldPartitions::take(LinkId link, const PeerStreams::Peer& from, const Ask& ask) {
    if (const auto why = disbelieve(ask.slice, from)) return refuse(link, ask.slice, *why);
    struct Answers {
        Tell tell;
        std::size_t missing = 0;
    };
    const auto answers = std::make_shared<Answers>();
    answers->tell.slice = ask.slice;
    const auto add = [this, link, answers](ToldAttempt told) {
        answers->tell.attempts.push_back(std::move(told));
        if (--answers->missing == 0) streams_.answer(link, std::move(answers->tell));
    };
    auto names = ask.attempts;
    std::erase_if(names, [&](const AttemptName& name) { return attempts_.is_under_way(name); });
    answers->missing = names.size();
    for (const auto& name : names) {
        if (const auto* late = attempts_.tell(name)) {
            add({name, true, *late});
            continue;
        }
        store_.outcome(name.id, name.attempt,
                       while_alive([add, name](Result<std::vector<RecipientOutcome>> outcomes) {
                           ToldAttempt told{name, outcomes.has_value(), {}};
                           if (outcomes) told.outcomes = *std::move(outcomes);
                           add(std::move(told));
                       }));
    }
}

}  // namespace posthorse::replication
