// An executor that runs nothing until the test says so.
#pragma once

#include <deque>

#include "proto/types/executor.h"

namespace posthorse::tests {

class ManualExecutor final : public Executor {
public:
    void post(UniqueFunction<void()> work) override { work_.push_back(std::move(work)); }

    // One piece of work; false when there is none.
    bool step() {
        if (work_.empty()) return false;
        auto work = std::move(work_.front());
        work_.pop_front();
        work();
        return true;
    }
    // Until nothing is left, what the work itself posts too.
    void run() {
        while (step()) {
        }
    }

private:
    std::deque<UniqueFunction<void()>> work_;
};

}  // namespace posthorse::tests
