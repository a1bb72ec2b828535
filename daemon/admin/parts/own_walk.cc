#include "daemon/admin/parts/own_walk.h"

namespace posthorse::admin {

std::set<PartitionId> owned_partitions(const QueuePorts& queue, const PoolReader& pool) {
    std::set<PartitionId> owned;
    for (const auto& partition : pool.committed().partitions) {
        if (partition.owner == pool.self && queue.owns(partition.id)) owned.insert(partition.id);
    }
    return owned;
}

v1::Walked owned_still(const std::set<PartitionId>& before, const OwnWalk::Sources& sources) {
    v1::Walked walked;
    const auto now = owned_partitions(sources.queue, sources.pool);
    for (const auto& partition : before) {
        if (now.contains(partition)) walked.add_partitions(partition.value);
    }
    return walked;
}

OwnWalk::OwnWalk(const Sources& sources, QueueId after, Visit visit, Completion<v1::Walked> done)
    : sources_(sources),
      began_(sources.clock.boot()),
      after_(after),
      visit_(std::move(visit)),
      done_(std::move(done)),
      owned_(owned_partitions(sources.queue, sources.pool)) {}

void OwnWalk::start(const Sources& sources,
                    QueueId after,
                    Visit visit,
                    Completion<v1::Walked> done) {
    std::make_shared<OwnWalk>(sources, after, std::move(visit), std::move(done))->next_page();
}

void OwnWalk::next_page() {
    sources_.queue.list(after_, page_messages,
                        [self = shared_from_this()](Result<std::vector<Envelope>> page) {
                            if (!page) return self->done_(page.error());
                            self->look_at(*page);
                        });
}

void OwnWalk::look_at(const std::vector<Envelope>& page) {
    const bool last = page.size() < page_messages;
    for (const auto& envelope : page) {
        after_ = envelope.id;
        if (visit_(envelope) == Visited::go_on) continue;
        return end(last && &envelope == &page.back());
    }
    looked_at_ += page.size();
    if (last) return end(true);
    const bool long_enough = sources_.clock.boot() - began_ >= walk_time;
    if (looked_at_ >= walk_messages_max || long_enough) return end(false);
    next_page();
}

void OwnWalk::end(bool at_end) {
    auto walked = owned_still(owned_, sources_);
    if (!at_end) walked.set_to(after_.to_string());
    done_(std::move(walked));
}

}  // namespace posthorse::admin
