#include "daemon/admin/parts/own_part.h"

#include <algorithm>

#include "daemon/admin/admin_messages.h"
#include "daemon/admin/admin_requests.h"
#include "daemon/admin/member_name.h"
#include "daemon/admin/parts/own_summary.h"

namespace posthorse::admin {
namespace {

using Visited = OwnWalk::Visited;

// A step of a summary ends at a page that brings it here, and counts further domains as others: so
// the answer stays below what a peer takes, however long the names are.
constexpr std::size_t step_domains = 4000;
constexpr std::size_t step_domains_max = 8000;

}  // namespace

OwnPart::OwnPart(const Clock& clock, QueuePorts ports, PoolReader pool)
    : clock_(clock), ports_(std::move(ports)), pool_(std::move(pool)) {}

void OwnPart::walk(QueueId after, OwnWalk::Visit visit, Completion<v1::Walked> done) {
    OwnWalk::start({clock_, ports_, pool_}, after, std::move(visit), std::move(done));
}

Result<void> OwnPart::check_owned(QueueId id) const {
    const auto* partition = pool_.committed().find(id.partition());
    const bool ours = partition != nullptr && partition->owner == pool_.self;
    if (ours && ports_.owns(partition->id)) return {};
    return Error{Errc::unavailable, "partition " + std::to_string(id.partition().value) +
                                        " is just changing its owner: try again"};
}

// Of a message that may be shown.
Result<QueueId> OwnPart::find_id(const std::string& text) const {
    const auto id = parse_id(text);
    if (!id) return id.error();
    if (auto owned = check_owned(*id); !owned) return owned.error();
    return *id;
}

// --- List

void OwnPart::ask(v1::NodeListRequest request, Completion<v1::NodeListResponse> done) {
    auto filter = parse_filter(request.filter());
    if (!filter) return done(filter.error());
    const auto after = parse_after("after", request.after());
    if (!after) return done(after.error());
    const auto response = std::make_shared<v1::NodeListResponse>();
    const auto visit = [this, response, filter = std::move(*filter), now = clock_.wall(),
                        most = request.messages_max(),
                        bytes = std::size_t{0}](const Envelope& envelope) mutable {
        const bool delivering = ports_.delivering(envelope.id);
        if (!filter.matches(envelope, delivering, now)) return Visited::go_on;
        auto& message = *response->add_messages();
        message = to_message(envelope, delivering, pool_.committed());
        bytes += message.ByteSizeLong();
        const auto count = static_cast<std::uint32_t>(response->messages_size());
        return count >= most || bytes >= list_bytes_max ? Visited::enough : Visited::go_on;
    };
    walk(*after, visit, [response, done = std::move(done)](Result<v1::Walked> walked) mutable {
        if (!walked) return done(walked.error());
        *response->mutable_walked() = std::move(*walked);
        done(std::move(*response));
    });
}

// --- Summarize

void OwnPart::ask(v1::NodeSummarizeRequest request, Completion<v1::NodeSummarizeResponse> done) {
    auto filter = parse_filter(request.filter());
    if (!filter) return done(filter.error());
    if (filter->empty())
        return OwnSummary::start({clock_, ports_, pool_}, request.after(), step_domains,
                                 std::move(done));
    const auto after = parse_after("after", request.after());
    if (!after) return done(after.error());
    const auto summary = std::make_shared<storage::QueueSummary>(step_domains_max);
    const auto visit = [this, summary, filter = std::move(*filter),
                        now = clock_.wall()](const Envelope& envelope) {
        if (filter.matches(envelope, ports_.delivering(envelope.id), now)) {
            summary->add(envelope, now);
        }
        return summary->domain_count() >= step_domains ? Visited::enough : Visited::go_on;
    };
    walk(*after, visit, [summary, done = std::move(done)](Result<v1::Walked> walked) mutable {
        if (!walked) return done(walked.error());
        auto response = to_response(*summary);
        *response.mutable_walked() = std::move(*walked);
        done(std::move(response));
    });
}

// --- Get

void OwnPart::ask(v1::NodeGetRequest request, Completion<v1::NodeGetResponse> done) {
    const auto id = find_id(request.id());
    if (!id) return done(id.error());
    ports_.find(*id, [this, done = std::move(done)](Result<Envelope> envelope) mutable {
        if (!envelope) return done(envelope.error());
        v1::NodeGetResponse response;
        *response.mutable_message() =
            to_full_message(*envelope, ports_.delivering(envelope->id), pool_.committed());
        done(std::move(response));
    });
}

// --- Read

namespace {

// The piece of a chunk that begins at `offset`; then where the next begins.
v1::NodeReadResponse piece_of(const std::string& chunk,
                              const v1::NodeReadRequest& from,
                              std::uint32_t last_chunk) {
    v1::NodeReadResponse response;
    const auto offset = std::min<std::uint64_t>(from.offset(), chunk.size());
    response.set_content(chunk.substr(offset, read_bytes_max));
    const auto end = offset + response.content().size();
    const bool chunk_ends = end == chunk.size();
    response.set_next_chunk(from.chunk() + (chunk_ends ? 1 : 0));
    response.set_next_offset(chunk_ends ? 0 : end);
    response.set_last(chunk_ends && from.chunk() >= last_chunk);
    return response;
}

}  // namespace

void OwnPart::ask(v1::NodeReadRequest request, Completion<v1::NodeReadResponse> done) {
    const auto id = find_id(request.id());
    if (!id) return done(id.error());
    ports_.find(*id, [this, request = std::move(request),
                      done = std::move(done)](Result<Envelope> envelope) mutable {
        if (!envelope) return done(envelope.error());
        const auto index = request.chunk();
        ports_.chunk(envelope->id, index,
                     [request = std::move(request), last = envelope->chunk_count,
                      done = std::move(done)](Result<Chunk> chunk) mutable {
                         if (!chunk) return done(chunk.error());
                         done(piece_of(**chunk, request, last));
                     });
    });
}

}  // namespace posthorse::admin
