// A copy that is brought up again and again while its power fails and its source goes on, and a
// look for a copy that says that it is whole and is not.
//
// Contract  find_loss() gives what it found wrong, or nothing. Checked after each power loss:
//             - a copy that is not whole says so, and stands where it stood;
//             - one whose EndCopy was acknowledged is whole, and holds what its source held: no
//               message more or less, each with its body, its intents, one due key, counted once.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "storage/queue_ops.h"
#include "tests/unit/storage/store_session.h"

namespace posthorse::storage {

template <class Rig>
class CopyLossFinder {
public:
    explicit CopyLossFinder(std::uint32_t seed) : random_(seed) {}

    void set_syncs_lie(bool lie) { copy_.rig.set_syncs_lie(lie); }

    std::optional<std::string> run(int lives) {
        for (int life = 0; life < lives; ++life) {
            bring_up();
            const std::uint32_t awaited = random_() % 3 == 0 ? submitted_ : random_() % submitted_;
            copy_.rig.loop.run_until([&] { return completed_ >= awaited; });
            listening_ += 1;
            copy_.lose_power(random_());
            if (auto wrong = compare()) return "life " + std::to_string(life) + ": " + *wrong;
        }
        return std::nullopt;
    }

private:
    void bring_up() {
        sequence_ += 1;  // so that no two copies end in one place
        submitted_ = 0;
        completed_ = 0;
        begun_ = false;
        ended_ = false;
        const auto listed = copy_.list({}, 1'000'000);
        REQUIRE(listed);
        for (std::uint32_t change = random_() % 8; change > 0; --change) change_source();

        submit_outside(BeginCopy{}, &begun_);
        std::vector<QueueId> listing;
        for (const auto& [id, envelope] : source_) listing.push_back(id);
        for (const Envelope& envelope : *listed)
            if (!source_.contains(envelope.id)) submit_outside(Forget{envelope.id});
        for (const QueueId id : listing) {
            if (random_() % 4 == 0) submit(change_source());
            restore(id);
        }
        intents_.clear();
        if (!source_.empty())
            intents_.push_back({source_.begin()->first,
                                static_cast<std::uint32_t>(random_() % 3),
                                {0},
                                "mx",
                                {},
                                {}});
        target_ = {.epoch = Epoch{1}, .last = Sequence{sequence_}};
        submit_outside(EndCopy{.at = target_, .intents = intents_}, &ended_);
    }

    void restore(QueueId id) {
        const auto found = source_.find(id);
        if (found == source_.end()) return;
        const Envelope& envelope = found->second;
        for (std::uint32_t index = 1; index <= envelope.chunk_count; ++index)
            submit_outside(Append{id, index, make_chunk(text(id, index))});
        submit_outside(Restore{envelope, make_chunk(text(id, 0))});
    }

    // One message more, changed or less at the source, as its operations.
    std::vector<Operation> change_source() {
        if (source_.empty() || random_() % 3 == 0) return commit();
        auto message = source_.begin();
        std::advance(message, random_() % source_.size());
        const Envelope before = message->second;
        if (random_() % 3 == 0) {
            source_.erase(message);
            return {stamped(settle(before, std::nullopt, {}, {}))};
        }
        message->second = park(before, at_ms(random_() % 100'000));
        return {stamped(settle(before, message->second, {}, {}))};
    }

    std::vector<Operation> commit() {
        const Envelope envelope =
            sample_envelope(sample_id(++counter_), at_ms(random_() % 100'000), random_() % 3);
        source_.emplace(envelope.id, envelope);
        std::vector<Operation> operations;
        for (std::uint32_t index = 1; index <= envelope.chunk_count; ++index)
            operations.push_back(
                stamped(Append{envelope.id, index, make_chunk(text(envelope.id, index))}));
        operations.push_back(stamped(Commit{envelope, make_chunk(text(envelope.id, 0))}));
        return operations;
    }

    template <class Change>
    Operation stamped(Change change) {
        return {.stamp = {partition_a, Epoch{1}, Sequence{++sequence_}},
                .change = std::move(change)};
    }
    template <class Change>
    void submit_outside(Change change, bool* flag = nullptr) {
        submit({.stamp = {partition_a, Epoch{1}, Sequence{0}}, .change = std::move(change)}, flag);
    }
    void submit(std::vector<Operation> operations) {
        for (Operation& operation : operations) submit(std::move(operation), nullptr);
    }
    void submit(Operation operation, bool* flag) {
        submitted_ += 1;
        copy_.store().apply(std::move(operation),
                            [this, flag, life = listening_](const Result<void>& result) {
                                if (life != listening_ || !result) return;
                                completed_ += 1;
                                if (flag != nullptr) *flag = true;
                            });
    }

    std::optional<std::string> compare() {
        const auto all = copy_.store().partitions();
        const PartitionInfo info = all.empty() ? PartitionInfo{} : all.front();
        if (info.copying) {
            if (ended_) return "it was brought up and says that it is not whole";
            if (info.at != stood_) return "it moved while it was not whole";
            return std::nullopt;
        }
        if (info.at == stood_ && info.at != target_) {
            if (begun_) return "it is not whole and does not say so";
            return std::nullopt;
        }
        if (info.at != target_) return "it stands where it never was";
        stood_ = target_;
        return compare_whole(info);
    }

    std::optional<std::string> compare_whole(const PartitionInfo& info) {
        const auto listed = copy_.list({}, 1'000'000);
        if (!listed) return "the list fails: " + listed.error().what;
        std::map<QueueId, Envelope> found;
        for (const Envelope& envelope : *listed) found.emplace(envelope.id, envelope);
        if (found != source_) return "it does not hold what its source holds";
        if (info.messages != found.size()) return "it counts " + std::to_string(info.messages);
        for (const auto& [id, envelope] : found)
            for (std::uint32_t index = 0; index <= envelope.chunk_count; ++index) {
                const auto chunk = copy_.chunk(id, index);
                if (!chunk || *chunk != text(id, index))
                    return id.to_string() + " lacks chunk " + std::to_string(index);
            }
        const auto intents = copy_.intents();
        if (!intents || *intents != intents_) return "it has other intents";
        const auto claimed = copy_.claim(never, 1'000'000);
        if (!claimed || claimed->size() != found.size()) return "its due order is another";
        for (const Envelope& envelope : *claimed) copy_.store().release(envelope.id);
        return std::nullopt;
    }

    static std::string text(QueueId id, std::uint32_t index) {
        return (id.to_string() + "/" + std::to_string(index)).append(1500, '.');
    }

    std::mt19937 random_;
    std::uint32_t counter_ = 0;
    std::uint64_t sequence_ = 0;
    std::map<QueueId, Envelope> source_;
    std::vector<Intent> intents_;
    Position stood_;
    Position target_;
    // --- of this life
    std::uint32_t listening_ = 0;
    std::uint32_t submitted_ = 0;
    std::uint32_t completed_ = 0;
    bool begun_ = false;
    bool ended_ = false;
    Session<Rig> copy_;  // last: its completions touch the others
};

}  // namespace posthorse::storage
