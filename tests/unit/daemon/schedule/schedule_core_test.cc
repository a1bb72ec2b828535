#include "daemon/schedule/schedule_core.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/schedule/core_driver.h"

using namespace posthorse;
using namespace posthorse::schedule;
using namespace std::chrono_literals;

namespace {

std::vector<std::string> many_at(const std::string& domain, int count) {
    std::vector<std::string> addresses;
    for (int i = 0; i < count; ++i) addresses.push_back("u" + std::to_string(i) + "@" + domain);
    return addresses;
}

// Fails attempts at a.example until it counts as down. Uses messages 1000 and up.
void bring_down(CoreDriver& driver) {
    for (std::uint32_t i = 0; i < Congestion::failures_before_down; ++i) {
        driver.offer(1000 + i, {"x@a.example"});
    }
    for (const auto worker : driver.busy("mx:a.example")) driver.fail(worker);
    driver.reports.clear();
    REQUIRE(driver.core.counters().down == 1);
}

}  // namespace

TEST_CASE("one message, one connection, one report") {
    CoreDriver driver;
    const auto id = driver.offer(1, {"a@a.example"});
    REQUIRE(driver.running.size() == 1);
    const auto [worker, job] = *driver.running.begin();
    CHECK(job.id == id);
    CHECK(job.destination == "mx:a.example");
    CHECK(job.sender == "sender@example.org");
    CHECK(job.addresses == std::vector<std::string>{"a@a.example"});
    driver.succeed(worker);
    REQUIRE(driver.reports.size() == 1);
    CHECK(driver.reports[0].envelope.id == id);
    CHECK(driver.reports[0].ended_attempts == std::vector<std::uint32_t>{job.attempt});
    CHECK(driver.reports[0].outcomes.size() == 1);
    CHECK(driver.core.counters().active == 0);
}

TEST_CASE("a message for later goes back to the queue, and goes once its time has come") {
    CoreDriver driver;
    auto message = CoreDriver::envelope(1, {"a@a.example"});
    message.release_at = message.due_at = driver.now.wall + 1h;
    driver.offer(message);
    CHECK(driver.running.empty());
    CHECK(driver.core.counters().active == 0);
    REQUIRE(driver.parked.size() == 1);
    CHECK(driver.parked[0].due == message.release_at);
    driver.pass(1h);
    driver.offer(message);
    CHECK(driver.running.size() == 1);
}

TEST_CASE("what must come back when it is late is reported at that time, without an attempt") {
    CoreDriver driver;
    auto message = CoreDriver::envelope(1, {"a@a.example"});
    const auto deadline = driver.now.wall + 2min;
    message.wishes.deliver_by = {.otherwise = DeliverBy::Otherwise::give_back, .at = deadline};
    message.expires_at = deadline;
    driver.offer(message);
    driver.end(driver.busy("mx:a.example").at(0), OutcomeKind::deferred);
    REQUIRE(driver.reports.size() == 1);
    CHECK(driver.reports[0].next_due == deadline);  // sooner than the next attempt might be
    driver.pass(2min);
    driver.offer(message);
    CHECK(driver.running.empty());
    REQUIRE(driver.reports.size() == 2);
    CHECK(driver.reports[1].outcomes.empty());
}

TEST_CASE("a sender that named a time hears then, and the next attempt keeps its distance") {
    CoreDriver driver;
    auto message = CoreDriver::envelope(1, {"a@a.example"});
    message.warn_at = driver.now.wall + 2min;
    message.wishes.deliver_by = {.otherwise = DeliverBy::Otherwise::notify, .at = message.warn_at};
    driver.offer(message);
    driver.end(driver.busy("mx:a.example").at(0), OutcomeKind::deferred);
    REQUIRE(driver.reports.size() == 1);
    CHECK(driver.reports[0].next_due == message.warn_at);
    message.recipients[0].last.at = driver.now.wall;
    driver.pass(2min);
    driver.offer(message);
    CHECK(driver.running.empty());
    REQUIRE(driver.reports.size() == 2);
    CHECK(driver.reports[1].next_due == message.recipients[0].last.at + Limits{}.retry.retry_min);
    message.warn_at = never;  // told
    driver.offer(message);
    CHECK(driver.running.size() == 1);
}

TEST_CASE("recipients are grouped by destination; those that ended are left out") {
    CoreDriver driver;
    auto message =
        CoreDriver::envelope(1, {"a@a.example", "b@b.example", "c@A.example", "done@a.example"});
    message.recipients[3].state = RecipientState::delivered;
    driver.offer(message);
    REQUIRE(driver.running.size() == 2);
    const auto at_a = driver.running.at(driver.busy("mx:a.example").at(0));
    CHECK(at_a.recipients == std::vector<std::uint32_t>{0, 2});
    const auto at_b = driver.running.at(driver.busy("mx:b.example").at(0));
    CHECK(at_b.recipients == std::vector<std::uint32_t>{1});
    CHECK(at_a.attempt != at_b.attempt);
    driver.succeed(driver.busy("mx:a.example").at(0));
    CHECK(driver.reports.empty());  // the other job runs still
    driver.succeed(driver.busy("mx:b.example").at(0));
    REQUIRE(driver.reports.size() == 1);
    CHECK(driver.reports[0].outcomes.size() == 3);
}

TEST_CASE("what was delivered is reported while a slow destination goes on, once") {
    CoreDriver driver;
    const auto record = [&] {
        driver.call([&](Effects& out) { driver.core.record(driver.now, out); });
    };
    driver.offer(1, {"a@a.example", "b@b.example", "c@c.example"});
    const auto at_a = driver.busy("mx:a.example").at(0);
    const auto attempt = driver.running.at(at_a).attempt;
    CHECK_FALSE(driver.core.record_at().has_value());
    driver.succeed(at_a);
    driver.end(driver.busy("mx:b.example").at(0), OutcomeKind::failed);
    REQUIRE(driver.core.record_at() == driver.now.boot + ScheduleCore::record_after);
    record();
    CHECK(driver.reports.empty());  // it may end soon, and costs one settlement then
    driver.pass(ScheduleCore::record_after);
    record();
    REQUIRE(driver.reports.size() == 1);
    CHECK(driver.reports[0].goes_on);
    REQUIRE(driver.reports[0].outcomes.size() == 1);
    CHECK(driver.reports[0].outcomes[0].recipient == 0);
    CHECK(driver.reports[0].ended_attempts == std::vector<std::uint32_t>{attempt});
    CHECK_FALSE(driver.core.record_at().has_value());

    driver.succeed(driver.busy("mx:c.example").at(0));
    REQUIRE(driver.reports.size() == 2);
    const auto& last = driver.reports[1];
    CHECK_FALSE(last.goes_on);
    CHECK(last.outcomes.size() == 2);  // the failure waited for the others
    CHECK(last.ended_attempts.size() == 2);
    CHECK(last.envelope.recipients[0].state == RecipientState::delivered);
}

TEST_CASE("what ends in time is reported in one piece; what is in doubt is never told before") {
    CoreDriver driver;
    driver.offer(1, {"a@a.example", "b@b.example"});
    driver.succeed(driver.busy("mx:a.example").at(0));
    driver.succeed(driver.busy("mx:b.example").at(0));
    REQUIRE(driver.reports.size() == 1);
    CHECK(driver.reports[0].outcomes.size() == 2);

    driver.offer(2, {"a@a.example", "b@b.example"});
    driver.end(driver.busy("mx:a.example").at(0), OutcomeKind::deferred);
    driver.pass(ScheduleCore::record_after);
    driver.call([&](Effects& out) { driver.core.record(driver.now, out); });
    CHECK(driver.reports.size() == 1);
    CHECK_FALSE(driver.core.record_at().has_value());
}

TEST_CASE("a job has at most a hundred recipients") {
    CoreDriver driver;
    driver.offer(1, many_at("a.example", 250));
    std::size_t recipients = 0;
    while (!driver.running.empty()) {
        const auto worker = driver.running.begin()->first;
        CHECK(driver.running.at(worker).recipients.size() <= 100);
        recipients += driver.running.at(worker).recipients.size();
        driver.succeed(worker);
    }
    CHECK(recipients == 250);
    REQUIRE(driver.reports.size() == 1);
    CHECK(driver.reports[0].ended_attempts.size() == 3);
}

TEST_CASE("attempt numbers differ between claims of one message") {
    CoreDriver driver;
    auto message = CoreDriver::envelope(1, {"a@a.example"});
    driver.offer(message);
    const auto first = driver.running.begin()->second.attempt;
    driver.succeed(driver.running.begin()->first);
    ++message.version;
    driver.offer(message);
    CHECK(driver.running.begin()->second.attempt != first);
}

TEST_CASE("the worst end of a message's attempts is reported, and none without attempts") {
    struct Row {
        AttemptEnd first, second, reported;
    };
    for (const auto& row :
         {Row{AttemptEnd::completed, AttemptEnd::completed, AttemptEnd::completed},
          Row{AttemptEnd::unfinished, AttemptEnd::completed, AttemptEnd::unfinished},
          Row{AttemptEnd::completed, AttemptEnd::cut_off, AttemptEnd::cut_off},
          Row{AttemptEnd::cut_off, AttemptEnd::unfinished, AttemptEnd::cut_off}}) {
        CoreDriver driver;
        driver.offer(1, {"a@one.example", "b@two.example"});
        driver.attempt_end = row.first;
        driver.end(driver.busy("mx:one.example").at(0), OutcomeKind::deferred);
        driver.attempt_end = row.second;
        driver.end(driver.busy("mx:two.example").at(0), OutcomeKind::deferred);
        REQUIRE(driver.reports.size() == 1);
        CHECK(driver.reports[0].end == row.reported);
    }
    CoreDriver driver;
    auto done = CoreDriver::envelope(2, {"a@one.example"});
    done.recipients[0].state = RecipientState::delivered;
    driver.offer(std::move(done));
    REQUIRE(driver.reports.size() == 1);
    CHECK_FALSE(driver.reports[0].end.has_value());
}

TEST_CASE("a message without pending recipients is reported as it is") {
    CoreDriver driver;
    auto message = CoreDriver::envelope(1, {"a@a.example"});
    message.recipients[0].state = RecipientState::failed;
    driver.offer(message);
    CHECK(driver.running.empty());
    REQUIRE(driver.reports.size() == 1);
    CHECK(driver.reports[0].outcomes.empty());
}

TEST_CASE("a connection is used again, lingers, and leaves") {
    CoreDriver driver;
    driver.offer(1, {"a@a.example"});
    const auto worker = driver.running.begin()->first;
    driver.succeed(worker);
    driver.offer(2, {"a@a.example"});
    CHECK(driver.running.begin()->first == worker);
    driver.succeed(worker);
    driver.gone(worker);
    CHECK(driver.core.counters().workers == 0);
    CHECK(driver.core.counters().destinations == 0);
}

TEST_CASE("a deferred message is due again after the back-off, by its attempts so far") {
    CoreDriver driver;
    auto message = CoreDriver::envelope(1, {"a@a.example", "b@a.example"});
    message.recipients[1].attempts = 2;
    driver.offer(message);
    driver.end(driver.running.begin()->first, OutcomeKind::deferred);
    REQUIRE(driver.reports.size() == 1);
    CHECK(driver.reports[0].next_due >= driver.now.wall + 15min);
    CHECK(driver.reports[0].next_due <= driver.now.wall + 25min);
}

TEST_CASE("the next attempt does not sleep through the message's end") {
    CoreDriver driver;
    auto message = CoreDriver::envelope(1, {"a@a.example"});
    message.recipients[0].attempts = 9;
    message.expires_at = driver.now.wall + 10min;
    driver.offer(message);
    driver.end(driver.running.begin()->first, OutcomeKind::deferred);
    CHECK(driver.reports.at(0).next_due == message.expires_at);
}

TEST_CASE("attempts in doubt are told apart") {
    CoreDriver driver;
    driver.offer(1, {"a@a.example"});
    const auto [worker, job] = *driver.running.begin();
    driver.running.clear();
    JobResult result{.id = job.id,
                     .attempt = job.attempt,
                     .destination = job.destination,
                     .outcomes = {{.recipient = 0}}};
    result.outcomes[0].status.reply_lost = true;
    driver.call([&](Effects& out) {
        driver.core.job_ended(worker, result, WorkerAfter::lingers, driver.now, out);
    });
    CHECK(in_doubt(driver.reports.at(0).outcomes));
    CHECK(driver.reports.at(0).ended_attempts == std::vector<std::uint32_t>{job.attempt});
}

TEST_CASE("without room a message goes back as it was, and wanted() says so") {
    CoreDriver driver({.active_max = 2});
    CHECK(driver.core.wanted() == 2);
    driver.offer(1, {"a@a.example"});
    driver.offer(2, {"a@b.example"});
    CHECK(driver.core.wanted() == 0);
    const auto id = driver.offer(3, {"a@c.example"});
    REQUIRE(driver.parked.size() == 1);
    CHECK(driver.parked[0].id == id);
    CHECK(driver.parked[0].due <= driver.now.wall);
    driver.succeed(driver.running.begin()->first);
    CHECK(driver.core.wanted() == 1);
}

TEST_CASE("a message that is active already is not taken twice") {
    CoreDriver driver;
    driver.offer(1, {"a@a.example"});
    driver.offer(1, {"a@a.example"});
    CHECK(driver.running.size() == 1);
    REQUIRE(driver.parked.size() == 1);
    CHECK(driver.parked[0].due > driver.now.wall);
}

TEST_CASE("a destination that is down takes no attempts but one probe") {
    CoreDriver driver;
    bring_down(driver);
    driver.offer(1, {"a@a.example"});
    CHECK(driver.running.empty());
    REQUIRE(driver.parked.size() == 1);
    CHECK(driver.parked[0].due >= driver.now.wall + 1min);
    CHECK(driver.parked[0].due <= driver.now.wall + 2min);

    driver.pass(2min);
    driver.offer(2, {"a@a.example"});
    CHECK(driver.running.size() == 1);  // the probe
    driver.offer(3, {"a@a.example"});
    CHECK(driver.running.size() == 1);
    CHECK(driver.parked.size() == 2);

    driver.succeed(driver.running.begin()->first);
    driver.offer(4, {"a@a.example"});
    driver.offer(5, {"a@a.example"});
    CHECK(driver.running.size() == 2);
    CHECK(driver.core.counters().down == 0);
}

TEST_CASE("a new message is due later when all its destinations would put it off") {
    CoreDriver driver;
    bring_down(driver);
    auto message = driver.envelope(1, {"a@a.example"});
    message.due_at = driver.now.wall;
    const auto due = driver.core.first_due(message, driver.now);
    CHECK(due >= driver.now.wall + 1min);
    CHECK(due <= driver.now.wall + 2min);

    auto elsewhere = driver.envelope(2, {"a@a.example", "b@b.example"});
    elsewhere.due_at = driver.now.wall;
    CHECK(driver.core.first_due(elsewhere, driver.now) == driver.now.wall);
    auto warned = message;
    warned.warn_at = driver.now.wall + 30s;
    CHECK(driver.core.first_due(warned, driver.now) == warned.warn_at);

    message.due_at = due;
    driver.offer(message);
    CHECK(driver.running.empty());
    REQUIRE(driver.parked.size() == 1);
    CHECK(driver.parked[0].due == due);  // as it was: nothing is written
}

TEST_CASE("a new message is due later when its destination has its share") {
    CoreDriver driver({.active_max = 10});
    for (std::uint32_t i = 0; i < 5; ++i) driver.offer(i, {"a@a.example"});
    auto message = driver.envelope(5, {"a@a.example"});
    message.due_at = driver.now.wall;
    CHECK(driver.core.first_due(message, driver.now) > driver.now.wall);
    driver.succeed(driver.running.begin()->first);
    CHECK(driver.core.first_due(message, driver.now) == driver.now.wall);
}

TEST_CASE("a probe that fails closes the gate for longer") {
    CoreDriver driver;
    bring_down(driver);
    driver.pass(2min);
    driver.offer(1, {"a@a.example"});
    driver.fail(driver.running.begin()->first);
    driver.pass(80s);
    driver.offer(2, {"a@a.example"});
    CHECK(driver.running.empty());
    driver.pass(2min);
    driver.offer(3, {"a@a.example"});
    CHECK(driver.running.size() == 1);
}

TEST_CASE("a probe that is withdrawn leaves the gate to the next message") {
    CoreDriver driver({.connections_max = 1});
    driver.offer(50, {"a@other.example"});  // takes the only connection
    auto down = driver.core.counters().down;
    REQUIRE(down == 0);
    driver.succeed(driver.running.begin()->first);
    driver.gone(driver.workers.begin()->first);
    for (std::uint32_t i = 0; i < Congestion::failures_before_down; ++i) {
        driver.offer(1000 + i, {"x@a.example"});
        driver.fail(driver.running.begin()->first);
    }
    driver.pass(2min);
    driver.offer(51, {"a@other.example"});
    const auto probe = driver.offer(1, {"a@a.example"});  // waits for the connection
    driver.call(
        [&](Effects& out) { driver.core.forget(probe, Withdrawal::removed, driver.now, out); });
    const auto next = driver.offer(2, {"a@a.example"});
    driver.succeed(driver.running.begin()->first);
    driver.leave();
    REQUIRE(driver.running.size() == 1);
    CHECK(driver.running.begin()->second.id == next);
}

TEST_CASE("what waits when a destination goes down is parked without an attempt") {
    CoreDriver driver;
    for (std::uint32_t i = 0; i < 50; ++i) driver.offer(i, {"a@a.example"});
    CHECK(driver.running.size() == 5);
    for (int i = 0; i < 3; ++i) driver.fail(driver.running.begin()->first);
    CHECK(driver.running.size() == 2);  // under way still; nothing new begins
    CHECK(driver.parked.size() == 45);
    CHECK(driver.reports.size() == 3);
    while (!driver.running.empty()) driver.fail(driver.running.begin()->first);
    CHECK(driver.reports.size() == 5);
    CHECK(driver.core.counters().active == 0);
    CHECK(driver.core.counters().workers == 0);
}

TEST_CASE("a message of many jobs at a destination that goes down ends once") {
    CoreDriver driver;
    driver.offer(1, many_at("a.example", 2000));
    driver.offer(2, {"a@a.example"});
    driver.offer(3, {"a@a.example"});
    while (!driver.running.empty()) driver.fail(driver.running.begin()->first);
    CHECK(driver.reports.size() == 1);
    CHECK(driver.parked.size() == 2);
    CHECK(driver.core.counters().active == 0);
    CHECK(driver.core.counters().waiting == 0);
}

TEST_CASE("recipients elsewhere are served while one destination is down") {
    CoreDriver driver;
    bring_down(driver);
    driver.offer(1, {"a@a.example", "b@b.example"});
    REQUIRE(driver.running.size() == 1);
    driver.succeed(driver.running.begin()->first);
    REQUIRE(driver.reports.size() == 1);
    CHECK(driver.reports[0].outcomes.size() == 1);
    CHECK(driver.reports[0].next_due >= driver.now.wall + 1min);
    CHECK(driver.reports[0].next_due <= driver.now.wall + 2min);
}

TEST_CASE("a sender hears in time, though the destination is down") {
    CoreDriver driver;
    bring_down(driver);
    auto message = CoreDriver::envelope(1, {"a@a.example"});
    SUBCASE("that the message is late") {
        message.warn_at = driver.now.wall;
    }
    SUBCASE("that the message expired") {
        message.expires_at = driver.now.wall;
    }
    driver.offer(message);
    CHECK(driver.parked.empty());
    REQUIRE(driver.reports.size() == 1);
    const auto& outcome = driver.reports[0].outcomes.at(0);
    CHECK(outcome.kind == OutcomeKind::deferred);
    CHECK(outcome.status.reply.code == 0);
    CHECK(outcome.status.reply.enhanced == EnhancedCode{4, 4, 1});
    CHECK(outcome.status.reply.text == "destination is down: said mx:a.example");
    CHECK(driver.reports[0].ended_attempts.empty());
}

TEST_CASE("a parked message is back when its sender must be told") {
    CoreDriver driver;
    bring_down(driver);
    auto message = CoreDriver::envelope(1, {"a@a.example"});
    message.warn_at = driver.now.wall + 10s;
    driver.offer(message);
    CHECK(driver.parked.at(0).due == message.warn_at);
}

TEST_CASE("an operator's flush tries destinations that are down") {
    CoreDriver driver;
    bring_down(driver);
    driver.call([&](Effects& out) { driver.core.revive(driver.now, out); });
    driver.offer(1, {"a@a.example"});
    CHECK(driver.running.size() == 1);
}

TEST_CASE("a removed message is forgotten") {
    CoreDriver driver({.connections_max = 1});
    const auto running = driver.offer(1, {"a@a.example", "b@b.example"});
    const auto waiting = driver.offer(2, {"a@a.example", "b@b.example"});
    const auto forget = [&](QueueId id, Withdrawal why) {
        driver.call([&](Effects& out) { driver.core.forget(id, why, driver.now, out); });
    };
    forget(waiting, Withdrawal::removed);
    CHECK(driver.core.counters().active == 1);
    CHECK(driver.parked.empty());
    forget(running, Withdrawal::removed);
    CHECK(driver.core.counters().active == 1);  // one job runs
    driver.end(driver.running.begin()->first, OutcomeKind::deferred);
    REQUIRE(driver.reports.size() == 1);
    CHECK(driver.reports[0].envelope.id == running);
    CHECK(driver.reports[0].outcomes.size() == 1);
    CHECK(driver.running.empty());
    forget(running, Withdrawal::removed);  // nothing is known of it
}

TEST_CASE("a held message goes back to the queue") {
    CoreDriver driver({.connections_max = 1});
    driver.offer(1, {"a@a.example"});
    const auto id = driver.offer(2, {"a@a.example"});
    driver.call([&](Effects& out) { driver.core.forget(id, Withdrawal::held, driver.now, out); });
    REQUIRE(driver.parked.size() == 1);
    CHECK(driver.parked[0].id == id);
}

TEST_CASE("after stop nothing begins, and everything comes back") {
    CoreDriver driver({.connections_max = 2});
    for (std::uint32_t i = 0; i < 10; ++i) driver.offer(i, {"a@a.example", "b@b.example"});
    driver.offer(10, {"a@c.example"});
    CHECK(driver.running.size() == 2);
    driver.call([&](Effects& out) { driver.core.stop(driver.now, out); });
    CHECK(driver.core.wanted() == 0);
    CHECK(driver.parked.size() == 10);
    CHECK_FALSE(driver.core.drained());
    driver.offer(99, {"a@a.example"});
    CHECK(driver.parked.size() == 11);
    for (const auto& park : driver.parked) CHECK(park.due <= driver.now.wall);
    while (!driver.running.empty()) driver.succeed(driver.running.begin()->first);
    CHECK(driver.reports.size() == 1);
    CHECK(driver.core.drained());
    CHECK(driver.dismissed.size() == 2);
    driver.leave();
    CHECK(driver.core.counters().workers == 0);
}

TEST_CASE("routes may change while mail is under way") {
    CoreDriver driver;
    driver.offer(1, {"a@a.example"});
    RouteTable routes;
    RouteTable::Problems problems;
    routes.add({"a.example", "smtp:[relay]:2525"}, "", 0, problems);
    driver.core.set_routes(std::move(routes));
    driver.offer(2, {"a@a.example"});
    CHECK(driver.busy("mx:a.example").size() == 1);
    CHECK(driver.busy("smtp:[relay]:2525").size() == 1);
}
