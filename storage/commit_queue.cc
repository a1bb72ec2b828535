#include "storage/commit_queue.h"

#include <algorithm>
#include <utility>

#include "proto/types/assert.h"
#include "storage/queue_batch.h"

namespace posthorse::storage {
namespace {

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

Error misplaced(PartitionId partition) {
    return {Errc::invalid, "partition " + std::to_string(partition.value) +
                               ": a change that is not in the order of its partition, and ought "
                               "to be, or the other way round"};
}

Error ahead_of_its_epoch(PartitionId partition) {
    return {Errc::invalid, "partition " + std::to_string(partition.value) +
                               ": a copy cannot stand in a later epoch than its owner's"};
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
        counts_.add(id, {static_cast<std::int64_t>(partition.messages),
                         static_cast<std::int64_t>(partition.bytes)});
    }
}

void CommitQueue::submit(Operation operation, Completion<> done) {
    enqueue({std::move(operation), std::move(done)});
}

void CommitQueue::submit(Fence fence, Completion<Position> done) {
    PH_ASSERT(fence.partition != store_itself);
    enqueue({fence, {}, std::move(done)});
}

void CommitQueue::submit(Drop drop, Completion<> done) {
    PH_ASSERT(drop.partition != store_itself);
    enqueue({drop, std::move(done)});
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
    home_.post([request = std::move(request)]() mutable { answer(request, cancelled(), {}); });
}

void CommitQueue::close() {
    std::deque<Request> left;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        left = std::exchange(waiting_, {});
    }
    home_.post([left = std::move(left)]() mutable {
        for (Request& request : left) answer(request, cancelled(), {});
    });
}

// Whatever decides how others of its round are judged, or looks at more than records, goes alone.
bool CommitQueue::goes_alone(const Request& request) {
    const auto* operation = std::get_if<Operation>(&request.what);
    if (operation == nullptr)
        return std::holds_alternative<Mend>(request.what) ||
               std::holds_alternative<Drop>(request.what);
    return std::holds_alternative<BeginCopy>(operation->change) ||
           std::holds_alternative<EndCopy>(operation->change);
}

bool CommitQueue::copying(PartitionId partition) const {
    const auto mark = marks_.find(partition);
    return mark != marks_.end() && mark->second.before.has_value();
}

std::vector<CommitQueue::Request> CommitQueue::take() {
    const std::lock_guard lock(mutex_);
    std::vector<Request> taken;
    RoundNames names;
    std::size_t bytes = 0;
    bool alone = false;
    while (!waiting_.empty() && !alone && bytes < settings_.round_bytes_max) {
        Request& next = waiting_.front();
        alone = goes_alone(next);
        if (alone && !taken.empty()) break;
        if (const auto* operation = std::get_if<Operation>(&next.what)) {
            if (names.collides(*operation, copying(operation->stamp.partition))) break;
            names.add(*operation);
            bytes += size_of(*operation);
        }
        taken.push_back(std::move(next));
        waiting_.pop_front();
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
    auto durable = take_durable(round.judged);
    make_visible(round.judged);
    complete(std::move(round.judged));
    if (durable.empty()) return;
    sync(durable);
    make_visible(durable);
    complete(std::move(durable));
}

void CommitQueue::judge(Judged& judged, Round& round) {
    if (!healthy()) {
        judged.result = disk_failed();
        return;
    }
    std::visit([&](const auto& what) { judge_one(judged, what, round); }, judged.request.what);
}

std::optional<Error> CommitQueue::refuse(const Operation& operation,
                                         const PartitionMark& mark) const {
    const Stamp& stamp = operation.stamp;
    if (stamp.epoch < mark.fence) return fenced(stamp.partition, stamp.epoch, mark.fence);
    if (!has_its_place(operation)) return misplaced(stamp.partition);
    const auto* end = std::get_if<EndCopy>(&operation.change);
    if (end != nullptr && end->at.epoch > stamp.epoch) return ahead_of_its_epoch(stamp.partition);
    return std::nullopt;
}

std::optional<Error> CommitQueue::take_room(const Operation& operation, Round& round) const {
    if (!grows(operation)) return std::nullopt;
    const std::uint64_t bytes = size_of(operation);
    if (round.room_bytes < settings_.disk_floor_bytes + bytes)
        return no_room(settings_.disk_floor_bytes);
    round.room_bytes -= bytes;
    return std::nullopt;
}

void CommitQueue::judge_one(Judged& judged, const Operation& operation, Round& round) {
    const Stamp& stamp = operation.stamp;
    PH_ASSERT(stamp.partition != store_itself);
    PartitionMark& mark = mark_of(stamp.partition, round);
    if (const auto refusal = refuse(operation, mark)) {
        judged.result = *refusal;
        return;
    }
    judged.durable = is_durable(operation);
    const bool in_order = stamp.sequence != Sequence{0};
    if (in_order && stamp.epoch == mark.at.epoch && stamp.sequence <= mark.at.last) {
        judged.verdict = Verdict::already_applied;
        return;
    }
    if (const auto refusal = take_room(operation, round)) {
        judged.result = *refusal;
        return;
    }
    if (looks(operation, mark.before.has_value())) {
        const Result<Effect> effect = append_looked(disk_, operation, round.writes);
        if (!effect) {
            judged.result = effect.error();
            return;
        }
        judged.effect = *effect;
    } else {
        append_writes(operation, round.writes);
        judged.effect.mail = mail_gained(operation);
    }
    judged.verdict = Verdict::apply;

    if (stamp.epoch > mark.fence) claims_.raise(stamp.partition, stamp.epoch);
    mark.fence = stamp.epoch;
    if (in_order) mark.at = {.epoch = stamp.epoch, .last = stamp.sequence};
    if (const auto* commit = std::get_if<Commit>(&operation.change))
        claims_.born(commit->envelope, stamp.epoch);
    if (std::holds_alternative<BeginCopy>(operation.change)) mark.before = mark.position();
    if (const auto* end = std::get_if<EndCopy>(&operation.change)) {
        mark.at = std::max(mark.at, end->at);
        mark.before.reset();
    }
}

void CommitQueue::judge_one(Judged& judged, const Fence& fence, Round& round) {
    PartitionMark& mark = mark_of(fence.partition, round);
    if (fence.epoch < mark.fence) {
        judged.result = fenced(fence.partition, fence.epoch, mark.fence);
        return;
    }
    judged.durable = true;
    judged.verdict = Verdict::apply;
    mark.fence = fence.epoch;
    judged.position = mark.position();
}

// One batch with one range of each family: a crash takes all of it or nothing.
void CommitQueue::judge_one(Judged& judged, const Drop& drop, Round& round) {
    const Result<void> scanned = disk_.scan(Family::meta, set_aside_range(drop.partition),
                                            [&](std::string_view, std::string_view) {
                                                judged.effect.set_aside -= 1;
                                                return true;
                                            });
    if (!scanned && scanned.error().code == Errc::io) {
        judged.result = scanned;
        return;
    }
    const KeyRange range = partition_range(drop.partition);
    for (const Family family : {Family::meta, Family::envelope, Family::due, Family::body})
        round.writes.push_back({family, range.from, nullptr, range.to});
    judged.durable = true;
    judged.verdict = Verdict::apply;
}

void CommitQueue::judge_one(Judged& judged, const Probe&, Round& round) {
    round.writes.push_back({Family::meta, probe_key(), make_chunk({})});
    judged.durable = true;
    judged.verdict = Verdict::apply;
}

void CommitQueue::judge_one(Judged& judged, const Mend& mend, Round& round) {
    set_aside(mend, judged, round);
    judged.verdict = Verdict::apply;
}

PartitionMark& CommitQueue::mark_of(PartitionId partition, Round& round) {
    return round.marks.try_emplace(partition, marks_[partition]).first->second;
}

void CommitQueue::write(Round& round) {
    for (const auto& [partition, mark] : round.marks)
        if (mark != marks_[partition]) append_mark(partition, mark, round.writes);
    if (round.writes.empty()) return;

    if (const auto written = disk_.write(round.writes, Sync::no); !written)
        return refuse(round.judged, written.error());
    for (const auto& [partition, mark] : round.marks) marks_[partition] = mark;
    for (const Judged& judged : round.judged) {
        const auto* drop = std::get_if<Drop>(&judged.request.what);
        if (drop != nullptr && judged.verdict == Verdict::apply) marks_.erase(drop->partition);
    }
}

void CommitQueue::refuse(std::vector<Judged>& all, const Error& error) {
    if (!failed_.exchange(true))
        report("writing the queue failed, this node takes nothing more: " + error.what);
    for (Judged& judged : all) {
        if (judged.verdict == Verdict::refused) continue;
        judged.verdict = Verdict::refused;
        judged.result = error;
    }
}

// What is refused waits for nothing.
std::vector<CommitQueue::Judged> CommitQueue::take_durable(std::vector<Judged>& all) {
    std::vector<Judged> durable;
    std::vector<Judged> rest;
    for (Judged& one : all) {
        const bool waits = one.durable && one.verdict != Verdict::refused;
        (waits ? durable : rest).push_back(std::move(one));
    }
    all = std::move(rest);
    return durable;
}

void CommitQueue::sync(std::vector<Judged>& written) {
    if (const auto synced = disk_.sync(); !synced) return refuse(written, synced.error());
    syncs_ += 1;
    synced_operations_ += written.size();
}

void CommitQueue::make_visible(const std::vector<Judged>& all) {
    for (const Judged& judged : all) {
        if (judged.verdict != Verdict::apply) continue;
        std::visit([&](const auto& what) { make_visible(judged, what); }, judged.request.what);
    }
}

void CommitQueue::make_visible(const Judged& judged, const Operation& operation) {
    add(operation.stamp.partition, judged.effect);
    if (const auto* forget = std::get_if<Forget>(&operation.change)) claims_.gone(forget->id);
    const auto* restore = std::get_if<Restore>(&operation.change);
    if (restore != nullptr && judged.effect.record_written) claims_.changed(restore->envelope);

    const auto* settle = std::get_if<Settle>(&operation.change);
    if (settle == nullptr) return;
    if (!settle->after || !judged.effect.record_written)
        claims_.gone(settle->id);
    else if (settle->claim == ClaimAfter::stays)
        claims_.changed_under_claim(*settle->after);
    else
        claims_.changed(*settle->after);
    for (const NewMessage& notice : settle->notices) claims_.born_free(notice.envelope);
}

void CommitQueue::make_visible(const Judged&, const Fence& fence) {
    claims_.fence(fence.partition, fence.epoch);
}

void CommitQueue::make_visible(const Judged& judged, const Drop& drop) {
    set_aside_ += static_cast<std::uint64_t>(judged.effect.set_aside);
    claims_.drop(drop.partition);
    counts_.drop(drop.partition);
}

void CommitQueue::make_visible(const Judged& judged, const Mend& mend) {
    add(mend.id.partition(), judged.effect);
    if (!judged.report.empty()) report(judged.report);
}

void CommitQueue::add(PartitionId partition, const Effect& effect) {
    counts_.add(partition, effect.mail);
    set_aside_ += static_cast<std::uint64_t>(effect.set_aside);
}

void CommitQueue::answer(Request& request, const Result<void>& result, const Position& position) {
    if (request.done) request.done(result);
    if (request.fenced)
        request.fenced(result ? Result<Position>(position) : Result<Position>(result.error()));
}

void CommitQueue::complete(std::vector<Judged> all) {
    if (all.empty()) return;
    home_.post([all = std::move(all)]() mutable {
        for (Judged& one : all) answer(one.request, one.result, one.position);
    });
}

// Bytes that the database gave us and we cannot read move aside whole. What the database itself
// cannot read stays where it is, for a repair by hand; it is only taken out of the due order.
void CommitQueue::set_aside(const Mend& mend, Judged& judged, Round& round) {
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
    judged.durable = true;
    judged.report = name_of(mend.id) + " cannot be read and was set aside: " +
                    (envelope ? "its record names another message" : envelope.error().what);
    judged.effect = {.mail = {.messages = -1}, .set_aside = 1};
}

void CommitQueue::report(std::string what) {
    if (!settings_.report) return;
    home_.post(
        [report = settings_.report, what = std::move(what)]() mutable { report(std::move(what)); });
}

StoreStats CommitQueue::stats() const {
    const std::uint64_t free = disk_.free_bytes();
    const MailAmount mail = counts_.total();
    return {
        .messages = static_cast<std::uint64_t>(mail.messages),
        .bytes = static_cast<std::uint64_t>(mail.bytes),
        .set_aside = set_aside_,
        .disk_free_bytes = free,
        .syncs = syncs_,
        .synced_operations = synced_operations_,
        .accepting = free >= settings_.disk_floor_bytes,
    };
}

}  // namespace posthorse::storage
