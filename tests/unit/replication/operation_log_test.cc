#include "replication/operation_log.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::replication;

namespace {

storage::Operation append(std::uint64_t sequence, std::size_t bytes) {
    return {{PartitionId{1}, Epoch{1}, Sequence{sequence}},
            storage::Append{QueueId{}, 1, make_chunk(std::string(bytes, 'x'))}};
}

}  // namespace

TEST_CASE("what is beyond the bound goes, the oldest first") {
    OperationLog log(Sequence{4}, 8000);
    for (std::uint64_t sequence = 5; sequence < 9; ++sequence) log.append(append(sequence, 2000));
    CHECK(log.last() == Sequence{8});
    CHECK(log.first() > Sequence{5});
    CHECK(log.bytes() <= 8000);
    CHECK(log.at(Sequence{8}).operation.stamp.sequence == Sequence{8});
}

TEST_CASE("octets behind a sequence are those that are still here") {
    OperationLog log(Sequence{0}, 1 << 20);
    CHECK(log.bytes() == 0);
    log.append(append(1, 1000));
    log.append(append(2, 1000));
    const auto both = log.bytes();
    CHECK(log.bytes_after(Sequence{0}) == both);
    CHECK(log.bytes_after(Sequence{1}) == both / 2);
    CHECK(log.bytes_after(Sequence{2}) == 0);
    log.trim(Sequence{1});
    CHECK(log.bytes_after(Sequence{0}) == both / 2);
    // Everybody has all of it, and the newest stream of one has not said so yet.
    log.trim(Sequence{2});
    CHECK(log.last() == Sequence{2});
    CHECK(log.bytes_after(Sequence{0}) == 0);
    CHECK(log.bytes_after(Sequence{1}) == 0);
}
