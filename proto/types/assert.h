// PH_ASSERT: a bug in this program, found. It stays on in production: a node that no longer knows
// what it holds must stop before it acknowledges anything (P1, P2).
#pragma once

namespace posthorse {

// Prints where and what to standard error and aborts.
[[noreturn]] void assert_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace posthorse

#define PH_ASSERT(expression) \
    ((expression) ? void(0) : ::posthorse::assert_failed(#expression, __FILE__, __LINE__))
