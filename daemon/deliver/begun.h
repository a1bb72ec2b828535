// A call that begins now and whose answer is awaited later: read-ahead, and intents.
//
// Place     Under connection.h.
// Contract  `start` runs at once; its completion may be called on any thread, once. answer() may be
//           awaited once, on the shard; give_up(), there too, ends it as cancelled. Dropping the
//           object drops the answer.
// Owner     One coroutine of the shard.
#pragma once

#include <memory>
#include <optional>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/runtime/shard.h"
#include "proto/types/result.h"

namespace posthorse::deliver {

template <class T>
class Begun {
public:
    template <class Start>
    Begun(runtime::Shard& shard, Start start) : state_(std::make_shared<State>(shard)) {
        start(Completion<T>([state = state_, &shard](Result<T> result) mutable {
            shard.post([state = std::move(state), result = std::move(result)]() mutable {
                state->result = std::move(result);
                state->answered.cancel();
            });
        }));
    }

    runtime::asio::awaitable<Result<T>> answer() {
        const auto state = state_;
        if (!state->result && !state->given_up) {
            co_await state->answered.async_wait(
                runtime::asio::as_tuple(runtime::asio::use_awaitable));
        }
        if (!state->result) co_return Error{Errc::cancelled, "cancelled"};
        co_return std::move(*state->result);
    }
    void give_up() {
        state_->given_up = true;
        state_->answered.cancel();
    }

private:
    struct State {
        explicit State(runtime::Shard& shard)
            : answered(shard.context(), runtime::asio::steady_timer::time_point::max()) {}
        runtime::asio::steady_timer answered;  // never expires; cancelled by the answer
        std::optional<Result<T>> result;
        bool given_up = false;
    };
    std::shared_ptr<State> state_;
};

}  // namespace posthorse::deliver
