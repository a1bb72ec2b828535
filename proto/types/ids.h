// The names of things in a pool. None converts into another or into a bare integer by accident.
//
// Place     Used by every rank. docs/glossary.md says what each word means.
// Contract  All are small values, totally ordered, hashable where maps want them.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "proto/types/time.h"

namespace posthorse {

// An integer with a meaning. `Tag` keeps one kind from being passed for another.
template <class Tag, class Rep>
struct StrongId {
    Rep value{};
    constexpr auto operator<=>(const StrongId&) const = default;
};

using PartitionId = StrongId<struct PartitionTag, std::uint32_t>;  // never reused in a pool
using Epoch = StrongId<struct EpochTag, std::uint64_t>;            // of one partition; only grows
using Sequence = StrongId<struct SequenceTag, std::uint64_t>;  // of operations in one epoch's log
using PoolVersion = StrongId<struct PoolVersionTag, std::uint64_t>;
using Term = StrongId<struct TermTag, std::uint64_t>;  // of the pool's agreement: one leader each

// Made once for each data directory; 128 random bits.
struct NodeId {
    std::array<std::uint8_t, 16> bytes{};
    auto operator<=>(const NodeId&) const = default;
    std::string to_string() const;  // 32 hexadecimal digits
    static std::optional<NodeId> parse(std::string_view text);
};

// One start of a node: a counter that grows with each start and a random number, so that two
// starts from copies of one data directory are told apart.
struct Incarnation {
    std::uint64_t counter = 0;
    std::uint64_t random = 0;
    auto operator<=>(const Incarnation&) const = default;
};

// Names a message for ever, whoever owns it (P6). 128 bits, big-endian in order of significance:
//   48 bits  milliseconds since 1970 (UTC) when it was minted
//   32 bits  partition
//   24 bits  low bits of the partition's epoch
//   24 bits  counter within the epoch
// Unique in the pool because a partition has one owner in an epoch. Printed as 26 characters of
// Crockford base32, so that text order is time order.
class QueueId {
public:
    static constexpr std::size_t text_length = 26;
    static constexpr std::size_t byte_length = 16;

    constexpr QueueId() = default;  // the least id; names no message
    static QueueId make(WallTime minted, PartitionId partition, Epoch epoch, std::uint32_t counter);
    static QueueId from_bytes(std::string_view sixteen_bytes);
    // Accepts lower case and Crockford's look-alikes (O, I, L). nullopt: not an id.
    static std::optional<QueueId> parse(std::string_view text);

    std::string to_string() const;
    std::string to_bytes() const;  // 16 bytes, big-endian: byte order is id order
    WallTime minted() const;
    PartitionId partition() const;

    constexpr auto operator<=>(const QueueId&) const = default;
    std::size_t hash() const {
        return static_cast<std::size_t>(high_ ^ (low_ * 0x9E3779B97F4A7C15u));
    }

private:
    constexpr QueueId(std::uint64_t high, std::uint64_t low) : high_(high), low_(low) {}
    std::uint64_t high_ = 0;
    std::uint64_t low_ = 0;
};

}  // namespace posthorse

template <>
struct std::hash<posthorse::QueueId> {
    std::size_t operator()(const posthorse::QueueId& id) const noexcept { return id.hash(); }
};
template <class Tag, class Rep>
struct std::hash<posthorse::StrongId<Tag, Rep>> {
    std::size_t operator()(posthorse::StrongId<Tag, Rep> id) const noexcept {
        return std::hash<Rep>{}(id.value);
    }
};
