#include "replication/edge/control_disk.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "replication/edge/record_codec.h"
#include "tests/unit/replication/edge/same.h"
#include "tests/unit/replication/edge/samples.h"
#include "tests/unit/support/temporary_directory.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
namespace fs = std::filesystem;

namespace {

void write(const std::string& path, const std::string& octets) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << octets;
}

std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// 2026-07-01 12:05:01 UTC.
constexpr WallTime noon{std::chrono::sys_days{std::chrono::year{2026} / 7 / 1} +
                        std::chrono::hours{12} + std::chrono::minutes{5} + std::chrono::seconds{1}};

// A node's directory with a queue and a record in it.
struct UsedDisk {
    UsedDisk() {
        REQUIRE(write_record(control, record()).has_value());
        fs::create_directories(data + "/queue");
        write(data + "/queue/CURRENT", "x");
    }
    TemporaryDirectory place;
    std::string data = place.path();
    std::string control = data + "/control";
};

}  // namespace

TEST_CASE("a new node's disk holds no record, and that is told from damage") {
    TemporaryDirectory place;
    const auto read = read_record(place.path() + "/control");
    REQUIRE(read.has_error());
    CHECK(read.error().code == Errc::not_found);
    CHECK(read.error().what.find(place.path()) != std::string::npos);
}

TEST_CASE("what was written last is read back") {
    TemporaryDirectory place;
    const auto directory = place.path() + "/control";
    auto written = record();
    REQUIRE(write_record(directory, ControlRecord{.self = node(1)}).has_value());
    REQUIRE(write_record(directory, written).has_value());
    CHECK(same(read_record(directory).value(), written));
    CHECK_FALSE(fs::exists(directory + "/state.new"));
    CHECK((fs::status(directory).permissions() & fs::perms::mask) == fs::perms::owner_all);
}

TEST_CASE("what a crash left half written is not read, and is in nobody's way") {
    UsedDisk disk;
    write(disk.control + "/state.new", encode_record(record()).substr(0, 20));
    CHECK(same(read_record(disk.control).value(), record()));
    auto next = record();
    next.incarnation.counter += 1;
    REQUIRE(write_record(disk.control, next).has_value());
    CHECK(same(read_record(disk.control).value(), next));
}

TEST_CASE("a file that lost its end, or all of it, is corrupt and named") {
    UsedDisk disk;
    const auto path = disk.control + "/state";
    const auto octets = content(path);
    for (const std::size_t length :
         {std::size_t{0}, std::size_t{1}, octets.size() / 2, octets.size() - 1}) {
        CAPTURE(length);
        write(path, octets.substr(0, length));
        const auto read = read_record(disk.control);
        REQUIRE(read.has_error());
        CHECK(read.error().code == Errc::corrupt);
        CHECK(read.error().what.find(path) == 0);
    }
}

TEST_CASE("a disk that cannot be written says where") {
    TemporaryDirectory place;
    write(place.path() + "/control", "a file is in the way");
    const auto written = write_record(place.path() + "/control", record());
    REQUIRE(written.has_error());
    CHECK(written.error().code == Errc::io);
    CHECK(written.error().what.find(place.path() + "/control") == 0);
}

TEST_CASE("a mark says why, until what it marks is set aside") {
    UsedDisk disk;
    CHECK_FALSE(stranger_mark(disk.control).has_value());
    REQUIRE(mark_stranger(disk.control, "its disk is a copy").has_value());
    CHECK(stranger_mark(disk.control) == "its disk is a copy");
    CHECK(same(read_record(disk.control).value(), record()));
    REQUIRE(set_aside(disk.data, {"its disk is a copy", node(1), noon}).has_value());
    CHECK_FALSE(stranger_mark(disk.control).has_value());
}

TEST_CASE("a mark that cannot be read is a mark") {
    TemporaryDirectory place;
    fs::create_directories(place.path() + "/control/stranger");
    CHECK(stranger_mark(place.path() + "/control").has_value());
}

TEST_CASE("setting aside moves queue and record, and leaves a new node's disk") {
    UsedDisk disk;
    const auto place = set_aside(disk.data, {"its disk is behind", node(1), noon});
    REQUIRE(place.has_value());
    CHECK(*place == disk.data + "/set-aside/20260701T120501Z-" + node(1).to_string());
    CHECK(content(*place + "/queue/CURRENT") == "x");
    CHECK(same(read_record(*place + "/control").value(), record()));
    CHECK(content(*place + "/why") == "its disk is behind\n");
    CHECK_FALSE(fs::exists(disk.data + "/queue"));
    CHECK(read_record(disk.control).error().code == Errc::not_found);
}

TEST_CASE("a crash on the way is finished by the next start") {
    UsedDisk disk;
    // As it is after the queue was moved.
    REQUIRE(mark_stranger(disk.control, "its disk is behind").has_value());
    fs::create_directories(disk.data + "/set-aside/20260701T120501Z-first");
    fs::rename(disk.data + "/queue", disk.data + "/set-aside/20260701T120501Z-first/queue");
    const auto why = stranger_mark(disk.control);
    REQUIRE(why.has_value());
    const auto place = set_aside(disk.data, {*why, node(1), noon});
    REQUIRE(place.has_value());
    CHECK(fs::exists(*place + "/control/state"));
    CHECK_FALSE(fs::exists(disk.control));
}

TEST_CASE("what was set aside is listed, the oldest first") {
    TemporaryDirectory place;
    CHECK(list_set_aside(place.path())->empty());
    const auto aside = [&](const char* why, WallTime now) {
        fs::create_directories(place.path() + "/queue");
        return set_aside(place.path(), {why, std::nullopt, now}).value();
    };
    const auto later = aside("later", noon + std::chrono::hours{1});
    const auto first = aside("first", noon);
    const auto same_second = aside("same second", noon);
    CHECK(same_second != first);
    const auto copies = list_set_aside(place.path());
    REQUIRE(copies.has_value());
    REQUIRE(copies->size() == 3);
    CHECK((*copies)[0].path == first);
    CHECK((*copies)[0].why == "first");
    CHECK((*copies)[1].path == same_second);
    CHECK((*copies)[2].path == later);
    CHECK((*copies)[2].why == "later");
}
