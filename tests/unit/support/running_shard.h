// A shard whose loop runs, and a way to run a coroutine on it and wait for its end.
#pragma once

#include <future>

#include "daemon/runtime/shard.h"
#include "daemon/runtime/task_group.h"

namespace posthorse::tests {

class RunningShard {
public:
    RunningShard() : shard_(0), tasks_(shard_) { shard_.start(); }
    ~RunningShard() {
        std::promise<void> empty;
        shard_.post([&] {
            tasks_.cancel();
            tasks_.when_empty([&](Result<void>) { empty.set_value(); });
        });
        empty.get_future().wait();
        shard_.stop();
    }

    runtime::Shard& get() { return shard_; }
    runtime::TaskGroup& tasks() { return tasks_; }

    // Runs `task` to its end.
    void run(boost::asio::awaitable<void> task) {
        std::promise<void> ended;
        shard_.post([&, work = std::move(task)]() mutable {
            tasks_.spawn(finish(std::move(work), ended));
        });
        ended.get_future().get();
    }

private:
    static boost::asio::awaitable<void> finish(boost::asio::awaitable<void> work,
                                               std::promise<void>& ended) {
        try {
            co_await std::move(work);
        } catch (...) {
            ended.set_exception(std::current_exception());
            co_return;
        }
        ended.set_value();
    }

    runtime::Shard shard_;
    runtime::TaskGroup tasks_;
};

}  // namespace posthorse::tests
