// Are two messages, frames, changes or records the same all through? Values of a pool and chunks of
// a body are looked into, where their own == compares addresses.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include <boost/pfr.hpp>

#include "replication/core/control_message.h"
#include "replication/core/data_message.h"

namespace posthorse::tests {

template <class T>
bool same(const T& one, const T& other);

inline bool same_part(const replication::Value& one, const replication::Value& other) {
    return one == nullptr || other == nullptr ? one == other : *one == *other;
}
inline bool same_part(const Chunk& one, const Chunk& other) {
    return one == nullptr || other == nullptr ? one == other : *one == *other;
}
inline bool same_part(const Error& one, const Error& other) {
    return one.code == other.code && one.what == other.what;
}
template <class T>
bool same_part(const std::optional<T>& one, const std::optional<T>& other) {
    if (!one || !other) return one.has_value() == other.has_value();
    return same(*one, *other);
}
template <class... T>
bool same_part(const std::variant<T...>& one, const std::variant<T...>& other) {
    if (one.index() != other.index()) return false;
    return std::visit(
        [&](const auto& value) {
            return same(value, std::get<std::remove_cvref_t<decltype(value)>>(other));
        },
        one);
}
template <class T>
bool same_part(const std::vector<T>& one, const std::vector<T>& other) {
    if (one.size() != other.size()) return false;
    for (std::size_t i = 0; i < one.size(); ++i) {
        if (!same(one[i], other[i])) return false;
    }
    return true;
}

// Types whose == is deep already; all others are taken apart.
template <class T>
concept Plain = std::is_same_v<T, NodeId> || !std::is_aggregate_v<T>;

template <class T>
bool same(const T& one, const T& other) {
    if constexpr (requires { same_part(one, other); }) {
        return same_part(one, other);
    } else if constexpr (Plain<T>) {
        return one == other;
    } else {
        bool all = true;
        boost::pfr::for_each_field(one, [&](const auto& field, auto index) {
            all = all && same(field, boost::pfr::get<index()>(other));
        });
        return all;
    }
}

}  // namespace posthorse::tests
