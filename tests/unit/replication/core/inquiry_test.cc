#include "replication/core/inquiry.h"

#include <doctest/doctest.h>

#include <chrono>

#include "tests/unit/replication/core/test_pool.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

const BootTime start{1h};
const Incarnation own{5, 50};
const Place accepted{{3}, {30}};

// Node 1 in its fifth start, in a pool with these voters.
ControlRecord record_of(const std::vector<int>& voters, const std::vector<int>& committed) {
    ControlRecord record;
    record.self = test_node(1);
    record.incarnation = own;
    record.agreement.accepted.term = accepted.term;
    record.agreement.accepted.version = accepted.version;
    record.agreement.accepted.configuration = {test_nodes(voters)};
    record.agreement.accepted.committed = {test_nodes(committed)};
    return record;
}

Header header_of(std::uint8_t number, Incarnation incarnation = {1, 1}) {
    Header header;
    header.from = test_node(number);
    header.incarnation = incarnation;
    header.address = "n" + std::to_string(number) + ":1";
    return header;
}

// What a member says of a node whose disk is as it should be.
HelloReply good_word() {
    HelloReply reply;
    reply.standing = PoolStanding::member;
    reply.is_member = true;
    reply.incarnation = {4, 40};
    reply.acknowledged = accepted;
    return reply;
}

Inquiry asking() {
    return {record_of({1, 2, 3}, {1, 2, 3}), start};
}

}  // namespace

TEST_CASE("who votes alone asks nobody") {
    CHECK(Inquiry(record_of({1}, {1}), start).over(start));
    // Half done, the other still has a say.
    CHECK_FALSE(Inquiry(record_of({1}, {1, 2}), start).over(start));
    CHECK_FALSE(Inquiry(record_of({1, 2}, {1}), start).over(start));
    // Who has no vote is not alone.
    CHECK_FALSE(Inquiry(record_of({}, {}), start).over(start));
}

TEST_CASE("it is over when every voter answered and a twin had time to speak, or with patience") {
    auto inquiry = asking();
    CHECK_FALSE(inquiry.take(header_of(2), good_word()).has_value());
    CHECK_FALSE(inquiry.over(start + 1s));  // node 3
    CHECK_FALSE(inquiry.take(header_of(3), good_word()).has_value());
    CHECK_FALSE(inquiry.over(start + Inquiry::at_least - 1ms));
    CHECK(inquiry.over(start + Inquiry::at_least));

    auto half_answered = asking();
    CHECK_FALSE(half_answered.take(header_of(2), good_word()).has_value());
    CHECK_FALSE(half_answered.over(start + Inquiry::patience - 1ms));
    CHECK(half_answered.over(start + Inquiry::patience));

    CHECK_FALSE(asking().over(start + 10 * Inquiry::patience));  // nobody answers
}

TEST_CASE("who is no voter answers for nobody") {
    auto inquiry = asking();
    inquiry.take(header_of(2), good_word());
    inquiry.take(header_of(4), good_word());
    CHECK_FALSE(inquiry.over(start + Inquiry::at_least));
}

TEST_CASE("a voter of the configuration that is being left is asked too") {
    Inquiry inquiry(record_of({1, 2}, {1, 2, 3}), start);
    inquiry.take(header_of(2), good_word());
    CHECK_FALSE(inquiry.over(start + Inquiry::at_least));
    inquiry.take(header_of(3), good_word());
    CHECK(inquiry.over(start + Inquiry::at_least));
}

TEST_CASE("what speaks against this node, and what does not") {
    struct Row {
        const char* what;
        void (*change)(HelloReply&);
        bool stranger;
    };
    const Row rows[] = {
        {"all as remembered", [](HelloReply&) {}, false},
        {"the pool knows this very start", [](HelloReply& r) { r.incarnation = own; }, false},
        {"another start of this number", [](HelloReply& r) { r.incarnation = {5, 51}; }, true},
        {"a later start", [](HelloReply& r) { r.incarnation = {6, 50}; }, true},
        {"it acknowledged less", [](HelloReply& r) { r.acknowledged = {{3}, {29}}; }, false},
        {"it acknowledged a later version", [](HelloReply& r) { r.acknowledged = {{3}, {31}}; },
         true},
        {"it acknowledged in a later term", [](HelloReply& r) { r.acknowledged = {{4}, {2}}; },
         true},
        {"the pool hears another process of it", [](HelloReply& r) { r.another_lives = true; },
         true},
        {"the pool removed it", [](HelloReply& r) { r.is_member = false; }, false},
        {"who answers is of no pool",
         [](HelloReply& r) {
             r.standing = PoolStanding::looking;
             r.incarnation = {6, 50};
         },
         false},
    };
    for (const auto& row : rows) {
        CAPTURE(row.what);
        auto inquiry = asking();
        auto reply = good_word();
        row.change(reply);
        CHECK(inquiry.take(header_of(2), reply).has_value() == row.stranger);
    }
}

TEST_CASE("another process that answers in this node's name is a copy") {
    auto inquiry = asking();
    CHECK_FALSE(inquiry.take(header_of(1, own), good_word()).has_value());  // itself
    const auto why = inquiry.take(header_of(1, {5, 51}), HelloReply{});
    REQUIRE(why.has_value());
    CHECK(why->find("n1:1") != std::string::npos);  // says where
}

TEST_CASE("the highest term that a member knows is remembered") {
    auto inquiry = asking();
    CHECK(inquiry.term() == Term{});
    auto reply = good_word();
    reply.term = {9};
    inquiry.take(header_of(2), reply);
    reply.term = {8};
    inquiry.take(header_of(3), reply);
    CHECK(inquiry.term() == Term{9});
}
