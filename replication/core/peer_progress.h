// How far one other holder of one partition is: the owner's end of their conversation.
//
// Place     Pure core under owned_partition.h, beside owner_fsm.h, which judges what is done.
// Contract
//              up               standing: same history     listed
//     down ---------> opening ------------------------> following
//       ^               | ^ |                               ^
//       |  stream ends  | | | standing: another history     | the listing is whole (its first ack)
//       +---------------+ | +---------------------------> listing
//                         |                                  |
//                         +---- refused, epoch changed ------+
//
//           Operations from next() on may be sent in `listing` and `following`, in order. A holder
//           whose next operation is not retained any more is behind: it starts again with a
//           listing.
// Owner     OwnedPartition, for each holder, for one ownership.
#pragma once

#include <cstdint>
#include <optional>

#include "proto/types/time.h"
#include "replication/core/data_message.h"

namespace posthorse::replication {

class PeerProgress {
public:
    enum class Phase : std::uint8_t { down, opening, listing, following };

    // The owner's history, as far as a holder's copy may be a part of it.
    struct History {
        storage::Position base;  // where the copies stood when this ownership began
        Epoch first_epoch;       // of this ownership
        Sequence retained;       // the first operation that is still at hand
        Sequence last;           // the last one
    };

    Phase phase() const noexcept { return phase_; }
    // The next operation to send.
    Sequence next() const noexcept { return next_; }
    // The last one that it has, as far as it said since it was opened.
    Sequence received() const noexcept { return received_; }
    bool sends() const noexcept { return phase_ == Phase::listing || phase_ == Phase::following; }

    void up() { phase_ = Phase::opening; }
    void down() { phase_ = Phase::down; }
    // The epoch changed, or what the holder has is not what was thought: Open must be sent.
    void reopen();
    void refused(HolderRefusal why, BootTime now);
    // True, once: Open is due, after a pause.
    bool open_due(BootTime now);
    // What to answer to its Standing. nullopt: nobody asked.
    std::optional<Follow> standing(const Standing& standing, const History& history);
    // True: it counts, for it has all that was sent before.
    bool acknowledged(const Ack& ack);
    void sent(Sequence sequence) { next_.value = sequence.value + 1; }
    // What it needs next is not retained any more. True: it must be opened again.
    bool overrun(Sequence retained);
    // Acks count only when they are of the newest Open.
    std::optional<Epoch> opened() const noexcept { return opened_; }
    void opened(Epoch epoch) { opened_ = epoch; }

private:
    Phase phase_ = Phase::down;
    Sequence next_{1};
    Sequence received_{0};
    std::optional<Epoch> opened_;  // by the Open that was sent last
    std::optional<BootTime> again_at_;
    bool needs_listing_ = false;
};

}  // namespace posthorse::replication
