#include "daemon/runtime/task_group.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "daemon/runtime/log.h"
#include "proto/types/assert.h"

namespace posthorse::runtime {

TaskGroup::TaskGroup(Shard& shard)
    : shard_(shard), emptied_(shard.context(), asio::steady_timer::time_point::max()) {}

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

asio::awaitable<void> TaskGroup::join() {
    while (!tasks_.empty()) {
        boost::system::error_code ignored;
        co_await emptied_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
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
    if (tasks_.empty()) emptied_.cancel();
}

}  // namespace posthorse::runtime
