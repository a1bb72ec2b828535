#include "replication/edge/etcd_codec.h"

#include <doctest/doctest.h>

#include "posthorse/v1/pool_etcd.pb.h"
#include "storage/crc32c.h"
#include "tests/unit/replication/edge/samples.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using Kind = EtcdKey::Kind;

namespace {

std::string why(const EtcdItem& item) {
    const auto* unreadable = std::get_if<EtcdUnreadable>(&item);
    return unreadable == nullptr ? "" : unreadable->why;
}

// The value of an item after a change, sealed.
template <class Alter>
std::string altered(const EtcdPut& put, Alter alter) {
    v1::EtcdValue value;
    REQUIRE(value.ParseFromString(encode_item(put.item)));
    v1::EtcdItemRecord record;
    REQUIRE(record.ParseFromString(value.item()));
    alter(record);
    value.set_item(record.SerializeAsString());
    value.set_checksum(storage::crc32c(value.item()));
    return value.SerializeAsString();
}

}  // namespace

TEST_CASE("every item survives etcd") {
    for (const auto& put : every_etcd_item()) {
        const auto read = decode_item(put.key.kind, encode_item(put.item));
        CHECK(why(read) == "");
        CHECK(read == put.item);
    }
}

TEST_CASE("keys lie below the prefix, each written in one way") {
    for (const char* prefix : {"/mail/pool", "/mail/pool/", "/mail/pool//"}) {
        const EtcdPlace place(prefix);
        CHECK(place.begin() == "/mail/pool/");
        CHECK(place.end() == "/mail/pool0");
        CHECK(place.encode_key({}) == "/mail/pool/pool");
        CHECK(place.encode_key({Kind::lease, node(0xAB)}) ==
              "/mail/pool/lease/abababababababababababababababab");
        for (const auto& put : every_etcd_item()) {
            const auto octets = place.encode_key(put.key);
            CHECK(place.decode_key(octets) == put.key);
            CHECK(octets >= place.begin());
            CHECK(octets < place.end());
        }
    }
}

TEST_CASE("a key of no known kind is nobody's") {
    const EtcdPlace place("/mail");
    for (const char* key :
         {"", "/mail", "/mail/", "/mail/pools", "/mail/pool/", "/other/pool", "/mail/lease/",
          "/mail/lease/12", "/mail/lease/ABABABABABABABABABABABABABABABAB",
          "/mail/later/abababababababababababababababab",
          "/mail/waiting/abababababababababababababababab/x"})
        CHECK_MESSAGE(!place.decode_key(key).has_value(), key);
}

TEST_CASE("what another program, a newer release or a fault wrote says so") {
    const auto lease = every_etcd_item()[1];
    const auto octets = encode_item(lease.item);
    for (const char* foreign : {"", "{\"json\": true}", "\xFF\xFF", "/registry/pods/default/a"})
        CHECK(why(decode_item(Kind::lease, foreign)) == "another program wrote it");
    v1::EtcdValue value;
    REQUIRE(value.ParseFromString(octets));
    value.set_format(2);
    CHECK(why(decode_item(Kind::lease, value.SerializeAsString())) ==
          "a release that this one does not know wrote it");
    CHECK(why(decode_item(Kind::lease, altered(lease, [](auto& r) { r.clear_item(); }))) ==
          "item: must be one that this release knows");
    CHECK(why(decode_item(Kind::lease, std::string(1024 * 1024 + 1, 'x'))) ==
          "it is larger than a mebibyte");
    for (std::size_t at = 0; at < octets.size(); ++at) {
        CAPTURE(at);
        auto damaged = octets;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
        CHECK(why(decode_item(Kind::lease, damaged)) != "");
        CHECK(why(decode_item(Kind::lease, octets.substr(0, at))) != "");
    }
}

TEST_CASE("an item under another's key, or that breaks a rule, cannot be read") {
    const auto all = every_etcd_item();
    for (const auto& put : all) {
        for (const auto& other : all) {
            if (other.key.kind == put.key.kind) continue;
            CHECK(why(decode_item(other.key.kind, encode_item(put.item))).starts_with("item: "));
        }
    }
    CHECK(why(decode_item(Kind::pool, altered(all[0], [](auto& r) {
                              r.mutable_pool()->clear_marks();
                          }))) == "pool.marks: must be 1 to 512");
    CHECK(why(decode_item(Kind::pool, altered(all[0], [](auto& r) {
                              r.mutable_pool()->mutable_marks()->Resize(513, 1);
                          }))) == "pool.marks: must be 1 to 512");
    CHECK(why(decode_item(Kind::pool, altered(all[0], [](auto& r) {
                              r.mutable_pool()->mutable_state()->clear_pool_id();
                          }))) == "value.pool_id: must not be empty");
    CHECK(why(decode_item(Kind::waiting, altered(all[2], [](auto& r) {
                              r.mutable_waiting()->mutable_facts()->set_address("a b");
                          }))) == "facts.address: must be host:port");
}
