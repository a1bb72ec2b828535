// Prometheus metrics of the process.
//
// Place     node.cc makes one and passes it to every stage; the HTTP server prints text().
// Contract  Names follow Prometheus' conventions: posthorse_<what>_<unit>[_total]. Asking twice for
//           one name and labels gives the same metric. Any thread; add and set are lock-free.
// Owner     node.cc; metrics live as long as it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace posthorse::runtime {

class Counter {
public:
    void add(double amount = 1);

private:
    friend class Metrics;
    explicit Counter(void* target) : target_(target) {}
    void* target_;
};

class Gauge {
public:
    void set(double value);
    void add(double amount);

private:
    friend class Metrics;
    explicit Gauge(void* target) : target_(target) {}
    void* target_;
};

class Histogram {
public:
    void observe(double value);

private:
    friend class Metrics;
    explicit Histogram(void* target) : target_(target) {}
    void* target_;
};

class Metrics {
public:
    using Labels = std::map<std::string, std::string>;

    Metrics();
    ~Metrics();
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    Counter counter(const std::string& name, const std::string& help, const Labels& labels = {});
    Gauge gauge(const std::string& name, const std::string& help, const Labels& labels = {});
    // `bounds` are the upper ends of the buckets, ascending.
    Histogram histogram(const std::string& name,
                        const std::string& help,
                        std::vector<double> bounds,
                        const Labels& labels = {});

    // Runs before each text(): for values that are cheaper to ask for than to keep.
    void before_scrape(std::function<void()> refresh);
    // The exposition format, version 0.0.4.
    std::string text() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// Seconds, for the latency of mail: 1 ms to 5 minutes.
std::vector<double> latency_bounds();

}  // namespace posthorse::runtime
