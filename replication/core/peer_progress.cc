#include "replication/core/peer_progress.h"

#include <algorithm>

namespace posthorse::replication {
namespace {

constexpr Duration not_yet_pause = std::chrono::milliseconds{50};
constexpr Duration failed_pause = std::chrono::seconds{1};

}  // namespace

void PeerProgress::reopen() {
    if (phase_ != Phase::down) phase_ = Phase::opening;
    again_at_.reset();
}

void PeerProgress::refused(HolderRefusal why, BootTime now) {
    if (phase_ == Phase::down) return;
    phase_ = Phase::opening;
    needs_listing_ = needs_listing_ || why == HolderRefusal::gap;
    const bool soon = why == HolderRefusal::not_yet || why == HolderRefusal::gap;
    again_at_ = now + (soon ? not_yet_pause : failed_pause);
}

bool PeerProgress::open_due(BootTime now) {
    if (phase_ != Phase::opening || !again_at_ || now < *again_at_) return false;
    again_at_.reset();
    return true;
}

// A copy is a part of this history when it stands where the ownership began, or behind operations
// of this ownership of which all that follow are at hand.
std::optional<Follow> PeerProgress::standing(const Standing& standing, const History& history) {
    if (phase_ != Phase::opening || again_at_ || standing.slice.epoch != opened_)
        return std::nullopt;
    const auto& at = standing.at;
    Follow follow{standing.slice, Sequence{history.last.value + 1}, true};
    if (!needs_listing_) {
        const bool of_this_ownership = at.epoch >= history.first_epoch && at.last <= history.last;
        if (of_this_ownership && at.last.value + 1 >= history.retained.value)
            follow = {standing.slice, Sequence{at.last.value + 1}, false};
        else if (at == history.base && history.retained <= Sequence{1})
            follow = {standing.slice, Sequence{1}, false};
    }
    needs_listing_ = false;
    next_ = follow.next;
    received_.value = follow.next.value - 1;
    phase_ = follow.listing ? Phase::listing : Phase::following;
    return follow;
}

bool PeerProgress::acknowledged(const Ack& ack) {
    if (!sends() || ack.slice.epoch != opened_ || ack.received >= next_) return false;
    phase_ = Phase::following;  // the first after a listing says that it is whole
    received_ = std::max(received_, ack.received);
    return true;
}

bool PeerProgress::overrun(Sequence retained) {
    if (!sends() || next_ >= retained) return false;
    phase_ = Phase::opening;
    needs_listing_ = true;
    return true;
}

}  // namespace posthorse::replication
