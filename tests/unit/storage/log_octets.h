// How much of a file is pages of the log whose name it has.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "storage/log_page.h"

namespace posthorse::storage {

inline std::uintmax_t log_octets(const std::filesystem::path& log) {
    std::ifstream file(log, std::ios::binary);
    std::string page(log_page_bytes, '\0');
    std::uintmax_t octets = 0;
    while (file.read(page.data(), static_cast<std::streamsize>(page.size())) &&
           read_log_page(page, std::stoull(log.stem())))
        octets += page.size();
    return octets;
}

}  // namespace posthorse::storage
