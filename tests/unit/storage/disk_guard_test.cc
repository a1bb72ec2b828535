#include "storage/disk_guard.h"

#include <doctest/doctest.h>

#include <fstream>

#include "tests/unit/storage/print_result.h"
#include "tests/unit/storage/store_rigs.h"

using namespace posthorse;
using namespace posthorse::storage;

namespace {

constexpr std::uint64_t floor_bytes = 400'000;

struct Guarded {
    TemporaryDirectory directory;
    std::uint64_t free = 0;
    DiskGuard guard{directory.path(), floor_bytes, [this] { return free; }};

    bool on_disk() const { return std::filesystem::exists(directory.path() / "ballast"); }
};

}  // namespace

TEST_CASE("the ballast is there while there is room, and goes when it gets tight") {
    Guarded disk;
    disk.free = 2 * floor_bytes;
    REQUIRE(disk.guard.prepare());
    CHECK(disk.on_disk());
    CHECK(std::filesystem::file_size(disk.directory.path() / "ballast") == floor_bytes / 4);
    disk.free = floor_bytes / 4;
    disk.guard.adjust();
    CHECK(disk.on_disk());
    disk.free = floor_bytes / 4 - 1;
    disk.guard.adjust();
    CHECK_FALSE(disk.on_disk());
    disk.free = 2 * floor_bytes - 1;
    disk.guard.adjust();
    CHECK_FALSE(disk.on_disk());
    disk.free = 2 * floor_bytes;
    disk.guard.adjust();
    CHECK(disk.on_disk());
}

TEST_CASE("a ballast of an earlier life is thrown off before the database opens") {
    Guarded disk;
    disk.free = 2 * floor_bytes;
    REQUIRE(disk.guard.prepare());
    disk.free = floor_bytes / 10;
    DiskGuard next(disk.directory.path(), floor_bytes,
                   [&] { return disk.on_disk() ? disk.free : disk.free + floor_bytes / 4; });
    CHECK(next.prepare());
    CHECK_FALSE(disk.on_disk());
}

TEST_CASE("a disk without room to open the database is refused, instead of a crash inside it") {
    Guarded disk;
    disk.free = floor_bytes / 16 - 1;
    const Result<void> refused = disk.guard.prepare();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::full);
}

TEST_CASE("the room of a real directory is measured") {
    const TemporaryDirectory directory;
    DiskGuard guard(directory.path(), 0, {});
    CHECK(guard.free_bytes() > 0);
    CHECK(guard.free_bytes() < UINT64_MAX);
    CHECK(guard.prepare());
    CHECK_FALSE(guard.has_ballast());
}

TEST_CASE("the file system is not asked again within a moment") {
    struct Still final : Clock {
        WallTime wall() const override { return {}; }
        BootTime boot() const override { return now; }
        BootTime now{std::chrono::hours{1}};
    } clock;
    const TemporaryDirectory directory;
    const DiskGuard guard(directory.path(), 0, {}, &clock);
    const auto before = guard.free_bytes();
    CHECK(before > 0);
    std::ofstream(directory.path() / "file") << std::string(8 * 1024 * 1024, 'x');
    CHECK(guard.free_bytes() == before);
    clock.now += DiskGuard::measured_for;
    CHECK(guard.free_bytes() != before);
}
