// The bounds of what peers may cost each other, and what both ends count.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace posthorse::replication {

// --- one message; a pool's value of 64 members and 1,024 partitions takes a fifth of it
inline constexpr int peer_message_bytes_max = 1024 * 1024;

// --- on the way to an address
inline constexpr std::size_t peer_calls_max = 64;
inline constexpr std::size_t peer_call_bytes_max = 4 * 1024 * 1024;
inline constexpr std::size_t peer_addresses_max = 256;

// --- coming in
inline constexpr int peer_streams_max = 64;           // of one connection
inline constexpr std::size_t peer_waiting_max = 512;  // messages that wait for home, of all peers
inline constexpr std::size_t peer_memory_bytes = 32 * 1024 * 1024;

// Why a message that came was not taken: Refusal, by its number, then what the transport finds.
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
