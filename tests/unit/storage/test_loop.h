// An executor that a test turns by hand, and a way to wait for completions on it.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "proto/types/executor.h"
#include "proto/types/result.h"
#include "tests/unit/storage/print_result.h"

namespace posthorse::storage {

class TestLoop final : public Executor {
public:
    void post(UniqueFunction<void()> work) override {
        const std::lock_guard lock(mutex_);
        work_.push_back(std::move(work));
        wake_.notify_one();
    }

    // Runs what is there; false when nothing was.
    bool run_one() {
        UniqueFunction<void()> work;
        {
            const std::lock_guard lock(mutex_);
            if (work_.empty()) return false;
            work = take();
        }
        work();
        return true;
    }
    void run_all() {
        while (run_one()) {
        }
    }

    // Waits for work of other threads, too. Nothing in a test takes a minute: then it hangs.
    template <class Condition>
    void run_until(Condition condition) {
        while (!condition()) {
            std::unique_lock lock(mutex_);
            const bool any =
                wake_.wait_for(lock, std::chrono::minutes{1}, [&] { return !work_.empty(); });
            REQUIRE_MESSAGE(any, "nothing happens any more, and the test waits");
            UniqueFunction<void()> work = take();
            lock.unlock();
            work();
        }
    }

    // Calls `begin` with a completion and waits for its result.
    template <class T = void, class Begin>
    Result<T> await(Begin begin) {
        std::optional<Result<T>> result;
        begin(Completion<T>([&](Result<T> given) { result = std::move(given); }));
        run_until([&] { return result.has_value(); });
        return *std::move(result);
    }

private:
    UniqueFunction<void()> take() {
        UniqueFunction<void()> work = std::move(work_.front());
        work_.pop_front();
        return work;
    }

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<UniqueFunction<void()>> work_;
};

}  // namespace posthorse::storage
