// 128-bit fingerprints of states, and the set of those that were seen.
//
// Contract  A state is taken for known when its fingerprint is. Among n states two share one with a
//           probability of about n * n / 2^129: for a thousand million states 1 in 10^21.
// Bounds    16 bytes a slot, at most 7 of 8 slots used; doubling needs the old and the new table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace posthorse::model {

constexpr std::uint64_t mix(std::uint64_t word) {  // the finaliser of splitmix64: a bijection
    word += 0x9E3779B97F4A7C15u;
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
    return word ^ (word >> 31);
}

struct Fingerprint {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    static Fingerprint of(std::string_view bytes) {
        Fingerprint print{mix(bytes.size()), mix(~bytes.size())};
        for (const char byte : bytes) {
            const auto word = static_cast<std::uint8_t>(byte);
            print = {mix(print.high ^ word), mix(print.low + word + 0x5851F42D4C957F2Du)};
        }
        return print;
    }
    // Of a set of parts: their sum, whatever their order.
    Fingerprint& operator+=(const Fingerprint& part) {
        high += part.high;
        low += part.low;
        return *this;
    }
    auto operator<=>(const Fingerprint&) const = default;
};

class FingerprintSet {
public:
    // True: it is new.
    bool insert(Fingerprint print) {
        if (print == Fingerprint{}) print.low = 1;  // zero marks an empty slot
        if ((size_ + 1) * 8 > slots_.size() * 7) grow();
        if (!place(slots_, print)) return false;
        size_ += 1;
        return true;
    }
    std::size_t size() const { return size_; }
    std::size_t bytes() const { return slots_.size() * sizeof(Fingerprint); }

private:
    static bool place(std::vector<Fingerprint>& slots, const Fingerprint& print) {
        const std::size_t mask = slots.size() - 1;
        std::size_t at = print.low & mask;
        while (slots[at] != Fingerprint{}) {
            if (slots[at] == print) return false;
            at = (at + 1) & mask;
        }
        slots[at] = print;
        return true;
    }
    void grow() {
        std::vector<Fingerprint> larger(slots_.size() * 2);
        for (const auto& print : slots_) {
            if (print != Fingerprint{}) place(larger, print);
        }
        slots_ = std::move(larger);
    }

    std::vector<Fingerprint> slots_ = std::vector<Fingerprint>(1 << 12);
    std::size_t size_ = 0;
};

}  // namespace posthorse::model
