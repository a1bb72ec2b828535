// What the admin commands print for people, as text. Pure.
//
// Contract  Columns are aligned with spaces; times are UTC in ISO 8601. Texts in the messages are
//           printable ASCII already (admin.proto).
#pragma once

#include <array>
#include <string>

#include "posthorse/v1/admin.pb.h"
#include "proto/types/time.h"

namespace posthorse::admin {

std::string format_time(const google::protobuf::Timestamp& time);  // "2026-11-22T02:25:41Z"
std::string format_age(Duration age);                              // "42s", "17m", "3h05m", "2d04h"
std::string format_size(std::uint64_t bytes);                      // "999", "4.1K", "12M"

// "2 nodes", "1 node".
std::string counted(std::uint64_t count, const char* noun);
// A line of a list of fields; nothing for an empty value.
std::string field(const char* name, const std::string& value);

// "deferred" for MESSAGE_STATE_DEFERRED: the value without the prefix that its enum gives it.
std::string short_name(const google::protobuf::EnumValueDescriptor& value);

// The queue as `mailq` users know it: one line a message and more for its further recipients.
class QueueTable {
public:
    explicit QueueTable(WallTime now) : now_(now) {}

    std::string header() const;
    // Only pending recipients are shown, each with what its last attempt met.
    std::string row(const v1::Message& message);
    // Counts what row() was given. `filtered` words an empty result.
    std::string footer(bool filtered) const;
    bool empty() const { return messages_ == 0; }

private:
    WallTime now_;
    std::uint64_t messages_ = 0;
    std::uint64_t bytes_ = 0;
    std::array<std::uint64_t, v1::MessageState_ARRAYSIZE> by_state_{};
};

std::string message_text(const v1::Message& message);
std::string summary_text(const v1::SummarizeResponse& summary);
std::string status_text(const v1::GetStatusResponse& status);
std::string act_result_text(v1::Action action, const v1::ActResult& result);
// Without a line end.
std::string missing_text(const v1::MissingPart& part);

}  // namespace posthorse::admin
