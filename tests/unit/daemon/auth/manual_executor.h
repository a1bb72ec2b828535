// An event loop that the test turns by hand.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>

#include "proto/types/executor.h"

namespace posthorse::auth {

class ManualExecutor final : public Executor {
public:
    void post(UniqueFunction<void()> work) override {
        const std::lock_guard lock(mutex_);  // also while it rings: who hears it may end this
        work_.push_back(std::move(work));
        posted_.notify_one();
    }
    // Waits for the next piece of work and runs it here.
    void run_one() {
        UniqueFunction<void()> work;
        {
            std::unique_lock lock(mutex_);
            posted_.wait(lock, [this] { return !work_.empty(); });
            work = std::move(work_.front());
            work_.pop_front();
        }
        work();
    }

private:
    std::mutex mutex_;
    std::condition_variable posted_;
    std::deque<UniqueFunction<void()>> work_;
};

}  // namespace posthorse::auth
