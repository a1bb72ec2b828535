#include "replication/edge/count_codec.h"

#include "posthorse/v1/counting.pb.h"
#include "replication/edge/control_codec.h"
#include "replication/edge/pool_state_codec.h"

namespace posthorse::replication {
namespace {

constexpr int entries_max = 1000;
constexpr int slots_max = 3 * SlidingCount::slots_per_window;
constexpr std::size_t name_bytes_max = 1000;
constexpr std::int64_t window_ms_min = 1000;
constexpr std::int64_t window_ms_max = 7ll * 24 * 3600 * 1000;

CountEntry entry_from(const v1::CountRecord& record, Faults& faults) {
    const bool named = !record.name().empty() && record.name().size() <= name_bytes_max;
    faults.require(named, "name", "1 to 1000 octets");
    const bool fits = record.window_ms() >= window_ms_min && record.window_ms() <= window_ms_max;
    faults.require(fits, "window_ms", "a second to a week");
    faults.require(record.slots_size() <= slots_max, "slots", "too many");
    CountEntry entry{{record.name(), Duration{record.window_ms()}}, {}};
    for (const auto& slot : record.slots()) entry.slots.push_back({slot.number(), slot.count()});
    return entry;
}

}  // namespace

void encode(const Header& header, const CountBatch& batch, v1::CountRequest& to) {
    put(header, *to.mutable_header());
    for (const auto& entry : batch.entries) {
        auto& record = *to.add_counts();
        record.set_name(entry.key.name);
        record.set_window_ms(entry.key.window.count());
        for (const auto& slot : entry.slots) {
            auto& put_slot = *record.add_slots();
            put_slot.set_number(slot.number);
            put_slot.set_count(slot.count);
        }
    }
}

Result<ReceivedCounts> decode(const v1::CountRequest& request) {
    Faults faults;
    ReceivedCounts received{header_from(request.header(), faults), {}};
    faults.require(request.counts_size() <= entries_max, "counts", "too many");
    for (const auto& record : request.counts()) {
        if (faults.any()) break;
        received.batch.entries.push_back(entry_from(record, faults));
    }
    if (faults.any()) return Error{Errc::invalid, faults.first()};
    received.batch.incarnation = received.header.incarnation;
    return received;
}

}  // namespace posthorse::replication
