// A small file as a text: certificates, keys, tables, credentials.
//
// Contract  Blocks. An empty file is an empty text.
// Errors    io; `what` is the system's reason alone ("Permission denied"): the caller says which
//           file it is, of which setting, and what to do.
#pragma once

#include <string>

#include "proto/types/result.h"

namespace posthorse::runtime {

Result<std::string> read_file(const std::string& path);

}  // namespace posthorse::runtime
