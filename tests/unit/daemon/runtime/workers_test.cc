#include "daemon/runtime/workers.h"

#include <doctest/doctest.h>

#include <atomic>
#include <future>

using namespace posthorse::runtime;

TEST_CASE("the destructor runs what was taken; a full queue refuses") {
    std::atomic<int> ran = 0;
    std::promise<void> gate;
    auto opened = gate.get_future().share();
    {
        Workers workers(1, 2, "test");
        std::promise<void> busy;
        CHECK(workers.submit([&] {
            busy.set_value();
            opened.wait();
            ++ran;
        }));
        busy.get_future().wait();
        CHECK(workers.submit([&] { ++ran; }));
        CHECK(workers.submit([&] { ++ran; }));
        CHECK_FALSE(workers.submit([&] { ++ran; }));
        gate.set_value();
    }
    CHECK(ran == 3);
}
