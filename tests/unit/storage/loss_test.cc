// Nothing acknowledged may be lost with the power: checked, and the check itself checked on disks
// that only say that they synced.
#include <doctest/doctest.h>

#include "tests/unit/storage/copy_loss_finder.h"
#include "tests/unit/storage/loss_finder.h"

using namespace posthorse;
using namespace posthorse::storage;

namespace {

template <class Rig>
std::optional<std::string> find_loss(std::uint32_t seed, int lives, bool syncs_lie = false) {
    LossFinder<Rig> finder(seed);
    finder.set_syncs_lie(syncs_lie);
    const auto wrong = finder.run(lives, 30);
    if (wrong) return "seed " + std::to_string(seed) + ", " + *wrong;
    return std::nullopt;
}

template <class Rig>
void check_no_loss(std::uint32_t seeds, int lives) {
    for (std::uint32_t seed = 1; seed <= seeds; ++seed) {
        const auto wrong = find_loss<Rig>(seed, lives);
        CHECK_MESSAGE(!wrong, wrong.value_or(""));
    }
}

template <class Rig>
std::optional<std::string> find_copy_loss(std::uint32_t seed, int lives, bool syncs_lie = false) {
    CopyLossFinder<Rig> finder(seed);
    finder.set_syncs_lie(syncs_lie);
    const auto wrong = finder.run(lives);
    if (wrong) return "seed " + std::to_string(seed) + ", " + *wrong;
    return std::nullopt;
}

template <class Rig>
void check_no_copy_loss(std::uint32_t seeds, int lives) {
    for (std::uint32_t seed = 1; seed <= seeds; ++seed) {
        const auto wrong = find_copy_loss<Rig>(seed, lives);
        CHECK_MESSAGE(!wrong, wrong.value_or(""));
    }
}

}  // namespace

TEST_CASE("the memory store loses nothing that it acknowledged") {
    check_no_loss<MemoryRig>(50, 15);
}

TEST_CASE("the RocksDB store loses nothing that it acknowledged") {
    check_no_loss<RocksRig>(3, 15);
}

TEST_CASE("the RocksDB store loses nothing that it acknowledged on a disk that tears") {
    check_no_loss<TearingRocksRig>(3, 15);
}

TEST_CASE("a store that does not sync is found out") {
    CHECK(find_loss<MemoryRig>(1, 20, true));
    CHECK(find_loss<RocksRig>(1, 20, true));
}

TEST_CASE("a copy in memory is whole or says that it is not") {
    check_no_copy_loss<MemoryRig>(50, 20);
}

TEST_CASE("a copy in RocksDB is whole or says that it is not") {
    check_no_copy_loss<RocksRig>(2, 12);
}

TEST_CASE("a copy in RocksDB is whole or says that it is not, on a disk that tears") {
    check_no_copy_loss<TearingRocksRig>(2, 12);
}

TEST_CASE("a copy that does not sync is found out") {
    CHECK(find_copy_loss<MemoryRig>(1, 20, true));
    CHECK(find_copy_loss<RocksRig>(1, 20, true));
}
