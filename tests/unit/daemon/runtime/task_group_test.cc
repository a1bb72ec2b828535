#include "daemon/runtime/task_group.h"

#include <doctest/doctest.h>

#include <stdexcept>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/runtime/await.h"
#include "tests/unit/support/running_shard.h"

using namespace posthorse;
using namespace posthorse::runtime;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> waits_for_ever(Shard& shard) {
    asio::steady_timer timer(shard.context(), asio::steady_timer::time_point::max());
    co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> throws() {
    throw std::runtime_error("a task's fault");
    co_return;
}

asio::awaitable<void> cancel_and_join(Shard& shard) {
    TaskGroup group(shard);
    for (int i = 0; i < 3; ++i) group.spawn(waits_for_ever(shard));
    CHECK(group.size() == 3);
    group.cancel();
    co_await group.join();
    CHECK(group.empty());
}

asio::awaitable<void> one_fault_among_others(Shard& shard) {
    TaskGroup group(shard);
    group.spawn(waits_for_ever(shard));
    group.spawn(throws());
    co_await asio::post(shard.context(), asio::use_awaitable);
    CHECK(group.size() == 1);
    group.cancel();
    co_await group.join();
}

asio::awaitable<void> answers_from_elsewhere(Executor& there, bool& on_home, Shard& home) {
    const auto answer = co_await completed_on<int>(there, [](Completion<int> done) { done(42); });
    CHECK(answer.value() == 42);
    on_home = home.here();
    const auto failure = co_await completed<int>(
        [](Completion<int> done) { done(Error{Errc::not_found, "nothing"}); });
    CHECK(failure.error().code == Errc::not_found);
}

}  // namespace

TEST_CASE("cancel ends every task, join waits for them") {
    RunningShard shard;
    shard.run(cancel_and_join(shard.get()));
}

TEST_CASE("a task that throws takes no other with it") {
    RunningShard shard;
    shard.run(one_fault_among_others(shard.get()));
}

TEST_CASE("an answer given on another shard resumes the coroutine on its own") {
    RunningShard home;
    RunningShard other;
    bool on_home = false;
    home.run(answers_from_elsewhere(other.get(), on_home, home.get()));
    CHECK(on_home);
}
