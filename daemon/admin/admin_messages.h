// What the admin API answers, as messages of posthorse/v1/admin.proto. Pure.
//
// Place     admin_calls.h and admin_service.h fill their responses with it. The way in is
//           admin_requests.h.
// Contract  Every text that a stranger sent leaves as printable ASCII: proto3 strings must be
//           UTF-8, and operators read them on terminals.
#pragma once

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

// "remove", for logs.
const char* name_of(v1::Action action);

}  // namespace posthorse::admin
