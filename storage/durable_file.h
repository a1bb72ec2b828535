// Files whose content and names must survive a power loss: the few calls that it takes.
//
// Place     Under replication/edge/control_disk.h and daemon/aside/, which keep small files beside
//           the queue's database.
// Owner     Any one thread for one file. All calls block.
// Errors    io: `what` names the path and what could not be done.
#pragma once

#include <string>
#include <string_view>

#include "proto/types/result.h"

namespace posthorse::storage {

// Says why the last call of the system failed: errno.
Error os_error(const std::string& path, const char* doing);

// A file descriptor that closes itself.
class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor();
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    const int fd_;
};

// All of it is on the disk when this returns; the file's name may not be.
Result<void> write_synced(const Descriptor& file, std::string_view octets, const std::string& path);
// The names in it are.
Result<void> sync_directory(const std::string& path);

}  // namespace posthorse::storage
