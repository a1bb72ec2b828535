#include "daemon/runtime/metrics.h"

#include <doctest/doctest.h>

using namespace posthorse::runtime;

TEST_CASE("metrics appear in the exposition format, with labels and refreshed values") {
    Metrics metrics;
    auto accepted =
        metrics.counter("posthorse_test_total", "What the test counts.", {{"result", "ok"}});
    accepted.add();
    accepted.add(2);
    auto depth = metrics.gauge("posthorse_test_depth", "A depth.");
    metrics.before_scrape([&] { depth.set(7); });
    metrics.histogram("posthorse_test_seconds", "A time.", {0.1, 1}).observe(0.5);
    const auto text = metrics.text();
    CHECK(text.find("posthorse_test_total{result=\"ok\"} 3") != std::string::npos);
    CHECK(text.find("posthorse_test_depth 7") != std::string::npos);
    CHECK(text.find("posthorse_test_seconds_bucket{le=\"1\"} 1") != std::string::npos);
    CHECK(text.find("# HELP posthorse_test_total What the test counts.") != std::string::npos);
}

TEST_CASE("asking twice for one name and labels gives one metric") {
    Metrics metrics;
    metrics.counter("posthorse_test_total", "Help.").add();
    metrics.counter("posthorse_test_total", "Help.").add();
    CHECK(metrics.text().find("posthorse_test_total 2") != std::string::npos);
}
