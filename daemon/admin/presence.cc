#include "daemon/admin/presence.h"

#include <memory>

#include "daemon/admin/admin_requests.h"

namespace posthorse::admin {
namespace {

struct Asking {
    Presences presences;
    std::size_t under_way = 1;  // one more than questions, until all are asked
    UniqueFunction<void(Presences)> done;

    void one_ended() {
        if (--under_way == 0) done(std::move(presences));
    }
};

struct Question {
    PoolQueue::Part part;
    std::vector<QueueId> ids;
};

Presence presence_of(const v1::ActResult& result) {
    switch (result.outcome()) {
        case v1::ActResult::OUTCOME_WOULD_ACT:
            return {v1::POOL_PRESENCE_QUEUED};
        case v1::ActResult::OUTCOME_NOT_FOUND:
            return {v1::POOL_PRESENCE_FINISHED};
        default:
            return {v1::POOL_PRESENCE_UNKNOWN, result.detail()};
    }
}

// What a former holder lacks its last one may have had.
bool is_unvouched(const replication::PoolState& pool, QueueId id) {
    const auto* partition = pool.find(id.partition());
    return partition != nullptr && partition->unvouched;
}

// Those that can be asked about, at most a request's worth a question; of the others it is said why
// not.
std::vector<Question> questions(const PoolQueue& queue,
                                const std::vector<QueueId>& ids,
                                Duration patience,
                                Presences& presences) {
    std::vector<Question> all;
    std::map<NodeId, std::size_t> newest;  // question to a node
    for (const auto id : ids) {
        if (is_unvouched(queue.pool(), id)) {
            presences[id] = {v1::POOL_PRESENCE_UNKNOWN,
                             "its partition went to former holders just now: try again"};
            continue;
        }
        auto part = queue.part_of(id, patience);
        if (!part) {
            const bool gone = part.error().code == Errc::not_found;
            presences[id] = gone ? Presence{v1::POOL_PRESENCE_GONE}
                                 : Presence{v1::POOL_PRESENCE_UNKNOWN, part.error().what};
            continue;
        }
        presences[id] = {v1::POOL_PRESENCE_UNKNOWN, part->title + " did not say"};
        const auto found = newest.find(part->node);
        if (found == newest.end() || all[found->second].ids.size() == node_act_ids_max) {
            newest[part->node] = all.size();
            all.push_back({std::move(*part), {id}});
        } else {
            all[found->second].ids.push_back(id);
        }
    }
    return all;
}

// What an action would find tells whether it is there; a dry run changes nothing.
v1::NodeActRequest request_for(const std::vector<QueueId>& ids) {
    v1::NodeActRequest request;
    request.set_action(v1::ACTION_REMOVE);
    request.set_dry_run(true);
    for (const auto id : ids) request.mutable_ids()->add_ids(id.to_string());
    return request;
}

void note(Asking& asking, const Question& question, const Result<v1::NodeActResponse>& answer) {
    if (!answer) {
        for (const auto id : question.ids)
            asking.presences[id].detail = question.part.title + ": " + answer.error().what;
        return;
    }
    for (const auto& result : answer->results()) {
        const auto id = QueueId::parse(result.id());
        if (id && asking.presences.contains(*id)) asking.presences[*id] = presence_of(result);
    }
}

}  // namespace

void ask_presence(const PoolQueue& queue,
                  const std::vector<QueueId>& ids,
                  Duration patience,
                  UniqueFunction<void(Presences)> done) {
    const auto asking = std::make_shared<Asking>();
    asking->done = std::move(done);
    for (const auto& question : questions(queue, ids, patience, asking->presences)) {
        ++asking->under_way;
        auto request = request_for(question.ids);
        question.part.ask(std::move(request),
                          [asking, question](Result<v1::NodeActResponse> answer) {
                              note(*asking, question, answer);
                              asking->one_ended();
                          });
    }
    asking->one_ended();
}

}  // namespace posthorse::admin
