// The part of the queue that this node owns.
//
// Place     One of the parts of queue_part.h. Operators of this node and of others come here: what
//           is changed is audited here.
// Contract  As node_queue.proto says; the requests' callers have been checked, nothing else has.
//           A message whose partition this node does not own, or has not taken up yet, is refused
//           as `unavailable`, also when there is a copy of it here.
// Owner     node.cc. Home executor; it and what it refers to outlive every answer.
// Bounds    See own_walk.h. A step acts on page_messages messages.
#pragma once

#include "daemon/admin/parts/own_walk.h"
#include "daemon/admin/parts/queue_part.h"

namespace posthorse::admin {

// Octets of messages in a step of a listing; one message more may go beyond.
inline constexpr std::size_t list_bytes_max = 1024 * 1024;
// Octets of a body in a step.
inline constexpr std::size_t read_bytes_max = 256 * 1024;

class OwnPart final : public QueuePart {
public:
    OwnPart(const Clock& clock, QueuePorts ports, PoolReader pool);

    void ask(v1::NodeListRequest request, Completion<v1::NodeListResponse> done) override;
    void ask(v1::NodeSummarizeRequest request, Completion<v1::NodeSummarizeResponse> done) override;
    void ask(v1::NodeGetRequest request, Completion<v1::NodeGetResponse> done) override;
    void ask(v1::NodeReadRequest request, Completion<v1::NodeReadResponse> done) override;
    void ask(v1::NodeActRequest request, Completion<v1::NodeActResponse> done) override;
    void ask(v1::NodeFlushRequest request, Completion<v1::NodeFlushResponse> done) override;

private:
    struct Acting;
    struct Flushing;

    void walk(QueueId after, OwnWalk::Visit visit, Completion<v1::Walked> done);
    Result<void> check_owned(QueueId id) const;
    Result<QueueId> find_id(const std::string& text) const;
    std::string asker(const v1::NodeCaller& caller) const;

    void act_on_named(std::shared_ptr<Acting> acting);
    void act_on_matching(std::shared_ptr<Acting> acting, QueueId after);
    void act(std::shared_ptr<Acting> acting);
    void act_on(QueueId id, std::shared_ptr<Acting> acting);
    void one_ended(Acting& acting, v1::ActResult result);
    void flush(std::shared_ptr<Flushing> flushing);
    void flushed(Flushing& flushing);

    const Clock& clock_;
    const QueuePorts ports_;
    const PoolReader pool_;
};

}  // namespace posthorse::admin
