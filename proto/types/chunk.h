// A piece of a message body on its way to or from disks and peers: immutable and shared, so that
// the local store and every holder read the same bytes without a copy.
#pragma once

#include <memory>
#include <string>

namespace posthorse {

using Chunk = std::shared_ptr<const std::string>;

inline Chunk make_chunk(std::string bytes) {
    return std::make_shared<const std::string>(std::move(bytes));
}

}  // namespace posthorse
