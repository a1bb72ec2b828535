#include "replication/edge/record_codec.h"
#include "storage/queue_record.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;

// Stored bytes that anything may have damaged: read back whole, or refused as corrupt.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = fuzz::as_text(data, size);
    if (const auto envelope = storage::decode_envelope(bytes)) {
        PH_ASSERT(storage::decode_envelope(storage::encode(*envelope)).value() == *envelope);
    } else {
        PH_ASSERT(envelope.error().code == Errc::corrupt);
    }
    if (const auto intent = storage::decode_intent(bytes)) {
        PH_ASSERT(storage::decode_intent(storage::encode(*intent)).value() == *intent);
    }
    if (const auto outcome = storage::decode_outcome(bytes)) {
        PH_ASSERT(storage::decode_outcome(storage::encode(*outcome)).value() == *outcome);
    }
    if (const auto mark = storage::decode_mark(bytes)) {
        PH_ASSERT(storage::decode_mark(storage::encode(*mark)).value() == *mark);
    }
    // What says less is refused; what says more is not there.
    PH_ASSERT(storage::size_in_due(bytes).has_value() == (size >= 8));
    storage::Waiting waiting;
    if (storage::read_waiting(bytes, waiting)) {
        std::size_t length = 16;
        for (const auto& domain : waiting.domains) length += 5 + domain.name.size();
        PH_ASSERT(length == size);
    }
    // The record holds values by address: what was read is compared as it is written.
    if (const auto record = replication::decode_record(std::string(bytes))) {
        const auto octets = replication::encode_record(*record);
        const auto again = replication::decode_record(octets);
        PH_ASSERT(again.has_value() && replication::encode_record(*again) == octets);
    } else {
        PH_ASSERT(record.error().code == Errc::corrupt);
    }
    return 0;
}
