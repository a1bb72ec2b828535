// Where the record store does its work: a thread of its own, or somebody's executor.
//
// Place     storage/record_store.h has one worker for writes, one for claims, one for reads. On
//           RocksDB they are threads; in tests and simulators they borrow the one executor, so
//           that the same code runs deterministically.
// Contract  Work runs in the order of the posts, never inside post(), one at a time. The
//           destructor returns when nothing posted is running or will run; what had not begun by
//           then is run by the destructor itself, so that no completion is lost.
// Owner     The record store. post() from any thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "proto/types/executor.h"

namespace posthorse::storage {

class Worker : public Executor {};

class ThreadWorker final : public Worker {
public:
    // `name` shows in debuggers and top: at most 15 characters.
    explicit ThreadWorker(std::string name);
    ~ThreadWorker() override;
    ThreadWorker(const ThreadWorker&) = delete;
    ThreadWorker& operator=(const ThreadWorker&) = delete;

    void post(UniqueFunction<void()> work) override;

private:
    void run(const std::string& name);

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<UniqueFunction<void()>> work_;
    bool stopping_ = false;
    std::thread thread_;  // last: begins when all else is there
};

// Single-threaded: post(), the executor and the destructor belong to one thread.
class BorrowedWorker final : public Worker {
public:
    // `executor` must outlive what is posted to it, not this object.
    explicit BorrowedWorker(Executor& executor);
    ~BorrowedWorker() override;
    BorrowedWorker(const BorrowedWorker&) = delete;
    BorrowedWorker& operator=(const BorrowedWorker&) = delete;

    void post(UniqueFunction<void()> work) override;

private:
    using Queue = std::deque<UniqueFunction<void()>>;

    Executor& executor_;
    // Posts on the executor outlive this object and then find nothing.
    std::shared_ptr<Queue> work_ = std::make_shared<Queue>();
};

}  // namespace posthorse::storage
