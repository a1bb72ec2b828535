// Whether so many clients are here that those who dawdle must hurry.
//
// Place     listener.h counts sessions into it; every connection.h asks it how long to wait.
// Contract  A crowd begins at four fifths of the sessions that there may be and ends below three
//           fifths, so that one client more or less does not change it.
//           RFC 5321 section 4.5.3.2.7 asks for patience of five minutes: that holds while there is
//           room. In a crowd a client has `hasty` (timeouts.server_crowded) for each command, for
//           each pause within a message and for its TLS handshake, or the slow keep out the others.
// Owner     count() is called on home; dense() from every shard.
#pragma once

#include <atomic>
#include <cstdint>

#include "proto/types/time.h"

namespace posthorse::intake {

class Crowd {
public:
    explicit Crowd(Duration hasty) : hasty_(hasty) {}

    // Before the first count().
    void set_room(std::uint64_t sessions_max) { room_ = sessions_max; }
    // True: it began or ended just now.
    bool count(std::uint64_t sessions);
    bool dense() const { return dense_.load(std::memory_order_relaxed); }
    // What is left of `patience`.
    Duration bounded(Duration patience) const {
        return dense() && patience > hasty_ ? hasty_ : patience;
    }

private:
    const Duration hasty_;
    std::uint64_t room_ = 0;
    std::atomic<bool> dense_ = false;
};

// Of the whole node, and of a listener that has a bound of its own.
struct Crowds {
    const Crowd& node;
    const Crowd& listener;
    Duration bounded(Duration patience) const { return listener.bounded(node.bounded(patience)); }
};

}  // namespace posthorse::intake
