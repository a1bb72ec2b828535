// What the pool knows of messages whose ids come from elsewhere: are they in its queue?
//
// Place     aside_calls.h asks it about messages that were set aside.
// Contract  Owners are asked for many at once; ids whose partition the pool has no more are `gone`
//           without a question. Completes with an answer for every id.
// Owner     Home executor.
// Bounds    node_act_ids_max ids a question, all asked side by side.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/admin/pool_queue.h"
#include "posthorse/v1/admin.pb.h"

namespace posthorse::admin {

struct Presence {
    v1::PoolPresence presence = v1::POOL_PRESENCE_UNKNOWN;
    std::string detail = {};  // why it is unknown
};
using Presences = std::map<QueueId, Presence>;

void ask_presence(const PoolQueue& queue,
                  const std::vector<QueueId>& ids,
                  Duration patience,
                  UniqueFunction<void(Presences)> done);

}  // namespace posthorse::admin
