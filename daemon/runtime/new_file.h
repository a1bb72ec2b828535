// Writes a file that was not there before: keys and certificates, never over those in use.
//
// Contract  The file has `mode` from its first moment, and its content is synced when this returns.
// Errors    conflict: `path` is there already. io: the rest; then there is no file.
#pragma once

#include <sys/types.h>

#include <string>

#include "proto/types/result.h"

namespace posthorse::runtime {

struct NewFile {
    std::string path;
    std::string content;
    mode_t mode = 0600;
};
Result<void> write_new_file(const NewFile& file);

}  // namespace posthorse::runtime
