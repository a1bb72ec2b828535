// What verification counts.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>

#include "daemon/runtime/metrics.h"

namespace posthorse::verify {

class VerifyMetrics {
public:
    explicit VerifyMetrics(runtime::Metrics& metrics)
        : unavailable(metrics.counter("posthorse_verification_unavailable_total",
                                      "Messages answered 451 because they could not be verified.")),
          forged(metrics.counter("posthorse_verification_forged_fields_total",
                                 "Authentication-Results fields taken out: they claimed to be "
                                 "ours.")),
          seconds(metrics.histogram("posthorse_verification_seconds",
                                    "What verification adds to the wait for 250.",
                                    runtime::latency_bounds())) {
        for (const auto* method : {"dkim", "spf", "dmarc"}) {
            for (const auto* result : {"none", "neutral", "pass", "fail", "softfail", "policy",
                                       "temperror", "permerror"}) {
                results_.emplace(std::string(method) + '=' + result,
                                 metrics.counter("posthorse_verification_results_total",
                                                 "Results of verification, by method.",
                                                 {{"method", method}, {"result", result}}));
            }
        }
    }

    void count(const std::string& method, const std::string& result) {
        const auto found = results_.find(method + '=' + result);
        if (found != results_.end()) found->second.add();
    }

    runtime::Counter unavailable;
    runtime::Counter forged;
    runtime::Histogram seconds;

private:
    std::map<std::string, runtime::Counter> results_;
};

}  // namespace posthorse::verify
