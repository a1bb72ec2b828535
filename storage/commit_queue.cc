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
        book_.open(id, partition.mark);
        claims_.fence(id, partition.mark.fence);
        counts_.add(id, {static_cast<std::int64_t>(partition.messages),
                         static_cast<std::int64_t>(partition.bytes)});
    }
}

void CommitQueue::submit(Operation operation, Completion<> done) {
    enqueue({.what = std::move(operation), .done = std::move(done)});
}

void CommitQueue::submit(Fence fence, Completion<CopyState> done) {
    PH_ASSERT(fence.partition != store_itself);
    enqueue({.what = fence, .done = {}, .fenced = std::move(done)});
}

void CommitQueue::submit(Drop drop, Completion<> done) {
    PH_ASSERT(drop.partition != store_itself);
    enqueue({.what = drop, .done = std::move(done)});
}

void CommitQueue::submit(Probe probe, Completion<> done) {
    enqueue({.what = probe, .done = std::move(done)});
}

void CommitQueue::submit(Mend mend) {
    enqueue({.what = mend, .done = {}});
}

void CommitQueue::enqueue(Request request) {
    Requests one;
    one.push_back(std::move(request));
    {
        const std::lock_guard lock(mutex_);
        if (!closed_) {
            waiting_.splice(waiting_.end(), one);
            if (std::exchange(round_posted_, true)) return;
            worker_.post([this] { run_round(); });
            return;
        }
    }
    cancel(std::move(one));
}

void CommitQueue::close() {
    Requests left;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        left.swap(waiting_);
    }
    cancel(std::move(left));
    worker_.post([this] { cancel(std::exchange(unsynced_, {})); });
}

bool CommitQueue::is_closed() {
    const std::lock_guard lock(mutex_);
    return closed_;
}

void CommitQueue::cancel(Requests all) {
    for (Request& request : all) request.result = cancelled();
    complete(std::move(all));
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

CommitQueue::Requests CommitQueue::take() {
    const std::lock_guard lock(mutex_);
    Requests taken;
    RoundNames names;
    std::size_t bytes = 0;
    bool alone = false;
    while (!waiting_.empty() && !alone && bytes < settings_.round_bytes_max) {
        const Request& next = waiting_.front();
        alone = goes_alone(next);
        if (alone && !taken.empty()) break;
        if (const auto* operation = std::get_if<Operation>(&next.what)) {
            if (names.collides(*operation, book_.copying(operation->stamp.partition))) break;
            names.add(*operation);
            bytes += size_of(*operation);
        }
        taken.splice(taken.end(), waiting_, waiting_.begin());
    }
    round_posted_ = !waiting_.empty();
    if (round_posted_) worker_.post([this] { run_round(); });
    return taken;
}

void CommitQueue::run_round() {
    Round round{.requests = take(), .room_bytes = disk_.free_bytes()};
    for (Request& request : round.requests) judge(request, round);
    write(round);
    unsynced_.splice(unsynced_.end(), take_durable(round.requests));
    make_visible(round.requests);
    complete(std::move(round.requests));
    if (must_sync()) sync();
    some_unsynced_ = !unsynced_.empty();
}

void CommitQueue::judge(Request& request, Round& round) {
    if (!healthy()) {
        request.result = disk_failed();
        return;
    }
    std::visit([&](const auto& what) { judge_one(request, what, round); }, request.what);
}

std::optional<Error> CommitQueue::take_room(const Operation& operation, Round& round) const {
    if (!grows(operation)) return std::nullopt;
    const std::uint64_t bytes = size_of(operation);
    if (round.room_bytes < settings_.disk_floor_bytes + bytes)
        return no_room(settings_.disk_floor_bytes);
    round.room_bytes -= bytes;
    return std::nullopt;
}

void CommitQueue::judge_one(Request& request, const Operation& operation, Round& round) {
    const Stamp& stamp = operation.stamp;
    PH_ASSERT(stamp.partition != store_itself);
    const auto ruling = book_.judge(operation);
    if (!ruling) return refuse(request, operation, ruling.error());
    request.durable = is_durable(operation);
    if (*ruling == PartitionBook::Ruling::applied_before) {
        request.verdict = Verdict::already_applied;
        return;
    }
    if (auto refusal = take_room(operation, round))
        return refuse(request, operation, *std::move(refusal));
    if (looks(operation, book_.copying(stamp.partition))) {
        const Result<Effect> effect = append_looked(disk_, operation, round.writes);
        if (!effect) return refuse(request, operation, effect.error());
        request.effect = *effect;
    } else {
        append_writes(operation, round.writes);
        request.effect.mail = mail_gained(operation);
    }
    request.verdict = Verdict::apply;
    if (book_.take(operation)) claims_.raise(stamp.partition, stamp.epoch);
    if (const auto* commit = std::get_if<Commit>(&operation.change))
        claims_.born(commit->envelope, stamp.epoch);
}

void CommitQueue::refuse(Request& request, const Operation& operation, Error why) {
    request.result = std::move(why);
    book_.refuse(operation);
}

void CommitQueue::judge_one(Request& request, const Fence& fence, Round&) {
    const auto state = book_.fence(fence.partition, fence.epoch);
    if (!state) {
        request.result = state.error();
        return;
    }
    request.state = *state;
    request.durable = true;
    request.verdict = Verdict::apply;
}

// One batch with one range of each family: a crash takes all of it or nothing.
void CommitQueue::judge_one(Request& request, const Drop& drop, Round& round) {
    const Result<void> scanned = disk_.scan(Family::meta, set_aside_range(drop.partition),
                                            [&](std::string_view, std::string_view) {
                                                request.effect.set_aside -= 1;
                                                return true;
                                            });
    if (!scanned && scanned.error().code == Errc::io) {
        request.result = scanned;
        return;
    }
    const KeyRange range = partition_range(drop.partition);
    for (const Family family : {Family::meta, Family::envelope, Family::due, Family::body})
        round.writes.push_back({family, range.from, nullptr, range.to});
    book_.drop(drop.partition);
    request.durable = true;
    request.verdict = Verdict::apply;
}

void CommitQueue::judge_one(Request& request, const Probe&, Round& round) {
    round.writes.push_back({Family::meta, probe_key(), make_chunk({})});
    request.durable = true;
    request.verdict = Verdict::apply;
}

void CommitQueue::judge_one(Request& request, const Mend& mend, Round& round) {
    set_aside(mend, request, round);
    request.verdict = Verdict::apply;
}

void CommitQueue::write(Round& round) {
    for (const auto& [partition, mark] : book_.take_changed())
        append_mark(partition, mark, round.writes);
    if (round.writes.empty()) return;
    if (const auto written = disk_.write(round.writes, Sync::no); !written)
        refuse(round.requests, written.error());
}

void CommitQueue::refuse(Requests& all, const Error& error) {
    if (!failed_.exchange(true))
        report("writing the queue failed, this node takes nothing more: " + error.what);
    for (Request& request : all) {
        if (request.verdict == Verdict::refused) continue;
        request.verdict = Verdict::refused;
        request.result = error;
    }
}

// What is refused waits for nothing.
CommitQueue::Requests CommitQueue::take_durable(Requests& all) {
    Requests durable;
    for (auto next = all.begin(); next != all.end();) {
        const auto one = next++;
        if (one->durable && one->verdict != Verdict::refused)
            durable.splice(durable.end(), all, one);
    }
    return durable;
}

bool CommitQueue::must_sync() const {
    const auto waits = [](const Request& one) {
        const auto* operation = std::get_if<Operation>(&one.what);
        return operation != nullptr && is_patient(*operation);
    };
    return unsynced_.size() >= settings_.patient_max || !std::ranges::all_of(unsynced_, waits);
}

void CommitQueue::sync() {
    Requests written = std::exchange(unsynced_, {});
    if (const auto synced = disk_.sync(); !synced) {
        refuse(written, synced.error());
    } else {
        syncs_ += 1;
        synced_operations_ += written.size();
    }
    make_visible(written);
    complete(std::move(written));
}

void CommitQueue::sync_patient() {
    if (!some_unsynced_.exchange(false)) return;
    worker_.post([this] {
        if (!unsynced_.empty() && !is_closed()) sync();
    });
}

void CommitQueue::make_visible(const Requests& all) {
    for (const Request& request : all) {
        if (request.verdict != Verdict::apply) continue;
        std::visit([&](const auto& what) { make_visible(request, what); }, request.what);
    }
}

void CommitQueue::make_visible(const Request& request, const Operation& operation) {
    add(operation.stamp.partition, request.effect);
    if (const auto* forget = std::get_if<Forget>(&operation.change)) claims_.gone(forget->id);
    const auto* restore = std::get_if<Restore>(&operation.change);
    if (restore != nullptr && request.effect.record_written) claims_.changed(restore->envelope);

    const auto* settle = std::get_if<Settle>(&operation.change);
    if (settle == nullptr) return;
    if (!settle->after || !request.effect.record_written)
        claims_.gone(settle->id);
    else if (settle->claim == ClaimAfter::stays)
        claims_.changed_under_claim(*settle->after);
    else
        claims_.changed(*settle->after);
    for (const NewMessage& notice : settle->notices) claims_.born_free(notice.envelope);
}

void CommitQueue::make_visible(const Request&, const Fence& fence) {
    claims_.fence(fence.partition, fence.epoch);
}

void CommitQueue::make_visible(const Request& request, const Drop& drop) {
    set_aside_ += static_cast<std::uint64_t>(request.effect.set_aside);
    claims_.drop(drop.partition);
    counts_.drop(drop.partition);
}

void CommitQueue::make_visible(const Request& request, const Mend& mend) {
    add(mend.id.partition(), request.effect);
    if (!request.report.empty()) report(request.report);
}

void CommitQueue::add(PartitionId partition, const Effect& effect) {
    counts_.add(partition, effect.mail);
    set_aside_ += static_cast<std::uint64_t>(effect.set_aside);
}

void CommitQueue::answer(Request& request) {
    const Result<void>& result = request.result;
    if (request.done) request.done(result);
    if (request.fenced)
        request.fenced(result ? Result<CopyState>(request.state)
                              : Result<CopyState>(result.error()));
}

void CommitQueue::complete(Requests all) {
    if (all.empty()) return;
    home_.post([all = std::move(all)]() mutable {
        for (Request& request : all) answer(request);
    });
}

// Bytes that the database gave us and we cannot read move aside whole. What the database itself
// cannot read stays where it is, for a repair by hand; it is only taken out of the due order.
void CommitQueue::set_aside(const Mend& mend, Request& request, Round& round) {
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
    request.durable = true;
    request.report = name_of(mend.id) + " cannot be read and was set aside: " +
                     (envelope ? "its record names another message" : envelope.error().what);
    request.effect = {.mail = {.messages = -1}, .set_aside = 1};
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
