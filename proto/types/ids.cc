#include "proto/types/ids.h"

#include "proto/types/assert.h"

namespace posthorse {
namespace {

constexpr std::string_view crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

// The value of one Crockford digit, or -1.
int crockford_value(char c) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == 'O') c = '0';
    if (c == 'I' || c == 'L') c = '1';
    const auto at = crockford.find(c);
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

std::string NodeId::to_string() const {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const auto byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

std::optional<NodeId> NodeId::parse(std::string_view text) {
    NodeId id;
    if (text.size() != id.bytes.size() * 2) return std::nullopt;
    for (std::size_t i = 0; i < id.bytes.size(); ++i) {
        const int high = hex_value(text[2 * i]);
        const int low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        id.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
    }
    return id;
}

QueueId QueueId::make(WallTime minted, PartitionId partition, Epoch epoch, std::uint32_t counter) {
    const auto ms =
        static_cast<std::uint64_t>(minted.time_since_epoch().count()) & 0xFFFF'FFFF'FFFFu;
    const std::uint64_t high = (ms << 16) | (partition.value >> 16);
    const std::uint64_t low = (std::uint64_t{partition.value & 0xFFFFu} << 48) |
                              ((epoch.value & 0xFF'FFFFu) << 24) | (counter & 0xFF'FFFFu);
    return {high, low};
}

QueueId QueueId::from_bytes(std::string_view sixteen_bytes) {
    PH_ASSERT(sixteen_bytes.size() == byte_length);
    std::uint64_t half[2] = {0, 0};
    for (std::size_t i = 0; i < byte_length; ++i) {
        half[i / 8] = (half[i / 8] << 8) | static_cast<std::uint8_t>(sixteen_bytes[i]);
    }
    return {half[0], half[1]};
}

std::string QueueId::to_bytes() const {
    std::string bytes(byte_length, '\0');
    for (std::size_t i = 0; i < 8; ++i) {
        bytes[i] = static_cast<char>(high_ >> (56 - 8 * i));
        bytes[8 + i] = static_cast<char>(low_ >> (56 - 8 * i));
    }
    return bytes;
}

// 26 digits hold 130 bits: the first digit carries only the top 3.
std::string QueueId::to_string() const {
    std::string text(text_length, '0');
    unsigned __int128 rest = (static_cast<unsigned __int128>(high_) << 64) | low_;
    for (std::size_t i = text_length; i-- > 0; rest >>= 5) {
        text[i] = crockford[static_cast<std::size_t>(rest & 31)];
    }
    return text;
}

std::optional<QueueId> QueueId::parse(std::string_view text) {
    if (text.size() != text_length) return std::nullopt;
    unsigned __int128 whole = 0;
    for (std::size_t i = 0; i < text_length; ++i) {
        const int digit = crockford_value(text[i]);
        if (digit < 0 || (i == 0 && digit > 7)) return std::nullopt;
        whole = (whole << 5) | static_cast<unsigned>(digit);
    }
    return QueueId(static_cast<std::uint64_t>(whole >> 64), static_cast<std::uint64_t>(whole));
}

WallTime QueueId::minted() const {
    return WallTime{std::chrono::milliseconds{static_cast<std::int64_t>(high_ >> 16)}};
}

PartitionId QueueId::partition() const {
    return {static_cast<std::uint32_t>(((high_ & 0xFFFFu) << 16) | (low_ >> 48))};
}

}  // namespace posthorse
