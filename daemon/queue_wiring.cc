#include "daemon/queue_wiring.h"

#include <memory>
#include <utility>

#include "daemon/runtime/log.h"

namespace posthorse {

deliver::MessagePort message_port(runtime::Shard& home, replication::ReplicatedQueue& queue) {
    return {
        .read_chunk =
            [&home, &queue](QueueId id, std::uint32_t index, Completion<Chunk> done) {
                home.post([&queue, id, index, done = std::move(done)]() mutable {
                    queue.chunk(id, index, std::move(done));
                });
            },
        .intend =
            [&home, &queue](Intent intent, Completion<> done) {
                home.post([&queue, intent = std::move(intent), done = std::move(done)]() mutable {
                    queue.intend(std::move(intent), std::move(done));
                });
            },
        .may_send_dot =
            [&home, &queue](QueueId id, std::uint32_t attempt, Completion<bool> done) {
                home.post([&queue, id, attempt, done = std::move(done)]() mutable {
                    done(queue.may_send_dot(id, attempt));
                });
            }};
}

void heed_operators(replication::ReplicatedQueue& queue,
                    schedule::Scheduler& scheduler,
                    runtime::Shard& home) {
    using replication::Action;
    auto revival_due = std::make_shared<bool>(false);
    queue.on_acted([&scheduler, &home, revival_due](QueueId id, Action action) {
        if (action == Action::remove) return scheduler.forget(id, schedule::Withdrawal::removed);
        if (action == Action::hold) return scheduler.forget(id, schedule::Withdrawal::held);
        // A flush acts on many messages: once for all.
        if (std::exchange(*revival_due, true)) return;
        home.post([&scheduler, revival_due] {
            *revival_due = false;
            scheduler.revive();
        });
    });
}

report::Reporter::Sign notice_signer(const sign::Signer& signer,
                                     runtime::Workers& workers,
                                     runtime::Shard& home) {
    return
        [&signer, &workers, &home](std::string from, Chunk message, Completion<std::string> done) {
            auto shared = std::make_shared<Completion<std::string>>(std::move(done));
            const bool taken =
                workers.submit([&signer, &home, shared, from = std::move(from), message] {
                    auto fields = sign::sign_message(signer, from, *message);
                    home.post([shared, fields = std::move(fields)]() mutable {
                        (*shared)(std::move(fields));
                    });
                });
            if (taken) return;
            home.post([shared] {
                (*shared)(Error{Errc::unavailable, "too many messages wait for a signature"});
            });
        };
}

void report_doubts(replication::ReplicatedQueue& queue,
                   report::Reporter& reporter,
                   const Clock& clock) {
    queue.on_doubt([](const Intent& intent) {
        runtime::log::info("in_doubt", {{"id", intent.id.to_string()},
                                        {"relay", intent.remote},
                                        {"by", intent.by.to_string()}});
    });
    queue.on_bounce_in_doubt(
        [&reporter](Envelope claimed) { reporter.bounce_in_doubt(std::move(claimed)); });
    queue.on_told([&reporter, &clock](Envelope claimed, std::uint32_t attempt,
                                      std::vector<RecipientOutcome> outcomes) {
        const bool others_open = claimed.doubts.size() > 1;
        Ended ended{.envelope = std::move(claimed),
                    .outcomes = std::move(outcomes),
                    .ended_attempts = {attempt}};
        ended.next_due = others_open ? ended.envelope.due_at : clock.wall();
        reporter.settle(std::move(ended), [] {});
    });
}

void report_poison(replication::ReplicatedQueue& queue, runtime::Metrics& metrics) {
    auto poison = metrics.counter("posthorse_poison_messages_total",
                                  "Messages held because their delivery was cut off by the end of "
                                  "its node, or stalled, again and again.");
    queue.on_poison([poison](const Envelope& held) mutable {
        poison.add();
        runtime::log::error("poison_held", {{"id", held.id.to_string()}, {"why", held.held_why}});
    });
}

void report_stuck_partitions(replication::ReplicatedQueue& queue, const Clock& clock) {
    constexpr std::int64_t every_ms = 60'000;
    queue.on_not_taken_up([&clock, limit = runtime::log::RateLimit(every_ms)](
                              PartitionId id, const Error& why) mutable {
        std::uint64_t suppressed = 0;
        if (!limit.allow(clock.boot().time_since_epoch().count(), suppressed)) return;
        runtime::log::warning(
            "not_taken_up",
            {{"partition", id.value}, {"why", why.what}, {"suppressed", suppressed}});
    });
}

}  // namespace posthorse
