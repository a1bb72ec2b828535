#include "daemon/pool_queue_wiring.h"

namespace posthorse {
namespace {

admin::QueuePorts own_ports(replication::ReplicatedQueue& queue, report::Reporter& reporter) {
    auto ports = admin::queue_ports(queue);
    ports.bounce = [&reporter](QueueId id, std::string why, Completion<> done) {
        reporter.bounce(id, std::move(why), std::move(done));
    };
    return ports;
}

}  // namespace

PoolQueueWiring::PoolQueueWiring(const config::Config& config,
                                 runtime::Shard& home,
                                 const Clock& clock,
                                 replication::ReplicatedQueue& queue,
                                 report::Reporter& reporter,
                                 PoolMembership& pool,
                                 runtime::Metrics& metrics)
    : certificates_(config.pool.certificates == "node" ? admin::CertificatesName::node
                                                       : admin::CertificatesName::pool),
      reader_{[&pool]() -> const replication::PoolState& { return pool.control().committed(); },
              pool.control().self()},
      own_(clock, own_ports(queue, reporter), reader_),
      peers_(
          home,
          [&pool](const std::string& address) { return pool.channel(address); },
          certificates_,
          metrics),
      queue_(reader_,
             own_,
             [this](const replication::Member& member, Duration patience) {
                 return peers_.part(member, patience);
             }),
      service_(home, reader_, own_, certificates_, metrics) {
    pool.serve(service_);
}

}  // namespace posthorse
