// What intake counts.
#pragma once

#include "daemon/runtime/metrics.h"

namespace posthorse::intake {

struct IntakeMetrics {
    explicit IntakeMetrics(runtime::Metrics& metrics)
        : sessions_open(metrics.gauge("posthorse_smtp_sessions", "SMTP sessions open now.")),
          sessions(metrics.counter("posthorse_smtp_sessions_total", "SMTP sessions begun.")),
          crowded(metrics.gauge(
              "posthorse_smtp_crowded",
              "Listeners, and the node, with so many sessions that slow clients must hurry.")),
          sessions_refused(metrics.counter("posthorse_smtp_sessions_refused_total",
                                           "Connections refused with 421 by a limit.")),
          early_talkers(metrics.counter("posthorse_smtp_early_talkers_total",
                                        "Clients that spoke before the greeting, or before "
                                        "the answer to HELO, EHLO or DATA.")),
          proxy_failures(metrics.counter("posthorse_smtp_proxy_failures_total",
                                         "Connections of proxies without a PROXY header.")),
          tls_failures(metrics.counter("posthorse_smtp_tls_failures_total",
                                       "TLS handshakes of clients that failed.")),
          auth_accepted(auth(metrics, "accepted")),
          auth_refused(auth(metrics, "refused")),
          auth_blocked(auth(metrics, "blocked")),
          auth_unavailable(auth(metrics, "unavailable")),
          delayed_logins(metrics.counter("posthorse_auth_delayed_total",
                                         "Logins that waited for failures before them.")),
          delayed_greetings(metrics.counter("posthorse_smtp_greetings_delayed_total",
                                            "Greetings that waited: too many connections of "
                                            "their client.")),
          messages(metrics.counter("posthorse_messages_accepted_total",
                                   "Messages taken into custody (250 after the end of data).")),
          future_releases(metrics.counter("posthorse_future_releases_total",
                                          "Messages taken into custody for a later release.")),
          bytes(metrics.counter("posthorse_accepted_bytes_total",
                                "Octets of the messages taken into custody.")),
          refused_temporarily(refused(metrics, "4xx")),
          refused_for_good(refused(metrics, "5xx")),
          custody_seconds(metrics.histogram("posthorse_custody_seconds",
                                            "From the end of data to 250.",
                                            runtime::latency_bounds())) {}

    runtime::Gauge sessions_open;
    runtime::Counter sessions;
    runtime::Gauge crowded;
    runtime::Counter sessions_refused;
    runtime::Counter early_talkers;
    runtime::Counter proxy_failures;
    runtime::Counter tls_failures;
    runtime::Counter auth_accepted;
    runtime::Counter auth_refused;
    runtime::Counter auth_blocked;
    runtime::Counter auth_unavailable;
    runtime::Counter delayed_logins;
    runtime::Counter delayed_greetings;
    runtime::Counter messages;
    runtime::Counter future_releases;
    runtime::Counter bytes;
    runtime::Counter refused_temporarily;
    runtime::Counter refused_for_good;
    runtime::Histogram custody_seconds;

private:
    static runtime::Counter auth(runtime::Metrics& metrics, const char* result) {
        return metrics.counter("posthorse_auth_total", "AUTH attempts by result.",
                               {{"result", result}});
    }
    static runtime::Counter refused(runtime::Metrics& metrics, const char* reply) {
        return metrics.counter("posthorse_smtp_refusals_total",
                               "MAIL, RCPT and end of data refused, by class of reply.",
                               {{"reply", reply}});
    }
};

}  // namespace posthorse::intake
