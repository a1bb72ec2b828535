#include "storage/worker.h"

#include <pthread.h>

#include <utility>

namespace posthorse::storage {

ThreadWorker::ThreadWorker(std::string name)
    : thread_([this, name = std::move(name)] { run(name); }) {}

ThreadWorker::~ThreadWorker() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void ThreadWorker::post(UniqueFunction<void()> work) {
    {
        const std::lock_guard lock(mutex_);
        work_.push_back(std::move(work));
    }
    wake_.notify_one();
}

void ThreadWorker::run(const std::string& name) {
    pthread_setname_np(pthread_self(), name.c_str());
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [&] { return stopping_ || !work_.empty(); });
        if (work_.empty()) return;
        UniqueFunction<void()> work = std::move(work_.front());
        work_.pop_front();
        lock.unlock();
        work();
        work = {};
        lock.lock();
    }
}

BorrowedWorker::BorrowedWorker(Executor& executor) : executor_(executor) {}

BorrowedWorker::~BorrowedWorker() {
    while (!work_->empty()) {
        UniqueFunction<void()> work = std::move(work_->front());
        work_->pop_front();
        work();
    }
}

void BorrowedWorker::post(UniqueFunction<void()> work) {
    work_->push_back(std::move(work));
    executor_.post([queue = std::weak_ptr<Queue>(work_)] {
        const std::shared_ptr<Queue> alive = queue.lock();
        if (alive == nullptr || alive->empty()) return;
        UniqueFunction<void()> work = std::move(alive->front());
        alive->pop_front();
        work();
    });
}

}  // namespace posthorse::storage
