// The bounds of what peers may cost each other, and what both ends count.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace posthorse::replication {

// --- one message about the pool; a value of 256 members, and 4,096 partitions that two of them
// hold, takes a quarter of it
inline constexpr int peer_message_bytes_max = 1024 * 1024;

// --- one message of a stream of mail. Frames that wait go together up to the first; the largest
// that goes alone is the settlement of a message for a thousand recipients, with its notices. The
// port as a whole takes messages up to the second.
inline constexpr std::size_t exchange_batch_bytes = 512 * 1024;
inline constexpr int exchange_message_bytes_max = 8 * 1024 * 1024;
static_assert(exchange_message_bytes_max > peer_message_bytes_max);

// What of a stream may be on its way before its receiver has read it: a batch goes out whole, and
// does not wait in its middle for the other end to make room.
inline constexpr int exchange_window_bytes = 1024 * 1024;
static_assert(exchange_window_bytes >= 2 * static_cast<int>(exchange_batch_bytes));

// --- on the way to an address
inline constexpr std::size_t peer_calls_max = 64;
inline constexpr std::size_t peer_call_bytes_max = 4 * 1024 * 1024;
inline constexpr std::size_t peer_addresses_max = 256;

// --- an answer of a peer's other services, on the channels that are lent for them
inline constexpr int peer_answer_bytes_max = 4 * 1024 * 1024;

// --- coming in
inline constexpr int peer_streams_max = 64;           // of one connection
inline constexpr std::size_t peer_waiting_max = 512;  // messages that wait for home, of all peers
inline constexpr std::size_t peer_memory_bytes = 64 * 1024 * 1024;
inline constexpr std::size_t exchange_streams_max = 256;  // of all peers
// Frames of one stream that home has, and has not worked off: nothing is read above it.
inline constexpr std::size_t exchange_unread_bytes = 4 * 1024 * 1024;

// Why a message or a stream that came was not taken: Refusal, by its number, then what the
// transport finds.
inline constexpr std::size_t refused_malformed = 6;
inline constexpr std::size_t refused_wrong_name = 7;
inline constexpr std::size_t refused_no_certificate = 8;
inline constexpr std::size_t refused_too_many = 9;
inline constexpr std::size_t refused_reasons = 10;

// Both gRPC's threads and home count.
struct PeerCounters {
    std::atomic<std::uint64_t> sent = 0;
    std::atomic<std::uint64_t> failed = 0;
    std::atomic<std::uint64_t> dropped = 0;
    std::atomic<std::uint64_t> received = 0;
    std::array<std::atomic<std::uint64_t>, refused_reasons> refused{};
};

}  // namespace posthorse::replication
