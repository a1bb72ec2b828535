// Random work on a queue store whose power fails again and again, and a look for what is missing.
//
// Contract  find_loss() gives what it found wrong, or nothing. One seed is one run on a store that
//           is deterministic. Checked after each power loss:
//             - a change that was acknowledged is there (P1, P2);
//             - one that was not is there whole or not at all;
//             - nothing else is there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage/queue_ops.h"
#include "tests/unit/storage/store_session.h"

namespace posthorse::storage {

template <class Rig>
class LossFinder {
public:
    explicit LossFinder(std::uint32_t seed) : random_(seed) {}

    void set_syncs_lie(bool lie) { queue_.rig.set_syncs_lie(lie); }

    // A life ends after `operations_max` operations at most, some of them still under way.
    std::optional<std::string> run(int lives, std::uint32_t operations_max) {
        for (int life = 0; life < lives; ++life) {
            const std::uint32_t operations = 1 + random_() % operations_max;
            for (std::uint32_t i = 1; i < operations; ++i) submit_one();
            submit_commit();  // what is patient waits for it
            const std::uint32_t awaited = random_() % (operations + 1);
            const std::uint32_t completed_before = completed_;
            queue_.rig.loop.run_until([&] { return completed_ - completed_before >= awaited; });
            // No completion of this life counts after the power is gone.
            listening_ += 1;
            queue_.lose_power(random_());
            if (auto wrong = compare()) return "life " + std::to_string(life) + ": " + *wrong;
        }
        return std::nullopt;
    }

private:
    // What may be on disk for a message: its acknowledged state, or any submitted after that.
    // nullopt: no message.
    using State = std::optional<Envelope>;

    void submit_one() {
        if (random_() % 8 == 0) queue_.store().sync_patient();
        if (messages_.empty() || random_() % 3 == 0) return submit_commit();
        auto message = messages_.begin();
        std::advance(message, random_() % messages_.size());
        const State newest = message->second.back();
        if (!newest) return submit_commit();
        if (random_() % 4 == 0) return submit_settle(*newest, std::nullopt);
        submit_settle(*newest, park(*newest, at_ms(random_() % 100'000)));
    }

    void submit_commit() {
        const std::uint32_t chunks = random_() % 3;
        const Envelope envelope =
            sample_envelope(sample_id(++counter_), at_ms(random_() % 100'000), chunks);
        for (std::uint32_t index = 1; index <= chunks; ++index)
            queue_.store().apply(
                queue_.stamped(Append{envelope.id, index, make_chunk(text(envelope.id, index))}),
                [](const Result<void>&) {});
        messages_[envelope.id] = {std::nullopt};
        submit(envelope.id, envelope, Commit{envelope, make_chunk(text(envelope.id, 0))});
    }

    void submit_settle(const Envelope& before, State after) {
        auto change = settle(before, after, {}, {});
        change.patient = random_() % 2 == 0;
        submit(before.id, after, std::move(change));
    }

    template <class Change>
    void submit(QueueId id, State after, Change change) {
        messages_[id].push_back(after);
        const std::size_t position = messages_[id].size() - 1;
        queue_.store().apply(queue_.stamped(std::move(change)),
                             [this, id, position, life = listening_](const Result<void>& result) {
                                 if (life != listening_ || !result) return;
                                 completed_ += 1;
                                 acknowledged_[id] = std::max(acknowledged_[id], position);
                             });
    }

    std::optional<std::string> compare() {
        const auto listed = queue_.list({}, 1'000'000);
        if (!listed) return "the list fails: " + listed.error().what;
        std::map<QueueId, Envelope> found;
        for (const Envelope& envelope : *listed) found.emplace(envelope.id, envelope);
        for (auto& [id, states] : messages_)
            if (auto wrong = compare_one(id, states, found)) return wrong;
        if (!found.empty())
            return "a message that was never there: " + found.begin()->first.to_string();
        return compare_due_order(ids_of(listed));
    }

    std::optional<std::string> compare_one(QueueId id,
                                           std::vector<State>& states,
                                           std::map<QueueId, Envelope>& found) {
        const auto node = found.extract(id);
        const State now = node ? State(node.mapped()) : std::nullopt;
        const auto first_legal = states.begin() + static_cast<std::ptrdiff_t>(acknowledged_[id]);
        const auto legal = std::find(first_legal, states.end(), now);
        acknowledged_[id] = 0;
        if (legal == states.end()) return id.to_string() + " lost an acknowledged change";
        states = {now};
        if (!now) return std::nullopt;
        for (std::uint32_t index = 0; index <= now->chunk_count; ++index) {
            const auto chunk = queue_.chunk(id, index);
            if (!chunk || *chunk != text(id, index))
                return id.to_string() + " lost chunk " + std::to_string(index);
        }
        return std::nullopt;
    }

    // Every message is due exactly once.
    std::optional<std::string> compare_due_order(std::vector<QueueId> expected) {
        std::vector<QueueId> claimed = ids_of(queue_.claim(never, 1'000'000));
        for (const QueueId id : claimed) queue_.store().release(id);
        std::ranges::sort(claimed);
        if (claimed == expected) return std::nullopt;
        return "the due order has " + std::to_string(claimed.size()) + " messages, the queue " +
               std::to_string(expected.size());
    }

    static std::string text(QueueId id, std::uint32_t index) {
        std::string text = id.to_string() + "/" + std::to_string(index);
        return text.append(index == 0 ? 10 : 3000, '.');
    }

    std::mt19937 random_;
    std::uint32_t counter_ = 0;
    std::uint32_t completed_ = 0;
    std::uint32_t listening_ = 0;
    std::map<QueueId, std::vector<State>> messages_;
    std::map<QueueId, std::size_t> acknowledged_;  // index into the states of the message
    Session<Rig> queue_;                           // last: its completions touch the others
};

}  // namespace posthorse::storage
