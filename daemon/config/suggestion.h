// "Did you mean": the known word nearest to a mistyped one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace posthorse::config {

// The candidate with the fewest single-letter edits from `word`; empty when none is near enough to
// be what was meant (a third of its letters, at least one).
std::string nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace posthorse::config
