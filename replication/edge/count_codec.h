// Batches of counts as posthorse/v1/counting.proto, and back.
//
// Place     Under count_exchange.h.
// Contract  What encode makes of a batch of count_core.h, decode reads back whole. Decoding is
//           total.
// Errors    decode: invalid, "field: rule".
#pragma once

#include "replication/core/control_message.h"
#include "replication/counting/count_core.h"

namespace posthorse::v1 {
class CountRequest;
}

namespace posthorse::replication {

struct ReceivedCounts {
    Header header;
    CountBatch batch;
};

void encode(const Header& header, const CountBatch& batch, v1::CountRequest& to);
Result<ReceivedCounts> decode(const v1::CountRequest& request);

}  // namespace posthorse::replication
