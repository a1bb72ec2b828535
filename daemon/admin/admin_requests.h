// What operators ask for, checked: from messages of admin.proto and node_queue.proto to values.
// Pure.
//
// Errors    Malformed input is Errc::invalid and names the field and the form it must have.
#pragma once

#include <string>
#include <vector>

#include "daemon/admin/queue_filter.h"
#include "posthorse/v1/admin.pb.h"
#include "posthorse/v1/node_queue.pb.h"
#include "proto/types/result.h"

namespace posthorse::admin {

Result<QueueId> parse_id(const std::string& text);
// Each once, in their order; `most` at most, and not none.
Result<std::vector<QueueId>> parse_ids(const v1::QueueIds& ids, int most);
// Where a walk begins; empty: before every message.
Result<QueueId> parse_after(const char* field, const std::string& text);
// For logs.
std::string parse_operator(const std::string& name);
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
inline constexpr int node_act_ids_max = 100;
Result<ActOrder> parse_act(const v1::NodeActRequest& request);

}  // namespace posthorse::admin
