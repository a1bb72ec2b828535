// One event loop on one thread. An object that lives on a shard is touched by that thread alone.
//
// Place     Made by node.cc, as many as cores; shard 0 is home to the queue and the scheduler.
// Contract  post() runs work in order of the posts of one thread. stop() lets the handler that runs
//           finish and drops the rest; whatever must end well is joined before (task_group.h).
// Owner     node.cc. start() once, stop() once; the destructor joins the thread.
#pragma once

#include <string>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "proto/types/executor.h"

namespace posthorse::runtime {

namespace asio = boost::asio;

class Shard final : public Executor {
public:
    explicit Shard(unsigned index);
    ~Shard() override;
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    void start();
    void stop();

    void post(UniqueFunction<void()> work) override;

    asio::io_context& context() noexcept { return context_; }
    unsigned index() const noexcept { return index_; }
    // True on the shard's own thread.
    bool here() const noexcept { return std::this_thread::get_id() == thread_.get_id(); }

private:
    unsigned index_;
    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    std::thread thread_;
};

}  // namespace posthorse::runtime
