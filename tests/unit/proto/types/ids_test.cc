#include "proto/types/ids.h"

#include <doctest/doctest.h>

using namespace posthorse;

TEST_CASE("a queue id names its time and partition and survives text and bytes") {
    const WallTime when{std::chrono::milliseconds{1'795'313'234'567}};
    const auto id = QueueId::make(when, PartitionId{0xABCD1234}, Epoch{77}, 0x00ABCDEF);
    CHECK(id.minted() == when);
    CHECK(id.partition() == PartitionId{0xABCD1234});
    CHECK(id.to_string().size() == QueueId::text_length);
    CHECK(QueueId::parse(id.to_string()) == id);
    CHECK(QueueId::from_bytes(id.to_bytes()) == id);
}

TEST_CASE("text order and byte order are time order") {
    const WallTime when{std::chrono::milliseconds{1'795'313'234'567}};
    const auto earlier = QueueId::make(when, PartitionId{9}, Epoch{9}, 9);
    const auto later =
        QueueId::make(when + std::chrono::milliseconds{1}, PartitionId{1}, Epoch{1}, 1);
    CHECK(earlier < later);
    CHECK(earlier.to_string() < later.to_string());
    CHECK(earlier.to_bytes() < later.to_bytes());
}

TEST_CASE("parsing takes look-alikes and lower case, and refuses what is no id") {
    const auto id =
        QueueId::make(WallTime{std::chrono::milliseconds{32}}, PartitionId{1}, Epoch{0}, 0);
    auto text = id.to_string();
    for (auto& c : text) {
        if (c == '0') c = 'o';
        if (c == '1') c = 'l';
    }
    CHECK(QueueId::parse(text) == id);
    CHECK_FALSE(QueueId::parse(""));
    CHECK_FALSE(QueueId::parse(id.to_string() + "0"));
    CHECK_FALSE(QueueId::parse("../../../../../etc/passwd0"));
    CHECK_FALSE(QueueId::parse("ZZZZZZZZZZZZZZZZZZZZZZZZZZ"));  // above 128 bits
}

TEST_CASE("a node id survives text") {
    NodeId node;
    for (std::size_t i = 0; i < node.bytes.size(); ++i)
        node.bytes[i] = static_cast<std::uint8_t>(i * 17);
    CHECK(NodeId::parse(node.to_string()) == node);
    CHECK_FALSE(NodeId::parse("0g"));
}
