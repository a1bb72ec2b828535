#include "daemon/schedule/backoff.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::schedule;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t least = 0;
constexpr std::uint32_t most = UINT32_MAX;

}  // namespace

TEST_CASE("the delay stays between its bounds for every random number and any history") {
    const RetryBounds bounds{5min, 1h};
    for (std::uint32_t failures = 1; failures < 200; failures += 7) {
        for (const std::uint32_t random : {least, 1u, most / 2, most - 1, most}) {
            CHECK(retry_delay(bounds, failures, random) >= bounds.retry_min);
            CHECK(retry_delay(bounds, failures, random) <= bounds.retry_max);
        }
    }
}

TEST_CASE("the delay doubles, a quarter either way") {
    const RetryBounds bounds{5min, 4h};
    CHECK(retry_delay(bounds, 1, least) == 5min);
    CHECK(retry_delay(bounds, 2, least) == 7min + 30s);
    CHECK(retry_delay(bounds, 3, least) == 15min);
    CHECK(retry_delay(bounds, 2, most) > 12min);
    CHECK(retry_delay(bounds, 2, most) <= 12min + 30s);
}

TEST_CASE("the longest delay is jittered too") {
    const RetryBounds bounds{5min, 1h};
    CHECK(retry_delay(bounds, 20, least) == 45min);
    CHECK(retry_delay(bounds, 20, most) > 59min);
}

TEST_CASE("bounds that contradict each other give the lower one") {
    CHECK(retry_delay({10min, 1min}, 4, most / 3) == 10min);
}

TEST_CASE("a lower bound of nothing still grows") {
    const RetryBounds bounds{0ms, 1h};
    CHECK(retry_delay(bounds, 1, least) >= 0ms);
    CHECK(retry_delay(bounds, 15, least) > 5s);
}
