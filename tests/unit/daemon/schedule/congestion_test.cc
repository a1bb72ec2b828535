#include "daemon/schedule/congestion.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::schedule;
using namespace std::chrono_literals;
using Gate = Congestion::Gate;

namespace {

constexpr BootTime start{1h};

Congestion make(std::uint32_t window_max = 20) {
    return Congestion(window_max, {1min, 15min});
}

Congestion make_down(BootTime now) {
    auto congestion = make();
    for (std::uint32_t i = 0; i < Congestion::failures_before_down; ++i) {
        congestion.unreachable(now, 0);
    }
    return congestion;
}

}  // namespace

TEST_CASE("the window grows by one for each window's worth of successes, up to its maximum") {
    auto congestion = make(7);
    CHECK(congestion.window() == 5);
    for (int i = 0; i < 4; ++i) congestion.good(start);
    CHECK(congestion.window() == 5);
    congestion.good(start);
    CHECK(congestion.window() == 6);
    for (int i = 0; i < 100; ++i) congestion.good(start);
    CHECK(congestion.window() == 7);
}

TEST_CASE("the window never passes a small maximum and never falls below one") {
    auto congestion = make(2);
    CHECK(congestion.window() == 2);
    congestion.unreachable(start, 0);
    congestion.good(start);
    congestion.unreachable(start, 0);
    CHECK(congestion.window() == 1);
    CHECK_FALSE(congestion.down());
}

TEST_CASE("a server that limits its sessions shrinks the window without going down") {
    auto congestion = make();
    for (int i = 0; i < 200; ++i) congestion.good(start);
    CHECK(congestion.window() == 20);
    for (int i = 0; i < 10; ++i) {
        congestion.unreachable(start, 0);
        congestion.good(start);
    }
    CHECK(congestion.window() == 10);
    CHECK(congestion.gate(start) == Gate::open);
}

TEST_CASE("failures in a row close the gate; then one probe goes") {
    auto congestion = make();
    CHECK_FALSE(congestion.unreachable(start, 0));
    CHECK_FALSE(congestion.unreachable(start, 0));
    CHECK(congestion.unreachable(start, 0));
    CHECK(congestion.gate(start) == Gate::closed);
    CHECK(congestion.retry_at() == start + 1min);
    CHECK(congestion.gate(start + 1min) == Gate::probe);
    congestion.begin_probe();
    CHECK(congestion.gate(start + 1min) == Gate::closed);
    congestion.withdraw_probe();
    CHECK(congestion.gate(start + 1min) == Gate::probe);
}

TEST_CASE("each failed probe doubles the wait; a good one opens the gate") {
    auto congestion = make_down(start);
    auto now = start;
    for (const Duration wait : {90s, 180s, 360s}) {  // random number 0: three quarters
        now = congestion.retry_at();
        REQUIRE(congestion.gate(now) == Gate::probe);
        congestion.begin_probe();
        CHECK(congestion.unreachable(now, 0));
        CHECK(congestion.retry_at() == now + wait);
    }
    now = congestion.retry_at();
    congestion.begin_probe();
    congestion.good(now);
    CHECK(congestion.gate(now) == Gate::open);
    CHECK_FALSE(congestion.unreachable(now, 0));  // counts from nothing again
}

TEST_CASE("attempts that were under way when it went down do not lengthen the wait") {
    auto congestion = make_down(start);
    const auto retry_at = congestion.retry_at();
    CHECK(congestion.unreachable(start + 30s, 0));
    CHECK(congestion.unreachable(start + 40s, 0));
    CHECK(congestion.retry_at() == retry_at);
}

TEST_CASE("an operator can open the gate") {
    auto congestion = make_down(start);
    congestion.revive();
    CHECK(congestion.gate(start) == Gate::open);
}

TEST_CASE("the drain time follows the measured pace") {
    auto congestion = make();
    CHECK(congestion.drain_time(1000) == 10s);  // nothing is known
    congestion.busy_from(start);
    for (int i = 1; i <= 50; ++i) congestion.good(start + i * 20ms);
    CHECK(congestion.drain_time(1000) == 20s);
    // It doubles, and is believed within seconds.
    for (int i = 1; i <= 500; ++i) congestion.good(start + 1s + i * 10ms);
    CHECK(congestion.drain_time(1000) < 11s);
}

TEST_CASE("a hitch, or a time without mail, is not taken for the pace") {
    auto congestion = make();
    congestion.busy_from(start);
    for (int i = 1; i <= 5000; ++i) congestion.good(start + i * 1ms);
    CHECK(congestion.drain_time(10'000) == 10s);
    congestion.good(start + 5200ms);
    CHECK(congestion.drain_time(10'000) < 12s);
    congestion.busy_from(start + 1h);
    congestion.good(start + 1h + 1ms);
    CHECK(congestion.drain_time(10'000) < 12s);
}

TEST_CASE("only a destination that did well is not worth remembering") {
    auto congestion = make();
    CHECK(congestion.pristine());
    congestion.good(start);
    CHECK(congestion.pristine());
    congestion.unreachable(start, 0);
    CHECK_FALSE(congestion.pristine());
    CHECK_FALSE(make_down(start).pristine());
}
