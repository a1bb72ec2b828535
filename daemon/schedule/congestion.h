// How much one destination bears: its concurrency window, and whether it is down.
//
// Place     One in each per-destination queue of schedule_core.h.
// Contract  Pure. The window begins at `window_initial`, grows by one for each window's worth of
//           completed transactions and shrinks by one with each failure to get through, as in
//           Postfix's scheduler: additive both ways, so that a server that limits its sessions
//           settles the window at its limit.
//           After `failures_before_down` failures with no success between, the destination is
//           down: its gate is closed until retry_at(), then lets one probe through. Each probe
//           that fails doubles the wait; one success opens the gate.
// Owner     One destination's queue.
#pragma once

#include <cstdint>

#include "daemon/schedule/backoff.h"
#include "proto/types/time.h"

namespace posthorse::schedule {

class Congestion {
public:
    static constexpr std::uint32_t window_initial = 5;
    static constexpr std::uint32_t failures_before_down = 3;

    enum class Gate : std::uint8_t {
        open,
        probe,   // one message may go, to see
        closed,  // none until retry_at(), or until the probe's end
    };

    Congestion(std::uint32_t window_max, RetryBounds down_bounds);

    Gate gate(BootTime now) const;
    // Requires gate() == probe; it is closed until the probe ends.
    void begin_probe();
    // The probe did not take place.
    void withdraw_probe() { probing_ = false; }

    // Something is to do, after nothing was: the pace counts from here.
    void busy_from(BootTime now) { paced_at_ = now; }
    // A transaction was completed, whatever its replies.
    void good(BootTime now);
    // Nobody could be asked. True: the destination went down by it, or is down still.
    bool unreachable(BootTime now, std::uint32_t random);
    // An operator says: try now.
    void revive();

    // Transactions that may run at once.
    std::uint32_t window() const { return down_ ? 1 : window_; }
    bool down() const { return down_; }
    BootTime retry_at() const { return retry_at_; }
    // How long `waiting` messages will take at the pace of late; a guess when none completed yet.
    Duration drain_time(std::size_t waiting) const;
    // Nothing is known that a new object would not know.
    bool pristine() const;

private:
    void measure_pace(BootTime now);

    std::uint32_t window_max_;
    RetryBounds down_bounds_;
    std::uint32_t window_;
    std::uint32_t successes_ = 0;  // since the window last grew
    std::uint32_t failures_ = 0;   // in a row
    bool down_ = false;
    bool probing_ = false;
    std::uint32_t downs_ = 0;  // waits in a row
    BootTime retry_at_{};
    // Of late: how many transactions ended, in how much time. Both fade, so that neither a burst
    // of ends nor a pause between two of them is taken for the pace.
    double ended_ = 0;
    double took_ms_ = 0;
    BootTime paced_at_{};
};

}  // namespace posthorse::schedule
