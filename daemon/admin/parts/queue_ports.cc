#include "daemon/admin/parts/queue_ports.h"

namespace posthorse::admin {

QueuePorts queue_ports(replication::ReplicatedQueue& queue) {
    return {.list =
                [&queue](QueueId after, std::size_t limit, Completion<std::vector<Envelope>> done) {
                    queue.list(after, limit, std::move(done));
                },
            .summarize =
                [&queue](replication::SummaryPlace from, storage::QueueSummary so_far,
                         std::size_t limit, Completion<replication::Summarized> done) {
                    queue.summarize(from, std::move(so_far), limit, std::move(done));
                },
            .find = [&queue](QueueId id,
                             Completion<Envelope> done) { queue.find(id, std::move(done)); },
            .chunk = [&queue](QueueId id, std::uint32_t index,
                              Completion<Chunk> done) { queue.chunk(id, index, std::move(done)); },
            .act =
                [&queue](QueueId id, replication::Action action, std::string why,
                         Completion<Envelope> done) {
                    queue.act(id, action, std::move(why), std::move(done));
                },
            .owns = [&queue](PartitionId id) { return queue.owns(id); },
            .delivering = [&queue](QueueId id) { return queue.delivering(id); },
            .bounce = {}};
}

}  // namespace posthorse::admin
