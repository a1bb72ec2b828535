// Awaiting a call that answers through a Completion.
//
//   auto id = co_await completed<QueueId>([&](Completion<QueueId> done) {
//       home.post([&, done = std::move(done)]() mutable { queue.begin(size, std::move(done)); });
//   });
//
// Contract  `start` runs at once on the caller's thread; the completion may be called on any
//           thread, once, and the coroutine resumes on its own executor. The call cannot be
//           cancelled: what it refers to must outlive it. A completion that is dropped uncalled
//           hangs its caller: contracts of the ports promise that it is called.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "proto/types/executor.h"
#include "proto/types/result.h"

namespace posthorse::runtime {

namespace asio = boost::asio;

template <class T, class Start>
asio::awaitable<Result<T>> completed(Start start) {
    auto initiate = [](auto handler, Start begin) {
        auto executor = asio::get_associated_executor(handler);
        auto work = asio::make_work_guard(executor);
        begin(Completion<T>([handler = std::move(handler), work = std::move(work),
                             executor](Result<T> result) mutable {
            asio::post(executor,
                       [handler = std::move(handler), result = std::move(result)]() mutable {
                           std::move(handler)(std::move(result));
                       });
            work.reset();
        }));
    };
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<T>)>(
        initiate, asio::use_awaitable, std::move(start));
}

// The same for a call that must be made on another executor: `call(done)` runs there.
template <class T, class Call>
asio::awaitable<Result<T>> completed_on(Executor& there, Call call) {
    auto start = [&there, call = std::move(call)](Completion<T> done) mutable {
        there.post(
            [call = std::move(call), done = std::move(done)]() mutable { call(std::move(done)); });
    };
    return completed<T>(std::move(start));
}

}  // namespace posthorse::runtime
