#include "daemon/deliver/delivery_metrics.h"

namespace posthorse::deliver {
namespace {

runtime::Counter outcomes(runtime::Metrics& metrics, const char* result) {
    return metrics.counter("posthorse_delivery_outcomes_total",
                           "Recipients of delivery attempts, by what came of them",
                           {{"result", result}});
}

runtime::Counter connections(runtime::Metrics& metrics, const char* result) {
    return metrics.counter("posthorse_delivery_connections_total",
                           "Connections to other servers: opened in clear or with TLS, or failed",
                           {{"result", result}});
}

}  // namespace

DeliveryMetrics::DeliveryMetrics(runtime::Metrics& metrics)
    : delivered_(outcomes(metrics, "delivered")),
      deferred_(outcomes(metrics, "deferred")),
      refused_(outcomes(metrics, "failed")),
      in_doubt_(metrics.counter("posthorse_delivery_in_doubt_total",
                                "Attempts whose reply to the final dot was lost")),
      in_clear_(connections(metrics, "clear")),
      secure_(connections(metrics, "tls")),
      failed_(connections(metrics, "failed")),
      latency_(metrics.histogram("posthorse_delivery_latency_seconds",
                                 "From the acceptance of a message to a recipient's delivery",
                                 runtime::latency_bounds())) {}

void DeliveryMetrics::attempt_ended(const JobResult& result, WallTime now) {
    const std::chrono::duration<double> age = now - result.id.minted();
    for (const auto& outcome : result.outcomes) {
        switch (outcome.kind) {
            case OutcomeKind::delivered:
                delivered_.add();
                latency_.observe(age.count());
                break;
            case OutcomeKind::deferred:
                deferred_.add();
                break;
            case OutcomeKind::failed:
                refused_.add();
                break;
        }
    }
    if (in_doubt(result.outcomes)) in_doubt_.add();
}

void DeliveryMetrics::connection_opened(bool secure) {
    (secure ? secure_ : in_clear_).add();
}

}  // namespace posthorse::deliver
