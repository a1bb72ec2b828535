// One handler for each alternative of a std::variant, for std::visit.
#pragma once

namespace posthorse::storage {

template <class... Handlers>
struct Overloaded : Handlers... {
    using Handlers::operator()...;
};

}  // namespace posthorse::storage
