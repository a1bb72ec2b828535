#include "replication/edge/control_codec.h"

#include <doctest/doctest.h>

#include <functional>
#include <set>

#include "posthorse/v1/pool.pb.h"
#include "replication/edge/pool_state_codec.h"
#include "tests/unit/replication/edge/same.h"
#include "tests/unit/replication/edge/samples.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;

namespace {

v1::DeliverRequest request(const Message& message) {
    v1::DeliverRequest request;
    encode(header(), message, request);
    return request;
}

// What the decoder says of a good message that was damaged; empty: nothing.
std::string fault(const Message& message, const std::function<void(v1::DeliverRequest&)>& damage) {
    auto damaged = request(message);
    damage(damaged);
    const auto decoded = decode(damaged);
    if (decoded) return "";
    CHECK(decoded.error().code == Errc::invalid);
    return decoded.error().what;
}

// The same, of the value of a pool.
std::string fault_in_value(const std::function<void(v1::PoolStateRecord&)>& damage) {
    return fault(published(), [&](v1::DeliverRequest& request) {
        damage(*request.mutable_published()->mutable_value());
    });
}

bool names(const std::string& what, const std::string& field) {
    CAPTURE(what);
    return what.rfind(field + ": ", 0) == 0;
}

}  // namespace

TEST_CASE("every message survives the wire") {
    std::set<std::size_t> kinds;
    for (const auto& message : every_message()) {
        CAPTURE(message.index());
        kinds.insert(message.index());
        const auto decoded = decode_message(encode_message(header(), message));
        REQUIRE(decoded.has_value());
        CHECK(decoded->header == header());
        CHECK(same(decoded->message, message));
    }
    CHECK(kinds.size() == std::variant_size_v<Message>);
}

TEST_CASE("every change survives the wire") {
    std::set<std::size_t> kinds;
    for (const auto& change : every_change()) {
        CAPTURE(change.index());
        kinds.insert(change.index());
        v1::ChangeRecord record;
        put(change, record);
        Faults faults;
        CHECK(same(change_from(record, faults), change));
        CHECK_FALSE(faults.any());
    }
    CHECK(kinds.size() == std::variant_size_v<Change>);
}

TEST_CASE(
    "every code of an error survives the wire, and one of a later release may have happened") {
    for (int code = 0; code <= static_cast<int>(Errc::cancelled); ++code) {
        const Proposed proposed{1, Error{static_cast<Errc>(code), "x"}};
        CHECK(same(decode(request(proposed)).value().message, Message{proposed}));
    }
    auto later = request(Proposed{1, Error{Errc::conflict, "x"}});
    later.mutable_proposed()->mutable_error()->set_code(static_cast<v1::Proposed::Code>(99));
    CHECK(std::get<Proposed>(decode(later)->message).error->code == Errc::unknown);
}

TEST_CASE("a header without a receiver or a pool survives the wire") {
    auto hello = header();
    hello.to.reset();
    hello.pool_id.clear();
    CHECK(decode_message(encode_message(hello, Hello{}))->header == hello);
}

TEST_CASE("a text for people never costs the message") {
    const std::string ugly = "\xFF\r\n" + std::string(5000, 'x');
    const auto decoded = decode_message(encode_message(header(), Estranged{ugly}));
    REQUIRE(decoded.has_value());
    CHECK(std::get<Estranged>(decoded->message).why ==
          "???" + std::string(codec::reason_bytes_max - 3, 'x'));
}

TEST_CASE("more addresses than fit are left out, not refused") {
    const Hello hello{"n1:9626", std::vector<std::string>(500, "n1:9626")};
    const auto decoded = decode_message(encode_message(header(), hello));
    REQUIRE(decoded.has_value());
    CHECK(std::get<Hello>(decoded->message).known.size() == codec::addresses_max);
}

TEST_CASE("a malformed header is refused, and the field named") {
    const auto header_fault = [](const std::function<void(v1::PeerHeader&)>& damage) {
        return fault(StartJoin{{1}}, [&](auto& request) { damage(*request.mutable_header()); });
    };
    CHECK(names(header_fault([](auto& h) { h.set_from("short"); }), "header.from"));
    CHECK(names(header_fault([](auto& h) { h.clear_from(); }), "header.from"));
    CHECK(names(header_fault([](auto& h) { h.set_to(std::string(17, 'x')); }), "header.to"));
    CHECK(names(header_fault([](auto& h) { h.set_pool_id(std::string(65, 'x')); }),
                "header.pool_id"));
    CHECK(names(header_fault([](auto& h) { h.set_name(std::string(256, 'x')); }), "header.name"));
    CHECK(names(header_fault([](auto& h) { h.clear_address(); }), "header.address"));
    CHECK(names(header_fault([](auto& h) { h.set_address(std::string(301, 'x')); }),
                "header.address"));
    CHECK(names(header_fault([](auto& h) { h.set_address("unix:///run/x.sock"); }),
                "header.address"));
    CHECK(names(fault(StartJoin{{1}}, [](auto& request) { request.clear_header(); }),
                "header.address"));
}

TEST_CASE("a value that breaks a rule of its type is refused, and the field named") {
    CHECK(names(fault_in_value([](auto& v) { v.mutable_members(1)->set_node_id("x"); }),
                "member.node_id"));
    CHECK(names(fault_in_value([](auto& v) { v.mutable_members()->SwapElements(0, 1); }),
                "value.members"));
    CHECK(names(fault_in_value([](auto& v) { *v.mutable_members(1) = v.members(0); }),
                "value.members"));
    CHECK(names(fault_in_value([](auto& v) {
                    while (v.members_size() <= codec::members_max) v.add_members();
                }),
                "value.members"));
    CHECK(names(fault_in_value([](auto& v) { v.mutable_partitions()->SwapElements(0, 1); }),
                "value.partitions"));
    CHECK(names(fault_in_value([](auto& v) {
                    while (v.partitions_size() <= codec::partitions_max) v.add_partitions();
                }),
                "value.partitions"));
    CHECK(names(fault_in_value([](auto& v) { v.mutable_partitions(0)->clear_in_sync(); }),
                "partition.in_sync"));
    CHECK(names(fault_in_value([](auto& v) {
                    *v.mutable_partitions(0)->mutable_in_sync(1) = v.partitions(0).in_sync(0);
                }),
                "partition.in_sync"));
    CHECK(names(
        fault_in_value([](auto& v) { v.mutable_partitions(0)->set_owner(std::string(16, 'x')); }),
        "partition.owner"));
    CHECK(names(fault_in_value([](auto& v) { v.set_next_partition(8); }), "value.next_partition"));
    CHECK(names(fault_in_value([](auto& v) { v.clear_pool_id(); }), "value.pool_id"));
    CHECK(names(fault_in_value([](auto& v) { v.clear_incarnation(); }), "value.incarnation"));
    CHECK(names(fault_in_value([](auto& v) { v.clear_settings(); }), "settings.copies"));
    CHECK(names(fault_in_value([](auto& v) { v.mutable_settings()->set_lease_ttl_ms(0); }),
                "settings.lease_ttl_ms"));
    CHECK(names(fault_in_value([](auto& v) { v.set_version(1); }), "published.version"));
    CHECK(names(fault_in_value([](auto& v) {
                    v.mutable_members(0)->mutable_facts()->set_zone(std::string(256, 'x'));
                }),
                "facts.zone"));
}

TEST_CASE("a malformed message is refused, and the field named") {
    CHECK(names(fault(StartJoin{{1}}, [](auto& r) { r.clear_message(); }), "message"));
    CHECK(names(fault(published(), [](auto& r) { r.mutable_published()->clear_value(); }),
                "published.value"));
    CHECK(names(fault(published(),
                      [](auto& r) {
                          auto& voters = *r.mutable_published()->mutable_configuration();
                          voters.mutable_voters()->SwapElements(0, 1);
                      }),
                "published.configuration"));
    CHECK(names(fault(published(), [](auto& r) { r.mutable_published()->clear_committed(); }),
                "published.committed"));
    CHECK(names(fault(Renewed{}, [](auto& r) { r.mutable_renewed()->set_ttl_ms(INT64_MAX); }),
                "renewed.ttl_ms"));
    CHECK(names(fault(Renew{}, [](auto& r) { r.mutable_renew()->set_sent_ms(-1); }),
                "renew.sent_ms"));
    CHECK(names(fault(HelloReply{}, [](auto& r) { r.mutable_hello_reply()->clear_standing(); }),
                "hello_reply.standing"));
    CHECK(names(fault(Hello{},
                      [](auto& r) {
                          while (r.hello().known_size() <= codec::addresses_max)
                              r.mutable_hello()->add_known("n1:9626");
                      }),
                "known"));
    CHECK(names(fault(Propose{1, ClosePartition{{1}}},
                      [](auto& r) { r.mutable_propose()->clear_change(); }),
                "change"));
    CHECK(names(fault(Propose{1, OpenPartition{{node(1)}, false}},
                      [](auto& r) {
                          r.mutable_propose()->mutable_change()->mutable_open()->clear_in_sync();
                      }),
                "open.in_sync"));
    CHECK(names(decode_message("\xFF\xFF").error().what, "message"));
}

TEST_CASE("no cut of a message is more than refused") {
    for (const auto& message : every_message()) {
        const auto octets = encode_message(header(), message);
        for (std::size_t length = 0; length < octets.size(); ++length) {
            const auto decoded = decode_message(octets.substr(0, length));
            if (!decoded) CHECK(decoded.error().code == Errc::invalid);
        }
    }
}
