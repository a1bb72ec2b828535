#include "replication/edge/control_file.h"
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
    static_cast<void>(storage::decode_mark(bytes));
    if (const auto control = replication::decode_control_file(std::string(bytes))) {
        const auto again =
            replication::decode_control_file(replication::encode_control_file(*control));
        PH_ASSERT(again.has_value() && *again == *control);
    } else {
        PH_ASSERT(control.error().code == Errc::corrupt);
    }
    return 0;
}
