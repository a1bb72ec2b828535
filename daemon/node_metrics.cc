#include "daemon/node_metrics.h"

#include "daemon/runtime/log.h"

namespace posthorse {
namespace {

void export_gauge(runtime::Metrics& metrics,
                  const char* name,
                  const char* help,
                  std::function<std::uint64_t()> value) {
    metrics.before_scrape([gauge = metrics.gauge(name, help), value = std::move(value)]() mutable {
        gauge.set(static_cast<double>(value()));
    });
}

double seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

// Those of a kill within a lease are the ones to tell apart.
std::vector<double> takeover_bounds() {
    return {0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 7.5, 10, 12.5, 15, 20, 30, 60, 120, 300};
}

void export_takeovers(runtime::Metrics& metrics, replication::ReplicatedQueue& queue) {
    auto takeovers = metrics.histogram(
        "posthorse_takeover_seconds",
        "Partitions of other nodes that came to this one: from the moment when this node lost its "
        "owner (the stream between them ended), or, when it did not, when the pool gave the "
        "partition to this node, until its mail may be delivered here.",
        takeover_bounds());
    queue.on_taken_over([takeovers](Duration took) mutable { takeovers.observe(seconds(took)); });
}

void export_copies(runtime::Metrics& metrics, const replication::ReplicatedQueue& queue) {
    metrics.before_scrape(
        [gauge = metrics.gauge("posthorse_under_replicated_age_seconds",
                               "Age of the oldest message of this node's queue with fewer copies "
                               "than it should have; 0 when there is none."),
         &queue]() mutable { gauge.set(seconds(queue.counters().under_replicated_age)); });
    export_gauge(metrics, "posthorse_under_replicated_messages",
                 "Messages of this node's queue with fewer copies than they should have.",
                 [&] { return queue.counters().under_replicated; });
    export_gauge(metrics, "posthorse_held_messages",
                 "Messages that this node holds for others, their owners.",
                 [&] { return queue.counters().held; });
    export_gauge(metrics, "posthorse_held_bytes",
                 "Octets of the messages that this node holds for others, as they are sent.",
                 [&] { return queue.counters().held_bytes; });
    export_gauge(metrics, "posthorse_replication_lag_operations",
                 "Changes of the queue that some holder has not synced yet.",
                 [&] { return queue.counters().lag; });
    export_gauge(metrics, "posthorse_copies_under_way",
                 "Partitions of which this node's copy is being made whole.",
                 [&] { return queue.counters().copying; });
    export_gauge(metrics, "posthorse_partitions_not_taken_up",
                 "Partitions of this node whose mail waits: other holders have not said what they "
                 "have, or what is lacking here finds no room.",
                 [&] { return queue.counters().not_taken_up; });
    export_gauge(metrics, "posthorse_in_doubt_undecided",
                 "Attempts of other nodes whose end nobody has told yet.",
                 [&] { return queue.counters().undecided; });
    export_gauge(metrics, "posthorse_takeovers", "Partitions taken up since start.",
                 [&] { return queue.counters().takeovers; });
    export_gauge(metrics, "posthorse_intents_alone",
                 "Attempts recorded on this node only, since start: the other voter was away.",
                 [&] { return queue.counters().intents_alone; });
    export_gauge(metrics, "posthorse_records_mended",
                 "Records that could not be read here and came from another holder, since start.",
                 [&] { return queue.counters().mended; });
}

void export_store(runtime::Metrics& metrics, const storage::QueueStore& store) {
    export_gauge(metrics, "posthorse_store_records_set_aside", "Records that could not be read.",
                 [&] { return store.stats().set_aside; });
    export_gauge(metrics, "posthorse_store_free_bytes", "Free space of the queue's disk.",
                 [&] { return store.stats().disk_free_bytes; });
    export_gauge(metrics, "posthorse_store_healthy", "0 after a failed write or sync.",
                 [&] { return store.healthy() ? 1 : 0; });
    export_gauge(metrics, "posthorse_store_syncs", "Syncs of the write-ahead log since start.",
                 [&] { return store.stats().syncs; });
    export_gauge(metrics, "posthorse_store_synced_operations",
                 "Operations that those syncs covered.",
                 [&] { return store.stats().synced_operations; });
}

void export_scheduler(runtime::Metrics& metrics, const schedule::Scheduler& scheduler) {
    export_gauge(metrics, "posthorse_destinations", "Destinations in memory.",
                 [&] { return scheduler.counters().destinations; });
    export_gauge(metrics, "posthorse_destinations_down",
                 "Destinations that nobody answers for: their mail waits without attempts.",
                 [&] { return scheduler.counters().down; });
    export_gauge(metrics, "posthorse_jobs_waiting", "Transactions that wait for a connection.",
                 [&] { return scheduler.counters().waiting; });
}

}  // namespace

void export_figures(runtime::Metrics& metrics,
                    replication::ReplicatedQueue& queue,
                    const storage::QueueStore& store,
                    const schedule::Scheduler& scheduler) {
    export_takeovers(metrics, queue);
    export_gauge(metrics, "posthorse_queue_messages", "Messages in this node's queue.",
                 [&] { return queue.counters().messages; });
    export_gauge(metrics, "posthorse_queue_bytes",
                 "Octets of the messages in this node's queue, as they are sent.",
                 [&] { return queue.counters().bytes; });
    export_gauge(metrics, "posthorse_queue_active_messages", "Messages handed out for delivery.",
                 [&] { return queue.counters().claimed; });
    export_gauge(metrics, "posthorse_in_doubt_attempts",
                 "Attempts found without an outcome since start.",
                 [&] { return queue.counters().in_doubt; });
    export_copies(metrics, queue);
    export_store(metrics, store);
    export_scheduler(metrics, scheduler);
    export_gauge(metrics, "posthorse_log_lines_dropped", "Log lines dropped since start.",
                 [] { return runtime::log::dropped_lines(); });
}

}  // namespace posthorse
