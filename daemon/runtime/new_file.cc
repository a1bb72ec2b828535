#include "daemon/runtime/new_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace posthorse::runtime {
namespace {

Error io_error(const std::string& path) {
    return {Errc::io, "cannot write '" + path + "': " + std::strerror(errno)};
}

}  // namespace

Result<void> write_new_file(const NewFile& file) {
    const auto& [path, content, mode] = file;
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 && errno == EEXIST) {
        return Error{Errc::conflict, "'" + path + "' is there already and may be in use"};
    }
    if (fd < 0) return io_error(path);
    const bool written =
        write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
        fsync(fd) == 0;
    const auto error = io_error(path);
    close(fd);
    if (written) return {};
    unlink(path.c_str());
    return error;
}

}  // namespace posthorse::runtime
