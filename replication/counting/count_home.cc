#include "replication/counting/count_home.h"

#include <algorithm>
#include <cstdint>

namespace posthorse::replication {
namespace {

// FNV-1a, and the finaliser of MurmurHash3: every node computes the same, whatever its library.
std::uint64_t weight(std::string_view name, const NodeId& member) {
    std::uint64_t hash = 0xCBF29CE484222325u;
    const auto take = [&](std::uint8_t octet) { hash = (hash ^ octet) * 0x100000001B3u; };
    for (const auto octet : member.bytes) take(octet);
    for (const char c : name) take(static_cast<std::uint8_t>(c));
    hash = (hash ^ (hash >> 33)) * 0xFF51AFD7ED558CCDu;
    hash = (hash ^ (hash >> 33)) * 0xC4CEB9FE1A85EC53u;
    return hash ^ (hash >> 33);
}

}  // namespace

std::vector<NodeId> homes_of(std::string_view name, const std::vector<NodeId>& members) {
    auto homes = members;
    std::ranges::sort(homes, [&](const NodeId& a, const NodeId& b) {
        const auto of_a = weight(name, a);
        const auto of_b = weight(name, b);
        return of_a != of_b ? of_a > of_b : a < b;
    });
    homes.resize(std::min<std::size_t>(homes.size(), 2));
    return homes;
}

}  // namespace posthorse::replication
