#include "posthorse/v1/control.pb.h"
#include "replication/edge/control_codec.h"
#include "replication/edge/record_codec.h"
#include "storage/crc32c.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/replication/edge/same.h"

using namespace posthorse;

namespace {

// As a control file whose checksum is right: what is behind it must hold by itself.
std::string sealed(const std::string& state) {
    v1::ControlFile file;
    file.set_format(2);
    file.set_state(state);
    file.set_checksum(storage::crc32c(state));
    return file.SerializeAsString();
}

}  // namespace

// Octets of a peer, or of a control file: refused, or read as something that is the same when it is
// written and read again.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string octets(fuzz::as_text(data, size));
    if (const auto read = replication::decode_message(octets)) {
        const auto again =
            replication::decode_message(replication::encode_message(read->header, read->message));
        PH_ASSERT(again.has_value() && again->header == read->header);
        PH_ASSERT(tests::same(again->message, read->message));
    } else {
        PH_ASSERT(read.error().code == Errc::invalid);
        PH_ASSERT(read.error().what.find(": ") != std::string::npos);
    }
    if (const auto read = replication::decode_record(sealed(octets))) {
        const auto again = replication::decode_record(replication::encode_record(*read));
        PH_ASSERT(again.has_value() && tests::same(*again, *read));
    } else {
        PH_ASSERT(read.error().code == Errc::corrupt);
    }
    return 0;
}
