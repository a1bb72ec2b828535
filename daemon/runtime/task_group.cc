#include "daemon/runtime/task_group.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/system/system_error.hpp>

#include "daemon/runtime/await.h"
#include "daemon/runtime/log.h"
#include "proto/types/assert.h"

namespace posthorse::runtime {

TaskGroup::TaskGroup(Shard& shard) : shard_(shard) {}

TaskGroup::~TaskGroup() {
    PH_ASSERT(tasks_.empty());
}

void TaskGroup::spawn(asio::awaitable<void> task) {
    const auto entry = tasks_.emplace(tasks_.end());
    asio::co_spawn(shard_.context(), std::move(task),
                   asio::bind_cancellation_slot(
                       entry->signal.slot(),
                       [this, entry](std::exception_ptr failure) { ended(entry, failure); }));
}

void TaskGroup::cancel() {
    // A task may end inside emit() and leave the list: step before emitting.
    for (auto task = tasks_.begin(); task != tasks_.end();) {
        const auto current = task++;
        current->signal.emit(asio::cancellation_type::terminal);
    }
}

void TaskGroup::when_empty(Completion<> done) {
    if (!tasks_.empty()) return waiting_.push_back(std::move(done));
    shard_.post([done = std::move(done)]() mutable { done({}); });
}

asio::awaitable<void> TaskGroup::join() {
    co_await completed<void>([this](Completion<> done) { when_empty(std::move(done)); });
}

void TaskGroup::ended(std::list<Task>::iterator task, std::exception_ptr failure) {
    tasks_.erase(task);
    if (failure) {
        try {
            std::rethrow_exception(failure);
        } catch (const boost::system::system_error& error) {
            if (error.code() != asio::error::operation_aborted) {
                log::error("task_failed", {{"what", error.what()}});
            }
        } catch (const std::exception& error) {
            log::error("task_failed", {{"what", error.what()}});
        }
    }
    if (!tasks_.empty()) return;
    for (auto& done : std::exchange(waiting_, {})) when_empty(std::move(done));
}

}  // namespace posthorse::runtime
