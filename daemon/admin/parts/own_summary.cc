#include "daemon/admin/parts/own_summary.h"

#include <charconv>

#include "daemon/admin/admin_messages.h"

namespace posthorse::admin {
namespace {

// The number before the next dot, which goes with it.
template <class Number>
std::optional<Number> take_number(std::string_view& text) {
    Number number{};
    const auto* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || stop == end || *stop != '.') return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()) + 1);
    return number;
}

}  // namespace

std::string to_text(const OwnSummary::Place& place) {
    return std::to_string(place.partition.value) + '.' +
           std::to_string(place.at.due.time_since_epoch().count()) + '.' + place.at.id.to_string();
}

std::optional<OwnSummary::Place> parse_place(const std::string& text) {
    if (text.empty()) return OwnSummary::Place{};
    std::string_view rest = text;
    const auto partition = take_number<std::uint32_t>(rest);
    if (!partition) return std::nullopt;
    const auto due_ms = take_number<std::int64_t>(rest);
    if (!due_ms || *due_ms < 0) return std::nullopt;
    const auto id = QueueId::parse(rest);
    if (!id) return std::nullopt;
    return OwnSummary::Place{
        .partition = PartitionId{*partition},
        .at = {.due = WallTime{std::chrono::milliseconds{*due_ms}}, .id = *id}};
}

v1::NodeSummarizeResponse to_response(const storage::QueueSummary& summary) {
    v1::NodeSummarizeResponse response;
    *response.mutable_total() = to_row(summary.total());
    for (const auto& row : summary.largest(summary.domain_count())) {
        *response.add_domains() = to_row(row);
    }
    return response;
}

OwnSummary::OwnSummary(const OwnWalk::Sources& sources, Completion<v1::NodeSummarizeResponse> done)
    : sources_(sources),
      began_(sources.clock.boot()),
      owned_(owned_partitions(sources.queue, sources.pool)),
      done_(std::move(done)) {}

void OwnSummary::start(const OwnWalk::Sources& sources,
                       const std::string& after,
                       std::size_t domains_max,
                       Completion<v1::NodeSummarizeResponse> done) {
    const auto place = parse_place(after);
    if (!place) return done(Error{Errc::invalid, "after is not one that an answer gave"});
    std::make_shared<OwnSummary>(sources, std::move(done))
        ->next_page(*place, storage::QueueSummary(domains_max));
}

void OwnSummary::next_page(Place from, storage::QueueSummary so_far) {
    sources_.queue.summarize(from, std::move(so_far), summary_page_messages,
                             [self = shared_from_this()](Result<replication::Summarized> counted) {
                                 if (!counted) return self->done_(counted.error());
                                 const bool long_enough =
                                     self->sources_.clock.boot() - self->began_ >= walk_time;
                                 if (!counted->next || !counted->summary.has_room() || long_enough)
                                     return self->end(counted->summary, counted->next);
                                 self->next_page(*counted->next, std::move(counted->summary));
                             });
}

void OwnSummary::end(const storage::QueueSummary& summary, const std::optional<Place>& next) {
    auto response = to_response(summary);
    *response.mutable_walked() = owned_still(owned_, sources_);
    if (next) response.mutable_walked()->set_to(to_text(*next));
    done_(std::move(response));
}

}  // namespace posthorse::admin
