#include "daemon/count_wiring.h"

#include <utility>

namespace posthorse {
namespace {

using replication::CountExchange;
using replication::PeerCertificates;
using replication::PoolCounts;

}  // namespace

CountWiring::CountWiring(const config::Config& config,
                         runtime::Shard& home,
                         const Clock& clock,
                         PoolMembership& pool,
                         runtime::Metrics& metrics)
    : exchange_(CountExchange::Ports{
          .home = home,
          .certificates =
              config.pool.certificates == "node" ? PeerCertificates::node : PeerCertificates::pool,
          .identity = {.judge =
                           [&pool](const replication::Header& header) {
                               return pool.control().judge(header);
                           },
                       .header = [&pool](NodeId to) { return pool.control().header(to); }},
          .channel = [&pool](const std::string& address) { return pool.channel(address); },
          .receive =
              [this](const NodeId& from, const replication::CountBatch& batch) {
                  return counts_.receive(from, batch);
              }}),
      counts_(pool.control().self(),
              PoolCounts::Ports{.clock = clock,
                                .pool = [&pool]() -> const replication::PoolState& {
                                    return pool.control().committed();
                                },
                                .send =
                                    [this](const replication::Member& to,
                                           replication::CountBatch batch,
                                           Completion<CountExchange::Others> others) {
                                        exchange_.send(to, batch, std::move(others));
                                    }}) {
    pool.serve(exchange_);
    export_figures(metrics);
}

void CountWiring::export_figures(runtime::Metrics& metrics) {
    constexpr const char* name = "posthorse_counts";
    constexpr const char* help = "Counts behind limits that this node keeps, by whose they are.";
    metrics.before_scrape(
        [this, own = metrics.gauge(name, help, {{"whose", "own"}}),
         pool = metrics.gauge(name, help, {{"whose", "pool"}}),
         lost = metrics.gauge("posthorse_counts_dropped",
                              "What was not counted since start: too many counts."),
         alone = metrics.gauge("posthorse_counts_degraded",
                               "Limits judged since start by this node's share, "
                               "for no home of the count answered.")]() mutable {
            own.set(static_cast<double>(counts_.core().own_count()));
            pool.set(static_cast<double>(counts_.core().kept_count()));
            lost.set(static_cast<double>(counts_.core().dropped()));
            alone.set(static_cast<double>(counts_.degraded_answers()));
        });
}

void CountWiring::stop(UniqueFunction<void()> done) {
    counts_.stop();
    exchange_.stop(std::move(done));
}

}  // namespace posthorse
