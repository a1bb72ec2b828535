#include "daemon/runtime/deadline.h"

#include <algorithm>
#include <utility>

#include <boost/asio/steady_timer.hpp>

namespace posthorse::runtime {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using clock = asio::steady_timer::clock_type;

struct Deadline::State {
    explicit State(tcp::socket& watched) : socket(&watched), timer(watched.get_executor()) {}

    tcp::socket* socket;  // null: the deadline is no more
    asio::steady_timer timer;
    clock::time_point ends;   // of the operation
    clock::time_point wakes;  // while it waits
    bool waits = false;
    bool under_way = false;
    bool timed_out = false;
};

Deadline::Deadline(tcp::socket& socket) : state_(std::make_shared<State>(socket)) {}

Deadline::~Deadline() {
    state_->socket = nullptr;
    state_->timer.cancel();
}

void Deadline::begin(Duration duration) {
    state_->timed_out = false;
    state_->under_way = true;
    state_->ends = clock::now() + duration;
    watch(state_);
}

void Deadline::shorten(Duration duration) {
    state_->ends = std::min(state_->ends, clock::now() + duration);
    if (state_->under_way) watch(state_);
}

bool Deadline::end() {
    state_->under_way = false;
    return state_->timed_out;
}

void Deadline::watch(const std::shared_ptr<State>& state) {
    if (state->waits && state->wakes <= state->ends) return;
    state->waits = true;
    state->wakes = state->ends;
    state->timer.expires_at(state->wakes);  // an earlier wait ends
    state->timer.async_wait([state](const boost::system::error_code& code) {
        if (code || state->socket == nullptr) return;
        state->waits = false;
        if (!state->under_way) return;
        if (clock::now() < state->ends) return watch(state);
        state->timed_out = true;
        boost::system::error_code ignored;
        state->socket->cancel(ignored);
    });
}

}  // namespace posthorse::runtime
