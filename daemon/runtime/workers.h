// Threads for work that would hold up an event loop: signatures, mostly.
//
// Contract  submit() never blocks: it refuses when `queue_max` jobs wait. The destructor runs what
//           was taken and joins. Any thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "proto/types/function.h"

namespace posthorse::runtime {

class Workers {
public:
    Workers(unsigned threads, std::size_t queue_max, const char* name);
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    // False: the queue is full and `job` was not taken.
    bool submit(UniqueFunction<void()> job);

private:
    void run();

    std::size_t queue_max_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<UniqueFunction<void()>> jobs_;  // mutex_
    bool stopping_ = false;                    // mutex_
    std::vector<std::thread> threads_;
};

}  // namespace posthorse::runtime
