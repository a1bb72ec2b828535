#include <doctest/doctest.h>

#include "tests/unit/storage/queue_store_conformance.h"
#include "tests/unit/storage/store_rigs.h"

using namespace posthorse;
using namespace posthorse::storage;

TEST_CASE("the memory store keeps the contract of queue stores") {
    check_queue_store<MemoryRig>();
}

TEST_CASE("the RocksDB store keeps it on a disk that loses what was not synced") {
    check_queue_store<RocksRig>();
}

TEST_CASE("the RocksDB store keeps it on a disk that tears what was not synced") {
    check_queue_store<TearingRocksRig>();
}
