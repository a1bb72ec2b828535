// The files of a RocksDB store, by what they hold.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/unit/storage/store_rigs.h"
#include "tests/unit/storage/store_session.h"

namespace posthorse::storage {

// Those with anything in them. While the store is open they come and go.
inline std::vector<std::filesystem::path> files(const RocksRig& rig, const std::string& extension) {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(rig.path()))
        if (entry.path().extension() == extension && entry.file_size() > 0)
            found.push_back(entry.path());
    std::ranges::sort(found);
    return found;
}

}  // namespace posthorse::storage
