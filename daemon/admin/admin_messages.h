// Between the project's values and the messages of posthorse/v1/admin.proto. Pure.
//
// Contract  Every text that a stranger sent leaves as printable ASCII (proto3 strings must be
// UTF-8,
//           and operators read them on terminals).
// Errors    Malformed input is Errc::invalid and names the field and the form it must have.
#pragma once

#include <span>

#include <grpcpp/support/status.h>

#include "daemon/admin/queue_filter.h"
#include "daemon/admin/queue_summary.h"
#include "posthorse/v1/admin.pb.h"
#include "proto/types/result.h"

namespace posthorse::admin {

grpc::Status to_status(const Error& error);

v1::Message to_message(const Envelope& envelope, bool delivering);
v1::ActResult to_act_result(QueueId id, const Result<void>& result);
v1::SummarizeResponse to_summary(const QueueSummary& summary, std::size_t domains);
google::protobuf::Timestamp to_timestamp(WallTime time);

Result<QueueId> parse_id(const std::string& text);
Result<QueueFilter> parse_filter(const v1::MessageFilter& filter);

// A request's count with its default: `given` must be 0 (the default) to `most`.
Result<std::size_t> parse_count(const char* field,
                                std::int32_t given,
                                std::size_t standard,
                                std::size_t most);

// What Act is about to do, checked.
struct ActOrder {
    v1::Action action = v1::ACTION_UNSPECIFIED;
    std::vector<QueueId> ids;  // empty: `filter` says
    QueueFilter filter;
    bool dry_run = false;
    std::string reason;
    std::string operator_name;
};
inline constexpr int act_ids_max = 1000;
Result<ActOrder> parse_act(const v1::ActRequest& request);

// "remove", for logs.
const char* name_of(v1::Action action);

}  // namespace posthorse::admin
