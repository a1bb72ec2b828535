// Any message of admin.proto as one line of JSON, for scripts.
//
// Contract  Every field is there under its name in the .proto, unset ones too (null for a message
//           that is absent), so that a script need not ask. Unlike protobuf's own JSON, 64-bit
//           counts are numbers, and enumerators are short and in lower case ("deferred").
//           Timestamps are ISO 8601 in UTC, durations seconds with an "s".
#pragma once

#include <string>

#include <google/protobuf/message.h>

namespace posthorse::admin {

// Without a line end.
std::string to_json(const google::protobuf::Message& message);

}  // namespace posthorse::admin
