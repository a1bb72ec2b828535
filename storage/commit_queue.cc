#include "storage/commit_queue.h"

#include <algorithm>
#include <utility>

#include "proto/types/assert.h"
#include "storage/queue_batch.h"

namespace posthorse::storage {
namespace {

template <class... Handlers>
struct Overloaded : Handlers... {
    using Handlers::operator()...;
};

Error disk_failed() {
    return {Errc::io, "the disk of this queue failed; nothing more is written: replace the disk"};
}

Error cancelled() {
    return {Errc::cancelled, "the queue is closing"};
}

Error fenced(PartitionId partition, Epoch tried, Epoch fence) {
    return {Errc::fenced, "partition " + std::to_string(partition.value) + " is at epoch " +
                              std::to_string(fence.value) + ", this came from epoch " +
                              std::to_string(tried.value)};
}

Error no_room(std::uint64_t floor) {
    return {Errc::full, "less than disk_floor_bytes (" + std::to_string(floor) +
                            ") would be left on the disk: free some, or lower the floor"};
}

std::string name_of(QueueId id) {
    return "message " + id.to_string();
}

}  // namespace

CommitQueue::CommitQueue(KeyValue& disk,
                         ClaimTable& claims,
                         Executor& worker,
                         Executor& home,
                         Settings settings,
                         const Recovered& recovered)
    : disk_(disk),
      claims_(claims),
      worker_(worker),
      home_(home),
      settings_(std::move(settings)),
      set_aside_(recovered.set_aside) {
    for (const auto& [id, partition] : recovered.partitions) {
        marks_.emplace(id, partition.mark);
        claims_.fence(id, partition.mark.fence);
        messages_ += partition.messages;
    }
}

void CommitQueue::submit(Operation operation, Completion<> done) {
    enqueue({std::move(operation), std::move(done)});
}

void CommitQueue::submit(Fence fence, Completion<> done) {
    PH_ASSERT(fence.partition != store_itself);
    enqueue({fence, std::move(done)});
}

void CommitQueue::submit(Probe probe, Completion<> done) {
    enqueue({probe, std::move(done)});
}

void CommitQueue::submit(Mend mend) {
    enqueue({mend, {}});
}

void CommitQueue::enqueue(Request request) {
    {
        const std::lock_guard lock(mutex_);
        if (!closed_) {
            waiting_.push_back(std::move(request));
            if (std::exchange(round_posted_, true)) return;
            worker_.post([this] { run_round(); });
            return;
        }
    }
    if (request.done) home_.post([done = std::move(request.done)]() mutable { done(cancelled()); });
}

void CommitQueue::close() {
    std::deque<Request> left;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        left = std::exchange(waiting_, {});
    }
    home_.post([left = std::move(left)]() mutable {
        for (Request& request : left)
            if (request.done) request.done(cancelled());
    });
}

// A Mend looks at the disk, so nothing of its round may still be on the way there: it goes alone.
std::vector<CommitQueue::Request> CommitQueue::take() {
    const std::lock_guard lock(mutex_);
    std::vector<Request> taken;
    std::size_t bytes = 0;
    while (!waiting_.empty() && bytes < settings_.round_bytes_max) {
        const bool alone = std::holds_alternative<Mend>(waiting_.front().what);
        if (alone && !taken.empty()) break;
        if (const auto* operation = std::get_if<Operation>(&waiting_.front().what))
            bytes += size_of(*operation);
        taken.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
        if (alone) break;
    }
    round_posted_ = !waiting_.empty();
    if (round_posted_) worker_.post([this] { run_round(); });
    return taken;
}

void CommitQueue::run_round() {
    Round round{.room_bytes = disk_.free_bytes()};
    for (Request& request : take()) {
        Judged& judged = round.judged.emplace_back(std::move(request));
        judge(judged, round);
    }
    write(round);
    make_visible(round);
    complete(std::move(round));
}

void CommitQueue::judge(Judged& judged, Round& round) {
    if (!healthy()) {
        judged.result = disk_failed();
        return;
    }
    std::visit([&](const auto& what) { judge_one(judged, what, round); }, judged.request.what);
}

void CommitQueue::judge_one(Judged& judged, const Operation& operation, Round& round) {
    const Stamp& stamp = operation.stamp;
    PH_ASSERT(stamp.partition != store_itself);
    PartitionMark& mark = mark_of(stamp.partition, round);
    if (stamp.epoch < mark.fence) {
        judged.result = fenced(stamp.partition, stamp.epoch, mark.fence);
        return;
    }
    if (is_durable(operation)) round.sync = Sync::yes;
    if (stamp.epoch == mark.fence && stamp.sequence <= mark.last) {
        judged.verdict = Verdict::already_applied;
        return;
    }
    if (grows(operation)) {
        const std::uint64_t bytes = size_of(operation);
        if (round.room_bytes < settings_.disk_floor_bytes + bytes) {
            judged.result = no_room(settings_.disk_floor_bytes);
            return;
        }
        round.room_bytes -= bytes;
    }
    if (stamp.epoch > mark.fence) claims_.raise(stamp.partition, stamp.epoch);
    mark = {.fence = stamp.epoch, .last = stamp.sequence};
    if (const auto* commit = std::get_if<Commit>(&operation.change))
        claims_.born(commit->envelope, stamp.epoch);
    append_writes(operation, round.writes);
    judged.verdict = Verdict::apply;
}

void CommitQueue::judge_one(Judged& judged, const Fence& fence, Round& round) {
    PartitionMark& mark = mark_of(fence.partition, round);
    if (fence.epoch < mark.fence) {
        judged.result = fenced(fence.partition, fence.epoch, mark.fence);
        return;
    }
    round.sync = Sync::yes;
    judged.verdict = Verdict::apply;
    if (fence.epoch > mark.fence) mark = {.fence = fence.epoch, .last = Sequence{0}};
}

void CommitQueue::judge_one(Judged& judged, const Probe&, Round& round) {
    round.writes.push_back({Family::meta, probe_key(), make_chunk({})});
    round.sync = Sync::yes;
    judged.verdict = Verdict::apply;
}

void CommitQueue::judge_one(Judged& judged, const Mend& mend, Round& round) {
    set_aside(mend, round);
    judged.verdict = Verdict::apply;
}

PartitionMark& CommitQueue::mark_of(PartitionId partition, Round& round) {
    return round.marks.try_emplace(partition, marks_[partition]).first->second;
}

void CommitQueue::write(Round& round) {
    for (const auto& [partition, mark] : round.marks)
        if (mark != marks_[partition]) append_mark(partition, mark, round.writes);
    if (round.writes.empty() && round.sync == Sync::no) return;

    const Result<void> written = disk_.write(round.writes, round.sync);
    if (!written) {
        failed_ = true;
        report("writing the queue failed, this node takes nothing more: " + written.error().what);
        for (Judged& judged : round.judged)
            if (judged.verdict != Verdict::refused)
                judged = {std::move(judged.request), Verdict::refused, written.error()};
        return;
    }
    if (round.sync == Sync::yes) syncs_ += 1;
    for (const auto& [partition, mark] : round.marks) marks_[partition] = mark;
    if (round.set_aside) {
        set_aside_ += 1;
        count_gone();
        report(*round.set_aside);
    }
}

void CommitQueue::make_visible(const Round& round) {
    for (const Judged& judged : round.judged) {
        if (judged.verdict == Verdict::refused) continue;
        if (round.sync == Sync::yes) synced_operations_ += 1;
        if (judged.verdict != Verdict::apply) continue;
        std::visit(Overloaded{
                       [&](const Operation& operation) { make_visible(operation); },
                       [&](const Fence& fence) { claims_.fence(fence.partition, fence.epoch); },
                       [](const Probe&) {},
                       [](const Mend&) {},
                   },
                   judged.request.what);
    }
}

void CommitQueue::make_visible(const Operation& operation) {
    if (std::holds_alternative<Commit>(operation.change)) messages_ += 1;
    const auto* settle = std::get_if<Settle>(&operation.change);
    if (settle == nullptr) return;
    if (settle->after && settle->claim == ClaimAfter::stays) {
        claims_.changed_under_claim(*settle->after);
    } else if (settle->after) {
        claims_.changed(*settle->after);
    } else {
        claims_.gone(settle->id);
        count_gone();
    }
    for (const NewMessage& notice : settle->notices) {
        claims_.born_free(notice.envelope);
        messages_ += 1;
    }
}

void CommitQueue::complete(Round round) {
    if (round.judged.empty()) return;
    home_.post([judged = std::move(round.judged)]() mutable {
        for (Judged& one : judged)
            if (one.request.done) one.request.done(std::move(one.result));
    });
}

// Bytes that the database gave us and we cannot read move aside whole. What the database itself
// cannot read stays where it is, for a repair by hand; it is only taken out of the due order.
void CommitQueue::set_aside(const Mend& mend, Round& round) {
    const std::string key = envelope_key(mend.id);
    const PartitionId partition = mend.id.partition();
    const auto drop_due = [&] {
        if (!mend.due) return;
        round.writes.push_back(
            {Family::due, due_key(partition, {.due = *mend.due, .id = mend.id}), nullptr});
    };

    const Result<std::string> raw = disk_.get(Family::envelope, key);
    if (!raw && raw.error().code == Errc::not_found) return drop_due();
    const Result<Envelope> envelope = raw ? decode_envelope(*raw) : raw.error();
    if (envelope && envelope->id == mend.id) {
        if (mend.due && envelope->due_at != *mend.due) drop_due();
        return;
    }

    drop_due();
    claims_.gone(mend.id);
    const std::string aside = set_aside_key(partition, to_char(Family::envelope), key);
    if (const auto known = disk_.get(Family::meta, aside); known) return;
    round.writes.push_back({Family::meta, aside, make_chunk(raw ? *raw : std::string{})});
    if (raw) round.writes.push_back({Family::envelope, key, nullptr});
    round.sync = Sync::yes;
    round.set_aside = name_of(mend.id) + " cannot be read and was set aside: " +
                      (envelope ? "its record names another message" : envelope.error().what);
}

// Operations are blind: a removal that is applied again under a new stamp finds nothing to remove.
void CommitQueue::count_gone() {
    if (messages_ > 0) messages_ -= 1;
}

void CommitQueue::report(std::string what) {
    if (!settings_.report) return;
    home_.post(
        [report = settings_.report, what = std::move(what)]() mutable { report(std::move(what)); });
}

StoreStats CommitQueue::stats() const {
    const std::uint64_t free = disk_.free_bytes();
    return {
        .messages = messages_,
        .set_aside = set_aside_,
        .disk_free_bytes = free,
        .syncs = syncs_,
        .synced_operations = synced_operations_,
        .accepting = free >= settings_.disk_floor_bytes,
    };
}

}  // namespace posthorse::storage
