// Awaiting a while: for delays that are owed to a peer, never for something to happen.
//
// Contract  Ends early, without an error, only with the task.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "proto/types/time.h"

namespace posthorse::runtime {

inline boost::asio::awaitable<void> pause(Duration duration) {
    namespace asio = boost::asio;
    asio::steady_timer timer(co_await asio::this_coro::executor, duration);
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

}  // namespace posthorse::runtime
