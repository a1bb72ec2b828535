#include "daemon/runtime/heap.h"

#include <doctest/doctest.h>

#include <chrono>
#include <memory_resource>
#include <thread>
#include <vector>

using namespace posthorse::runtime;

namespace {

constexpr std::size_t mib = 1024 * 1024;

constexpr bool is_sanitised() {
#if defined(__has_feature)
    return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
    return false;
#endif
}

// What a flood leaves behind: much is free, and what is at the end is used. (Allocations by way of
// a memory resource are made: of others the compiler may think that nobody needs them.)
struct Flooded {
    Flooded() {
        constexpr std::size_t block = 64 * 1024;
        std::pmr::vector<std::pmr::vector<char>> blocks;
        for (std::size_t made = 0; made < 4 * heap_slack_bytes; made += block)
            blocks.emplace_back(block, 'x');
        end.resize(block);
    }
    std::pmr::vector<char> end;
};

}  // namespace

TEST_CASE("holes are given back when they are large, and not again when they stay") {
    TrimmingRule rule;
    CHECK_FALSE(rule.wants({100 * mib, 80 * mib}));
    CHECK(rule.wants({200 * mib, 80 * mib}));
    rule.trimmed({160 * mib, 80 * mib});
    CHECK_FALSE(rule.wants({160 * mib, 80 * mib}));
    CHECK_FALSE(rule.wants({190 * mib, 80 * mib}));
    CHECK(rule.wants({200 * mib, 80 * mib}));
    SUBCASE("what was used meanwhile counts anew") {
        CHECK_FALSE(rule.wants({160 * mib, 160 * mib}));
        CHECK(rule.wants({160 * mib, 80 * mib}));
    }
}

// Sanitisers have a heap of their own.
TEST_CASE("after a flood the heap gives its memory back" * doctest::skip(is_sanitised())) {
    keep_heap_for_chunks();
    const Flooded flooded;
    REQUIRE(heap_figures().slack() > heap_slack_bytes);
    const HeapTrimmer trimmer(std::chrono::milliseconds{5});
    const auto give_up_at = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (heap_figures().slack() > heap_slack_bytes &&
           std::chrono::steady_clock::now() < give_up_at)
        std::this_thread::yield();
    CHECK(heap_figures().slack() < heap_slack_bytes);
}
