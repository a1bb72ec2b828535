#include "storage/disk_guard.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace posthorse::storage {

DiskGuard::DiskGuard(std::filesystem::path directory,
                     std::uint64_t floor_bytes,
                     Probe probe,
                     const Clock* clock)
    : directory_(std::move(directory)),
      ballast_(directory_ / "ballast"),
      floor_bytes_(floor_bytes),
      ballast_bytes_(std::min(floor_bytes / 4, ballast_bytes_max)),
      probe_(std::move(probe)),
      clock_(clock) {}

Result<void> DiskGuard::prepare() {
    std::error_code ignored;
    has_ballast_ = std::filesystem::exists(ballast_, ignored);
    adjust();
    const std::uint64_t free = free_bytes();
    if (free >= ballast_bytes_ / 4) return {};
    return Error{Errc::full, directory_.string() + ": " + std::to_string(free) +
                                 " bytes are free, too few to open the queue: free some there"};
}

void DiskGuard::adjust() {
    const std::uint64_t free = free_bytes();
    if (has_ballast_ && free < floor_bytes_ / 4) drop_ballast();
    if (!has_ballast_ && ballast_bytes_ > 0 && free / 2 >= floor_bytes_) make_ballast();
}

std::uint64_t DiskGuard::free_bytes() const {
    if (probe_) return probe_();
    if (clock_ == nullptr) return measure();
    const auto now = clock_->boot();
    if (now < measured_until_.load(std::memory_order_acquire)) return measured_bytes_;
    const auto free = measure();
    measured_bytes_ = free;
    measured_until_.store(now + measured_for, std::memory_order_release);
    return free;
}

// What cannot be measured is taken as empty: a guard that is blind must not stop the mail.
std::uint64_t DiskGuard::measure() const {
    struct statvfs disk{};
    if (::statvfs(directory_.c_str(), &disk) != 0) return UINT64_MAX;
    return static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
}

void DiskGuard::make_ballast() {
    const int file = ::open(ballast_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0) return;
    const bool made = ::posix_fallocate(file, 0, static_cast<off_t>(ballast_bytes_)) == 0;
    ::close(file);
    measured_until_ = BootTime{};
    if (made)
        has_ballast_ = true;
    else
        drop_ballast();
}

void DiskGuard::drop_ballast() {
    std::error_code ignored;
    std::filesystem::remove(ballast_, ignored);
    measured_until_ = BootTime{};
    has_ballast_ = false;
}

}  // namespace posthorse::storage
