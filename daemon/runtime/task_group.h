// The only place that starts coroutines, and the place that waits for them.
//
// Place     Every stage of the daemon that runs coroutines owns a group; tests/lint refuses
//           co_spawn anywhere else.
// Contract  Every task that was spawned has ended before the group may be destroyed: cancel() asks
//           all of them to end, join() waits. Cancellation arrives at a task as an aborted
//           operation at its next suspension. A task that throws is logged as a bug's trace; it
//           never takes the others with it.
// Owner     One shard; every call is made on its thread.
#pragma once

#include <list>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include "daemon/runtime/shard.h"
#include "proto/types/result.h"

namespace posthorse::runtime {

class TaskGroup {
public:
    explicit TaskGroup(Shard& shard);
    ~TaskGroup();  // requires empty()
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;

    void spawn(asio::awaitable<void> task);
    void cancel();
    // Calls back once the last task has ended, from the shard's loop.
    void when_empty(Completion<> done);
    asio::awaitable<void> join();

    std::size_t size() const noexcept { return tasks_.size(); }
    bool empty() const noexcept { return tasks_.empty(); }
    Shard& shard() noexcept { return shard_; }

private:
    struct Task {
        asio::cancellation_signal signal;
    };
    void ended(std::list<Task>::iterator task, std::exception_ptr failure);

    Shard& shard_;
    std::list<Task> tasks_;
    std::vector<Completion<>> waiting_;  // for the last task to end
};

}  // namespace posthorse::runtime
