#include "tests/bench/group_commit.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace posthorse::bench {
namespace {

[[noreturn]] void end_process(const char* what) {
    std::perror(what);
    std::_Exit(1);
}

// A batch may be longer than the file, which then grows.
constexpr std::size_t file_bytes = 64 * 1024 * 1024;

void write_all(const Descriptor& file, std::size_t at, std::string_view octets) {
    while (!octets.empty()) {
        const ssize_t written =
            pwrite(file.get(), octets.data(), octets.size(), static_cast<off_t>(at));
        if (written <= 0) end_process("write");
        octets.remove_prefix(static_cast<std::size_t>(written));
        at += static_cast<std::size_t>(written);
    }
}

}  // namespace

GroupCommit::GroupCommit(const std::string& file, File kind)
    : file_(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)),
      kind_(kind),
      ready_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (!file_.open()) throw_errno(file);
    if (!ready_.open()) throw_errno("eventfd");
    if (kind == File::made) write_all(file_, 0, std::string(file_bytes, '\0'));
    if (fdatasync(file_.get()) != 0) throw_errno(file);
    thread_ = std::thread(&GroupCommit::run, this);
}

GroupCommit::~GroupCommit() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void GroupCommit::add(SinkSession* session, const std::string& body) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.octets.append(body);
        waiting_.sessions.push_back(session);
    }
    changed_.notify_one();
}

std::vector<SinkSession*> GroupCommit::take_done() {
    std::uint64_t count = 0;
    if (read(ready_.get(), &count, sizeof count) < 0) return {};
    const std::lock_guard lock(mutex_);
    return std::exchange(done_, {});
}

std::vector<float> GroupCommit::sync_times() {
    const std::lock_guard lock(mutex_);
    std::ranges::sort(sync_ms_);
    return sync_ms_;
}

void GroupCommit::keep(const std::string& octets) {
    if (kind_ == File::made && at_ + octets.size() > file_bytes) at_ = 0;
    write_all(file_, at_, octets);
    at_ += octets.size();
}

void GroupCommit::commit(const Batch& batch) {
    keep(batch.octets);
    const Instant began = std::chrono::steady_clock::now();
    if (fdatasync(file_.get()) != 0) end_process("fdatasync");
    const std::chrono::duration<float, std::milli> took = std::chrono::steady_clock::now() - began;
    {
        const std::lock_guard lock(mutex_);
        sync_ms_.push_back(took.count());
        done_.insert(done_.end(), batch.sessions.begin(), batch.sessions.end());
    }
    const std::uint64_t one = 1;
    if (write(ready_.get(), &one, sizeof one) < 0) end_process("eventfd");
}

void GroupCommit::run() {
    Batch batch;
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return ending_ || !waiting_.sessions.empty(); });
        if (ending_) return;
        batch.octets.clear();
        batch.sessions.clear();
        std::swap(batch, waiting_);  // both keep their memory
        lock.unlock();
        commit(batch);
        lock.lock();
    }
}

}  // namespace posthorse::bench
