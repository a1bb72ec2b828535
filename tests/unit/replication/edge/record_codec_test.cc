#include "replication/edge/record_codec.h"

#include <doctest/doctest.h>

#include "posthorse/v1/control.pb.h"
#include "storage/crc32c.h"
#include "tests/unit/replication/edge/same.h"
#include "tests/unit/replication/edge/samples.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;

namespace {

std::string sealed(v1::ControlFile file) {
    file.set_checksum(0);
    file.set_checksum(storage::crc32c(file.SerializeAsString()));
    return file.SerializeAsString();
}

// As a release before pools wrote it.
v1::ControlFile file_of_one() {
    v1::ControlFile file;
    const std::string self(16, '\x01');
    file.set_format(1);
    file.set_node_id(self);
    auto& pool = *file.mutable_pool();
    pool.set_pool_id("pool");
    pool.set_version(12);
    auto& member = *pool.add_members();
    member.set_node_id(self);
    member.set_name("a");
    member.mutable_incarnation()->set_counter(12);
    member.mutable_incarnation()->set_random(99);
    for (const std::uint32_t number : {1, 2}) {
        auto& partition = *pool.add_partitions();
        partition.set_partition(number);
        partition.set_owner(self);
        partition.add_in_sync(self);
        partition.set_epoch(12);
        partition.set_solo(number == 2);
    }
    return file;
}

}  // namespace

TEST_CASE("a record survives the file, with all it has and with nothing") {
    for (const auto& written : {record(), ControlRecord{.self = node(4)}}) {
        const auto read = decode_record(encode_record(written));
        REQUIRE(read.has_value());
        CHECK(same(*read, written));
    }
}

TEST_CASE("a record of a pool on etcd survives the file, with its marks and without voters") {
    const auto written = record_on_etcd();
    const auto read = decode_record(encode_record(written));
    REQUIRE(read.has_value());
    CHECK(same(*read, written));
    auto embedded = written;
    embedded.agreement.accepted.value = std::make_shared<const PoolState>(pool());
    CHECK(decode_record(encode_record(embedded)).error().what ==
          "published.configuration: must not be empty");
    auto longer = written;
    longer.marks.assign(marks_max + 1, 1);
    CHECK(decode_record(encode_record(longer)).error().what == "marks: must have at most 512");
}

TEST_CASE("the value that a pool begins with survives the file") {
    auto written = record();
    auto genesis = pool();
    genesis.version = {};
    written.agreement.accepted.value = std::make_shared<const PoolState>(genesis);
    written.agreement.accepted.version = {};
    CHECK(same(decode_record(encode_record(written)).value(), written));
}

TEST_CASE("the first format is read as a pool whose only voter is this node") {
    const auto read = decode_record(sealed(file_of_one()));
    REQUIRE(read.has_value());
    CHECK(read->self == node(1));
    CHECK(read->incarnation == Incarnation{12, 99});
    CHECK(read->pool_id == "pool");
    CHECK(read->pool_incarnation == 1);
    CHECK_FALSE(read->promise.has_value());
    CHECK(read->agreement.current_term == Term{0});
    const auto& accepted = read->agreement.accepted;
    CHECK(accepted.term == Term{0});
    CHECK(accepted.version == PoolVersion{12});
    CHECK(accepted.configuration.voters == std::vector{node(1)});
    CHECK(accepted.committed == accepted.configuration);
    REQUIRE(accepted.value != nullptr);
    CHECK(accepted.value->version == PoolVersion{12});
    CHECK(accepted.value->is_live(node(1), {12, 99}));
    CHECK(accepted.value->members.front().facts.name == "a");
    CHECK(accepted.value->next_partition == PartitionId{3});
    CHECK(accepted.value->settings == PoolSettings{});
    CHECK(accepted.value->partitions.back().solo);
    CHECK(same(decode_record(encode_record(*read)).value(), *read));
}

TEST_CASE("what is not a whole record is corrupt") {
    const auto octets = encode_record(record());
    for (std::size_t at = 0; at < octets.size(); ++at) {
        CAPTURE(at);
        auto damaged = octets;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
        const auto read = decode_record(damaged);
        REQUIRE_FALSE(read.has_value());
        CHECK(read.error().code == Errc::corrupt);
        CHECK(decode_record(octets.substr(0, at)).has_error());
    }
}

TEST_CASE("a record that breaks a rule is corrupt though its checksum is right") {
    auto two = file_of_one();
    *two.mutable_pool()->add_members() = two.pool().members(0);
    two.mutable_pool()->mutable_members(1)->set_node_id(std::string(16, '\x02'));
    CHECK(decode_record(sealed(two)).error().what == "pool.members: must be this node alone");
    auto later = file_of_one();
    later.set_format(3);
    CHECK(decode_record(sealed(later)).error().code == Errc::corrupt);
    v1::ControlFile empty;
    empty.set_format(2);
    CHECK(decode_record(empty.SerializeAsString()).error().what == "node_id: must be 16 octets");
}
