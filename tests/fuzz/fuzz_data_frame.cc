#include "replication/edge/data_codec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/replication/edge/same.h"

using namespace posthorse;

// Octets of another holder of a partition: refused, or read as a frame that is the same when it is
// written and read again.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string octets(fuzz::as_text(data, size));
    if (const auto read = replication::decode_frame(octets)) {
        const auto written = replication::encode_frame(*read);
        const auto again = replication::decode_frame(written);
        PH_ASSERT(again.has_value() && tests::same(*again, *read));
        PH_ASSERT(replication::slice_of(*again) == replication::slice_of(*read));
        // What is counted as on the way is not much less than what is.
        PH_ASSERT(replication::size_of(*read) >= written.size() / 8);
    } else {
        PH_ASSERT(read.error().code == Errc::invalid);
        PH_ASSERT(read.error().what.find(": ") != std::string::npos);
    }
    return 0;
}
