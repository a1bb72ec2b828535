// A home of counts, and the counts of another clock.
#include <algorithm>

#include "posthorse/v1/counting.pb.h"
#include "replication/edge/count_codec.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;
using namespace posthorse::replication;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    v1::CountRequest request;
    if (!request.ParseFromArray(data, static_cast<int>(size))) return 0;
    const auto received = decode(request);
    if (!received) {
        PH_ASSERT(received.error().code == Errc::invalid && !received.error().what.empty());
        return 0;
    }
    v1::CountRequest again;
    encode(received->header, received->batch, again);
    PH_ASSERT(decode(again)->batch.entries == received->batch.entries);
    CountCore home(NodeId{}, {.kept_max = 100});
    const CountCore::Now now{WallTime{std::chrono::hours{1}}, BootTime{std::chrono::hours{1}}};
    const auto once = home.receive(received->header.from, received->batch, now);
    PH_ASSERT(once.size() == received->batch.entries.size());
    PH_ASSERT(home.kept_count() <= 100);
    // What was told once more changes nothing.
    const auto kept = home.kept_count();
    home.receive(received->header.from, received->batch, now);
    PH_ASSERT(home.kept_count() == kept);
    return 0;
}
