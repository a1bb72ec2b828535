// The part of the pool's queue that one node owns, as operators' calls see it: a port.
//
// Place     pool_queue.h hands the parts out. own_part.h is this node's, peer_parts.h makes those
//           of other nodes, node_queue_service.h lets other nodes ask this one.
// Contract  The requests are those of posthorse/v1/node_queue.proto, which says what each answers.
//           Each is one step of bounded work. A part that cannot be asked answers with an error:
//           `unknown` when a step that changes something may have happened.
// Owner     Home executor alone; answers come there, some before ask() returns.
#pragma once

#include "posthorse/v1/node_queue.pb.h"
#include "proto/types/result.h"

namespace posthorse::admin {

class QueuePart {
public:
    virtual ~QueuePart() = default;

    virtual void ask(v1::NodeListRequest request, Completion<v1::NodeListResponse> done) = 0;
    virtual void ask(v1::NodeSummarizeRequest request,
                     Completion<v1::NodeSummarizeResponse> done) = 0;
    virtual void ask(v1::NodeGetRequest request, Completion<v1::NodeGetResponse> done) = 0;
    virtual void ask(v1::NodeReadRequest request, Completion<v1::NodeReadResponse> done) = 0;
    virtual void ask(v1::NodeActRequest request, Completion<v1::NodeActResponse> done) = 0;
    virtual void ask(v1::NodeFlushRequest request, Completion<v1::NodeFlushResponse> done) = 0;
};

}  // namespace posthorse::admin
