#include "replication/edge/frame_writer.h"

#include <doctest/doctest.h>

#include <vector>

#include "replication/edge/exchange_ports.h"
#include "replication/edge/frame_fields.h"
#include "tests/unit/replication/edge/frame_samples.h"
#include "tests/unit/replication/edge/samples.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;

TEST_CASE("frames that wait go together, and a large one goes alone") {
    ExchangeCounters counters;
    FrameWriter writer(counters);
    writer.begin(header());
    for (std::uint64_t i = 0; i < 1000; ++i) writer.push(ack(i));
    CHECK_FALSE(writer.next().value().has_value());  // the header is on its way
    CHECK_FALSE(writer.written());
    auto write = writer.next().value();
    REQUIRE(write.has_value());
    CHECK(write->message->frames_size() == 1000);
    CHECK_FALSE(write->hint);

    const auto large = make_chunk(std::string(codec::head_bytes_max, 'x'));
    writer.push(ack(1));
    writer.push(Record{slice(), envelope(), large});
    writer.push(ack(2));
    CHECK(writer.backlog() > 1000 * size_of(ack(0)) + codec::head_bytes_max);
    CHECK_FALSE(writer.written());
    std::vector<int> sizes;
    std::vector<bool> hints;
    std::vector<bool> drained;
    for (write = writer.next().value(); write; write = writer.next().value()) {
        sizes.push_back(write->message->frames_size());
        hints.push_back(write->hint);
        drained.push_back(writer.written());
    }
    CHECK(sizes == std::vector{1, 1, 1});
    CHECK(hints == std::vector{true, true, false});
    CHECK(drained == std::vector{false, true, false});
    CHECK(writer.backlog() == 0);
    CHECK(counters.frames_sent == 1003);
}

TEST_CASE("after a frame that no message may carry nothing is written any more") {
    ExchangeCounters counters;
    FrameWriter writer(counters);
    auto huge = envelope();
    huge.recipients.assign(40'000, {std::string(250, 'a'), RecipientState::pending, 0, {}});
    writer.push(ack(0));
    writer.push(Record{slice(), huge, nullptr});
    writer.push(ack(1));
    REQUIRE(writer.next().value().has_value());
    writer.written();
    REQUIRE(writer.next().has_error());
    writer.push(ack(2));
    CHECK_FALSE(writer.next().value().has_value());
    CHECK(counters.frames_sent == 1);
}
