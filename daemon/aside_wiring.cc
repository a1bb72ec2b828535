#include "daemon/aside_wiring.h"

namespace posthorse {
namespace {

constexpr std::uint32_t copies_of_the_pool = 0;

aside::QueuePorts queue_ports(replication::ReplicatedQueue& queue,
                              UniqueFunction<void(Envelope)>& accepted) {
    return {.begin =
                [&queue](std::uint64_t size_bytes, Completion<QueueId> done) {
                    queue.begin(size_bytes, copies_of_the_pool, std::move(done));
                },
            .append =
                [&queue](QueueId id, std::uint32_t index, Chunk bytes, Completion<> done) {
                    queue.append(id, index, std::move(bytes), std::move(done));
                },
            .commit =
                [&queue, &accepted](const Envelope& envelope, Chunk head, Completion<> done) {
                    queue.commit(envelope, std::move(head),
                                 [&queue, &accepted, envelope,
                                  done = std::move(done)](Result<void> stored) mutable {
                                     const bool held = envelope.held;
                                     if (stored && held) queue.park(envelope.id, never);
                                     if (stored && !held) accepted(std::move(envelope));
                                     done(std::move(stored));
                                 });
                },
            .abort = [&queue](QueueId id) { queue.abort(id); }};
}

}  // namespace

std::unique_ptr<aside::Aside> make_aside(const config::Config& config,
                                         runtime::Shard& home,
                                         const Clock& clock,
                                         replication::ReplicatedQueue& queue,
                                         PoolMembership& pool,
                                         UniqueFunction<void(Envelope)>& accepted) {
    return std::make_unique<aside::Aside>(
        aside::AsideCopies::Settings{.data_dir = config.data_dir,
                                     .room_bytes = config.queue.disk_floor_bytes / 4,
                                     .node = pool.control().self()},
        home, clock, queue_ports(queue, accepted),
        [&pool](std::vector<std::string> left) { pool.set_aside_left(std::move(left)); });
}

admin::AsidePorts aside_ports(aside::Aside& aside) {
    return {.list =
                [&aside](std::string only, aside::Place from, std::size_t limit,
                         Completion<aside::Page> done) {
                    aside.list(std::move(only), std::move(from), limit, std::move(done));
                },
            .find =
                [&aside](std::string only, std::vector<QueueId> ids,
                         Completion<admin::AsidePorts::Founds> done) {
                    aside.find(std::move(only), std::move(ids), std::move(done));
                },
            .act =
                [&aside](aside::Order order, Completion<admin::AsidePorts::Dones> done) {
                    aside.act(std::move(order), std::move(done));
                },
            .tidy = [&aside](Completion<> done) { aside.tidy(std::move(done)); }};
}

}  // namespace posthorse
