// A queue store that a test drives one call after another, and waits for each.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/queue_store.h"
#include "tests/unit/storage/samples.h"
#include "tests/unit/storage/store_rigs.h"
#include "tests/unit/storage/test_loop.h"

namespace posthorse::storage {

// A rig with the calls of the port made one after another.
template <class Rig>
class Session {
public:
    Rig rig;

    Session() { REQUIRE(rig.open()); }

    QueueStore& store() { return *rig.store; }
    void reopen() {
        rig.stop();
        REQUIRE(rig.open());
    }
    void lose_power(std::uint64_t random = 0) {
        rig.lose_power(random);
        REQUIRE(rig.open());
    }

    template <class Change>
    Operation stamped(Change change, PartitionId partition = partition_a, Epoch epoch = Epoch{1}) {
        return {.stamp = {.partition = partition,
                          .epoch = epoch,
                          .sequence = Sequence{++sequences_[{partition, epoch}]}},
                .change = std::move(change)};
    }
    Result<void> apply(Operation operation) {
        return rig.loop.await(
            [&](Completion<> done) { store().apply(std::move(operation), std::move(done)); });
    }
    template <class Change>
    Result<void> apply(Change change, PartitionId partition, Epoch epoch) {
        return apply(stamped(std::move(change), partition, epoch));
    }
    template <class Change>
    Result<void> write(Change change) {
        return apply(stamped(std::move(change)));
    }
    // Outside of the order.
    template <class Change>
    Result<void> copy(Change change, Epoch epoch = Epoch{1}, PartitionId partition = partition_a) {
        return apply({.stamp = {.partition = partition, .epoch = epoch, .sequence = Sequence{0}},
                      .change = std::move(change)});
    }
    Result<CopyState> stand(PartitionId partition, Epoch epoch) {
        return rig.loop.template await<CopyState>(
            [&](auto done) { store().fence(partition, epoch, std::move(done)); });
    }
    Result<Position> fence(PartitionId partition, Epoch epoch) {
        const auto copy = stand(partition, epoch);
        return copy ? Result<Position>(copy->at) : copy.error();
    }
    Result<void> drop(PartitionId partition) {
        return rig.loop.await([&](Completion<> done) { store().drop(partition, std::move(done)); });
    }
    Result<std::vector<Envelope>> claim(WallTime until,
                                        std::size_t limit = 100,
                                        Epoch epoch = Epoch{1},
                                        PartitionId partition = partition_a) {
        return rig.loop.template await<std::vector<Envelope>>(
            [&](auto done) { store().claim(partition, epoch, until, limit, std::move(done)); });
    }
    Result<Envelope> claim_one(QueueId id, Epoch epoch = Epoch{1}) {
        return rig.loop.template await<Envelope>(
            [&](auto done) { store().claim_one(epoch, id, std::move(done)); });
    }
    Result<Envelope> envelope(QueueId id) {
        return rig.loop.template await<Envelope>(
            [&](auto done) { store().envelope(id, std::move(done)); });
    }
    Result<std::string> chunk(QueueId id, std::uint32_t index) {
        const auto found = rig.loop.template await<Chunk>(
            [&](auto done) { store().chunk(id, index, std::move(done)); });
        if (!found) return found.error();
        return **found;
    }
    Result<std::vector<Envelope>> list(QueueId after = {},
                                       std::size_t limit = 1000,
                                       PartitionId partition = partition_a) {
        return rig.loop.template await<std::vector<Envelope>>(
            [&](auto done) { store().list(partition, after, limit, std::move(done)); });
    }
    Result<SummaryStep> summarize(SummaryStep from, std::size_t limit, WallTime now) {
        return rig.loop.template await<SummaryStep>([&](auto done) {
            store().summarize(partition_a, std::move(from), limit, now, std::move(done));
        });
    }
    Result<std::vector<Intent>> intents(PartitionId partition = partition_a) {
        return rig.loop.template await<std::vector<Intent>>(
            [&](auto done) { store().intents(partition, std::move(done)); });
    }
    Result<std::vector<RecipientOutcome>> outcome(QueueId id, std::uint32_t attempt) {
        return rig.loop.template await<std::vector<RecipientOutcome>>(
            [&](auto done) { store().outcome(id, attempt, std::move(done)); });
    }
    // What the last start found of a partition.
    PartitionInfo found(PartitionId partition = partition_a) {
        const std::vector<PartitionInfo> all = store().partitions();
        const auto one = std::ranges::find(all, partition, &PartitionInfo::id);
        REQUIRE(one != all.end());
        return *one;
    }
    WallTime next_due(PartitionId partition = partition_a) {
        const auto due = rig.loop.template await<WallTime>(
            [&](auto done) { store().next_due(partition, std::move(done)); });
        REQUIRE(due);
        return *due;
    }

    Envelope commit(std::uint32_t counter, WallTime due = at_ms(1000)) {
        const Envelope envelope = sample_envelope(sample_id(counter), due);
        REQUIRE(write(Commit{envelope, make_chunk("head " + std::to_string(counter))}));
        return envelope;
    }
    Envelope commit_free(std::uint32_t counter, WallTime due = at_ms(1000)) {
        const Envelope envelope = commit(counter, due);
        store().release(envelope.id);
        return envelope;
    }

private:
    std::map<std::pair<PartitionId, Epoch>, std::uint64_t> sequences_;
};

inline std::vector<QueueId> ids_of(const Result<std::vector<Envelope>>& envelopes) {
    REQUIRE(envelopes);
    std::vector<QueueId> ids;
    for (const Envelope& envelope : *envelopes) ids.push_back(envelope.id);
    return ids;
}

template <class T>
std::optional<Errc> error_of(const Result<T>& result) {
    if (result) return std::nullopt;
    return result.error().code;
}

}  // namespace posthorse::storage
