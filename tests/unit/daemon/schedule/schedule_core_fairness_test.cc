// Who waits for whom, and what stays in memory.
#include <random>

#include <doctest/doctest.h>

#include "daemon/schedule/schedule_core.h"
#include "tests/unit/daemon/schedule/core_driver.h"

using namespace posthorse;
using namespace posthorse::schedule;
using namespace std::chrono_literals;

namespace {

std::string domain(std::uint32_t number) {
    return "d" + std::to_string(number) + ".example";
}
std::string at(std::uint32_t number) {
    return "x@" + domain(number);
}

}  // namespace

TEST_CASE("one message goes at once beside 100,000 for a destination that hangs") {
    CoreDriver driver;
    for (std::uint32_t i = 0; i < 100'000; ++i) driver.offer(i, {"x@slow.example"});
    CHECK(driver.busy("mx:slow.example").size() == 5);
    const auto id = driver.offer(100'000, {"x@quick.example"});
    const auto worker = driver.busy("mx:quick.example");
    REQUIRE(worker.size() == 1);
    CHECK(driver.running.at(worker[0]).id == id);
    // The rest is back in the queue, not in memory, and there is room for others.
    CHECK(driver.core.counters().active <= 10'002);
    CHECK(driver.parked.size() + driver.core.counters().active == 100'001);
    CHECK(driver.core.wanted() >= 9'999);
}

TEST_CASE("100,000 messages for a dead destination leave memory without attempts") {
    CoreDriver driver;
    std::size_t attempts = 0;
    for (std::uint32_t i = 0; i < 100'000; ++i) {
        driver.offer(i, {"x@dead.example"});
        while (!driver.running.empty()) {
            driver.fail(driver.running.begin()->first);
            ++attempts;
        }
    }
    CHECK(attempts == Congestion::failures_before_down);
    CHECK(driver.reports.size() == attempts);
    CHECK(driver.parked.size() == 100'000 - attempts);
    CHECK(driver.core.counters().active == 0);
    CHECK(driver.core.counters().destinations == 1);
}

TEST_CASE("200,000 destinations over time do not grow memory") {
    CoreDriver driver;
    std::size_t destinations_most = 0;
    for (std::uint32_t i = 0; i < 200'000; ++i) {
        driver.offer(i, {at(i)});
        const auto worker = driver.running.begin()->first;
        if (i % 2 == 0) {
            driver.succeed(worker);
            driver.gone(worker);
        } else {
            driver.fail(worker);
        }
        driver.reports.clear();
        driver.pass(1ms);
        if (i % 5'000 != 0) continue;
        destinations_most = std::max(destinations_most, driver.core.counters().destinations);
        if (i == 50'000) {
            CHECK(destinations_most > ScheduleCore::remembered_max / 2);
            driver.pass(1h);
            driver.offer(i + 200'000, {at(i)});
            CHECK(driver.core.counters().destinations == 1);  // the others' time is over
            driver.succeed(driver.running.begin()->first);
            driver.gone(driver.workers.begin()->first);
        }
    }
    CHECK(destinations_most <= ScheduleCore::remembered_max + 2);
}

TEST_CASE("a destination's connections grow with success, within both limits") {
    CoreDriver driver({.connections_max = 30, .connections_per_destination_max = 12});
    for (std::uint32_t i = 0; i < 2'000; ++i) driver.offer(i, {"x@a.example"});
    CHECK(driver.workers_at("mx:a.example") == 5);
    while (!driver.running.empty()) driver.succeed(driver.running.begin()->first);
    CHECK(driver.workers_most == 12);
    CHECK(driver.reports.size() == 2'000);
}

TEST_CASE("slow destinations leave connections for others") {
    CoreDriver driver({.connections_max = 40, .connections_per_destination_max = 40});
    for (std::uint32_t slow = 0; slow < 4; ++slow) {
        for (std::uint32_t i = 0; i < 500; ++i) driver.offer(slow * 1000 + i, {at(slow)});
        for (int i = 0; i < 100; ++i) driver.succeed(driver.busy("mx:" + domain(slow)).at(0));
    }
    CHECK(driver.workers.size() < 40);
    driver.offer(9'000, {"x@quick.example"});
    CHECK(driver.busy("mx:quick.example").size() == 1);
}

TEST_CASE("at the limit, connections that idle make room") {
    CoreDriver driver({.connections_max = 3});
    for (std::uint32_t i = 0; i < 3; ++i) driver.offer(i, {at(i)});
    while (!driver.running.empty()) driver.succeed(driver.running.begin()->first);
    CHECK(driver.workers.size() == 3);
    driver.offer(10, {at(10)});
    CHECK(driver.running.empty());
    CHECK(driver.dismissed.size() == 1);  // one waits, one leaves
    driver.leave();
    CHECK(driver.busy("mx:" + domain(10)).size() == 1);
}

TEST_CASE("at the limit, a destination that had its turn makes room") {
    CoreDriver driver({.connections_max = 1});
    for (std::uint32_t i = 0; i < 100; ++i) driver.offer(i, {"x@busy.example"});
    driver.offer(100, {"x@waits.example"});
    std::uint32_t done = 0;
    while (driver.busy("mx:waits.example").empty()) {
        REQUIRE(done <= ScheduleCore::jobs_per_turn);
        driver.succeed(driver.running.begin()->first);
        ++done;
        driver.leave();
    }
    CHECK(done == ScheduleCore::jobs_per_turn);
}

TEST_CASE("destinations share the connections round robin") {
    CoreDriver driver({.connections_max = 2});
    for (std::uint32_t i = 0; i < 20; ++i) {
        for (std::uint32_t d = 0; d < 5; ++d) driver.offer(d * 100 + i, {at(d)});
    }
    std::map<std::string, int> served;
    for (int i = 0; i < 60; ++i) {  // of 100
        const auto worker = driver.running.begin()->first;
        ++served[driver.running.begin()->second.destination];
        driver.succeed(worker);
        driver.leave();
    }
    CHECK(served.size() == 5);
    for (const auto& [where, count] : served) CHECK_MESSAGE(count >= 10, where);
}

TEST_CASE("urgent mail goes before what waits, and nothing waits for ever (RFC 6710)") {
    CoreDriver driver({.connections_per_destination_max = 1});
    const auto offer = [&](std::uint32_t number, int priority) {
        auto message = CoreDriver::envelope(number, {"x@a.example"});
        message.wishes.priority = priority;
        return driver.offer(message);
    };
    offer(0, 0);  // goes at once, and the others wait for it
    const auto patient = offer(1, -1);
    const auto plain = offer(2, 0);
    const auto other = offer(3, 0);
    const auto urgent = offer(4, 4);
    driver.pass(ScheduleCore::priority_step * 5 + 1ms);
    const auto late = offer(5, 4);
    std::vector<QueueId> order;
    while (driver.core.counters().waiting > 0) {
        driver.succeed(driver.busy("mx:a.example").at(0));
        order.push_back(driver.running.at(driver.busy("mx:a.example").at(0)).id);
    }
    CHECK(order == std::vector{urgent, plain, other, patient, late});
}

TEST_CASE("whatever happens, every message ends exactly once and the limits hold") {
    for (unsigned seed = 0; seed < 200; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto pick = [&](std::size_t below) { return random() % below; };
        CoreDriver driver({.active_max = 30,
                           .connections_max = 6,
                           .connections_per_destination_max = 4,
                           .retry = {1min, 10min}});
        std::map<QueueId, int> begun;
        std::map<QueueId, int> forgotten;
        for (std::uint32_t step = 0; step < 400; ++step) {
            const auto what = pick(10);
            if (what < 4) {
                std::vector<std::string> addresses;
                for (auto i = pick(4) + 1; i > 0; --i) {
                    addresses.push_back(at(static_cast<std::uint32_t>(pick(6))));
                }
                ++begun[driver.offer(step, addresses)];
            } else if (what < 7 && !driver.running.empty()) {
                auto job = driver.running.begin();
                std::advance(job, pick(driver.running.size()));
                const bool dead = job->second.destination == "mx:d0.example" || pick(8) == 0;
                const auto worker = job->first;
                dead ? driver.fail(worker) : driver.succeed(worker);
            } else if (what == 7) {
                driver.leave();
            } else if (what == 8 && !begun.empty() && pick(3) == 0) {
                auto message = begun.begin();
                std::advance(message, pick(begun.size()));
                const auto id = message->first;
                const auto ended = driver.reports.size() + driver.parked.size();
                const auto active = driver.core.counters().active;
                driver.call([&](Effects& out) {
                    driver.core.forget(id, Withdrawal::removed, driver.now, out);
                });
                const bool silent = ended == driver.reports.size() + driver.parked.size();
                if (silent && driver.core.counters().active < active) ++forgotten[id];
            } else {
                driver.pass(Duration{std::chrono::seconds{pick(90)}});
            }
            const auto counters = driver.core.counters();
            REQUIRE(counters.waiting + counters.running <= 30);
            REQUIRE(driver.workers.size() <= 6);
            REQUIRE(driver.workers.size() == counters.workers);
            REQUIRE(driver.running.size() == counters.running);
        }
        driver.call([&](Effects& out) { driver.core.stop(driver.now, out); });
        while (!driver.running.empty()) driver.succeed(driver.running.begin()->first);
        driver.leave();
        REQUIRE(driver.core.drained());
        REQUIRE(driver.workers.empty());
        std::map<QueueId, int> ended = forgotten;
        for (const auto& report : driver.reports) ++ended[report.envelope.id];
        for (const auto& park : driver.parked) ++ended[park.id];
        REQUIRE(ended == begun);
    }
}
