#include "storage/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace posthorse::storage {

Error os_error(const std::string& path, const char* doing) {
    return {Errc::io, path + ": cannot " + doing + ": " + std::generic_category().message(errno)};
}

Descriptor::~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
}

Result<void> write_synced(const Descriptor& file,
                          std::string_view octets,
                          const std::string& path) {
    while (!octets.empty()) {
        const auto count = ::write(file.get(), octets.data(), octets.size());
        if (count < 0 && errno != EINTR) return os_error(path, "write");
        if (count > 0) octets.remove_prefix(static_cast<std::size_t>(count));
    }
    if (::fsync(file.get()) != 0) return os_error(path, "sync");
    return {};
}

Result<void> sync_directory(const std::string& path) {
    const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.get()) != 0) return os_error(path, "sync");
    return {};
}

}  // namespace posthorse::storage
