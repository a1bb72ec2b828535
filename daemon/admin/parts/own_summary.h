// One step of a count of all the mail that this node owns, from the index of when it is due.
//
// Place     Under own_part.h, for a summary without a filter: no message is looked at, so that a
//           million of them take less than a second. own_walk.h is the way for those with one.
// Contract  Ends when it has taken walk_time, when its summary has no room for more domains, or
//           when there are no more messages. The answer's `to` is where the next step begins; only
//           this node reads it.
// Owner     Itself, until `done` is called. Home executor; what it refers to outlives it.
// Errors    invalid: `after` is not what an answer gave.
// Bounds    The summary's rows in memory.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "daemon/admin/parts/own_walk.h"

namespace posthorse::admin {

// Index entries at once: the store reads nothing else meanwhile.
inline constexpr std::size_t summary_page_messages = 4000;

class OwnSummary : public std::enable_shared_from_this<OwnSummary> {
public:
    using Place = replication::SummaryPlace;

    static void start(const OwnWalk::Sources& sources,
                      const std::string& after,
                      std::size_t domains_max,
                      Completion<v1::NodeSummarizeResponse> done);

    // For start() alone.
    OwnSummary(const OwnWalk::Sources& sources, Completion<v1::NodeSummarizeResponse> done);

private:
    void next_page(Place from, storage::QueueSummary so_far);
    void end(const storage::QueueSummary& summary, const std::optional<Place>& next);

    const OwnWalk::Sources sources_;
    const BootTime began_;
    const std::set<PartitionId> owned_;
    Completion<v1::NodeSummarizeResponse> done_;
};

// "PARTITION.DUE-MS.ID". Empty: the start.
std::string to_text(const OwnSummary::Place& place);
std::optional<OwnSummary::Place> parse_place(const std::string& text);

// All that was counted, but for how far it came.
v1::NodeSummarizeResponse to_response(const storage::QueueSummary& summary);

}  // namespace posthorse::admin
