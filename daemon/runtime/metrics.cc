#include "daemon/runtime/metrics.h"

#include <mutex>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace posthorse::runtime {

struct Metrics::Impl {
    prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
    mutable std::mutex refreshers_mutex;
    std::vector<std::function<void()>> refreshers;
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Counter::add(double amount) {
    static_cast<prometheus::Counter*>(target_)->Increment(amount);
}
void Gauge::set(double value) {
    static_cast<prometheus::Gauge*>(target_)->Set(value);
}
void Gauge::add(double amount) {
    static_cast<prometheus::Gauge*>(target_)->Increment(amount);
}
void Histogram::observe(double value) {
    static_cast<prometheus::Histogram*>(target_)->Observe(value);
}

Counter Metrics::counter(const std::string& name, const std::string& help, const Labels& labels) {
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry);
    return Counter(&family.Add(labels));
}

Gauge Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels) {
    auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry);
    return Gauge(&family.Add(labels));
}

Histogram Metrics::histogram(const std::string& name,
                             const std::string& help,
                             std::vector<double> bounds,
                             const Labels& labels) {
    auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry);
    return Histogram(&family.Add(labels, std::move(bounds)));
}

void Metrics::before_scrape(std::function<void()> refresh) {
    const std::lock_guard lock(impl_->refreshers_mutex);
    impl_->refreshers.push_back(std::move(refresh));
}

std::string Metrics::text() const {
    {
        const std::lock_guard lock(impl_->refreshers_mutex);
        for (const auto& refresh : impl_->refreshers) refresh();
    }
    return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

std::vector<double> latency_bounds() {
    return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};
}

}  // namespace posthorse::runtime
