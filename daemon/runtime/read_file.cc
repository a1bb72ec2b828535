#include "daemon/runtime/read_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace posthorse::runtime {

Result<std::string> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    // Copying nothing would set the fail bit, as an error does.
    const bool empty = !file || file.peek() == std::ifstream::traits_type::eof();
    if (!empty) text << file.rdbuf();
    if (!file || !text) return Error{Errc::io, std::strerror(errno)};
    return text.str();
}

}  // namespace posthorse::runtime
