// What the admin API answers, as messages of posthorse/v1/admin.proto. Pure.
//
// Place     admin_service.h, admin_calls.h and parts/own_part.h fill their responses with it. The
//           way in is admin_requests.h.
// Contract  Every text that a stranger sent leaves as printable ASCII: proto3 strings must be
//           UTF-8, and operators read them on terminals.
#pragma once

#include <grpcpp/support/status.h>

#include "daemon/admin/queue_filter.h"
#include "posthorse/v1/admin.pb.h"
#include "proto/types/result.h"
#include "replication/core/pool_state.h"
#include "storage/queue_summary.h"

namespace posthorse::admin {

grpc::Status to_status(const Error& error);

// `pool` tells the names of nodes.
v1::Message to_message(const Envelope& envelope,
                       bool delivering,
                       const replication::PoolState& pool);
// With its history.
v1::Message to_full_message(const Envelope& envelope,
                            bool delivering,
                            const replication::PoolState& pool);
v1::ActResult to_act_result(QueueId id, const Result<void>& result);
v1::DomainSummary to_row(const storage::SummaryRow& row);
storage::SummaryRow from_row(const v1::DomainSummary& row);
v1::SummarizeResponse to_summary(const storage::QueueSummary& summary, std::size_t domains);
google::protobuf::Timestamp to_timestamp(WallTime time);

// "remove", for logs.
const char* name_of(v1::Action action);

}  // namespace posthorse::admin
