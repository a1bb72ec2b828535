#include "daemon/schedule/destination_queues.h"

#include <algorithm>
#include <utility>

namespace posthorse::schedule {
namespace {

constexpr Duration remembered_for = std::chrono::minutes{5};

// Destinations that are down are probed sooner, and for longer, than a single message is retried.
RetryBounds down_bounds(const RetryBounds& retry) {
    return {std::min<Duration>(retry.retry_min, std::chrono::minutes{1}),
            std::min<Duration>(retry.retry_max, std::chrono::minutes{15})};
}

}  // namespace

DestinationQueue& DestinationQueues::of(const std::string& destination) {
    const auto found = queues_.find(destination);
    if (found != queues_.end()) return found->second;
    DestinationQueue queue{.name = destination,
                           .congestion = Congestion(window_max_, down_bounds(retry_))};
    return queues_.emplace(destination, std::move(queue)).first->second;
}

const DestinationQueue* DestinationQueues::find(const std::string& destination) const {
    const auto found = queues_.find(destination);
    return found == queues_.end() ? nullptr : &found->second;
}

// Puts the queue in the line that it belongs in; it keeps its place when that does not change.
void DestinationQueues::update(DestinationQueue& queue) {
    Line* wanted = nullptr;
    if (!queue.waiting.empty()) {
        if (queue.workers == 0) {
            wanted = &hungry_;
        } else if (!queue.idle.empty() || queue.workers < queue.congestion.window()) {
            wanted = &growing_;
        }
    }
    if (wanted == queue.line) return;
    if (queue.line != nullptr) queue.line->erase(queue.place);
    queue.line = wanted;
    if (wanted != nullptr) queue.place = wanted->insert(wanted->end(), &queue);
}

void DestinationQueues::let_rest(DestinationQueue& queue, BootTime now) {
    if (queue.workers > 0 || !queue.waiting.empty()) return;
    if (queue.rest) rested_.erase(*queue.rest);
    queue.rest.reset();
    if (queue.congestion.pristine()) {
        const auto name = queue.name;
        queues_.erase(name);
        return;
    }
    const auto until = std::max(now, queue.congestion.retry_at()) + remembered_for;
    queue.rest = rested_.emplace(until, &queue);
    if (rested_.size() > remembered_max) expire(rested_.begin()->first);
}

void DestinationQueues::expire(BootTime now) {
    while (!rested_.empty() && rested_.begin()->first <= now) {
        auto& queue = *rested_.begin()->second;
        rested_.erase(rested_.begin());
        queue.rest.reset();
        if (queue.workers > 0 || !queue.waiting.empty()) continue;
        const auto name = queue.name;
        queues_.erase(name);
    }
}

}  // namespace posthorse::schedule
