#include "storage/crc32c.h"

#include <limits>

#include <isa-l/crc.h>

namespace posthorse::storage {

std::uint32_t extend_crc32c(std::uint32_t crc, std::string_view bytes) {
    constexpr std::size_t most = std::numeric_limits<int>::max();
    std::uint32_t state = ~crc;
    while (!bytes.empty()) {
        const auto part = bytes.substr(0, most);
        // It does not write; its header is older than const.
        auto* octets = reinterpret_cast<unsigned char*>(const_cast<char*>(part.data()));
        state = crc32_iscsi(octets, static_cast<int>(part.size()), state);
        bytes.remove_prefix(part.size());
    }
    return ~state;
}

}  // namespace posthorse::storage
