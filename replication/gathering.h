// Collects the answers of several partitions and answers once.
#pragma once

#include <iterator>
#include <optional>
#include <vector>

#include "proto/types/ids.h"
#include "proto/types/result.h"

namespace posthorse::replication {

inline Error no_such_message(QueueId id) {
    return {Errc::not_found, "no message " + id.to_string() + " in this node's partitions"};
}

// An answer that fails is left out, unless all do.
template <class T>
struct Gathering {
    std::size_t missing = 0;
    std::vector<T> items;
    std::optional<Error> failure;
    Completion<std::vector<T>> done;

    void add(Result<std::vector<T>> part) {
        if (part) {
            std::move(part->begin(), part->end(), std::back_inserter(items));
        } else {
            failure = part.error();
        }
        if (--missing > 0) return;
        if (failure && items.empty()) return done(*failure);
        done(std::move(items));
    }
};

}  // namespace posthorse::replication
