#include "replication/core/healing.h"

#include "replication/core/placement.h"

namespace posthorse::replication {
namespace {

constexpr Duration invite_again_after = std::chrono::seconds{5};
constexpr Duration avoid_for = std::chrono::seconds{10};
// Of closing partitions.
constexpr std::size_t inviting_max = 8;
// A listener that wants one copy alone fills the solo partition for ever: not one partition a
// second.
constexpr Duration close_every = std::chrono::seconds{30};

}  // namespace

Healing::Steps Healing::due(const PoolState& pool,
                            std::span<const ShortSet> sets,
                            const Situation& here,
                            BootTime now) {
    std::erase_if(next_invitation_, [&](const auto& entry) { return now >= entry.second; });
    std::erase_if(avoided_until_, [&](const auto& entry) { return now >= entry.second; });
    const auto may_invite = [&](NodeId node) {
        return here.reached(node) && !avoided_until_.contains(node);
    };
    Steps steps;
    auto inviting = here.inviting;
    for (const auto& [state, has_mail] : sets) {
        const bool open = state->phase == PartitionPhase::open;
        if (!has_mail && (!open || state->solo)) continue;
        if (state->solo && open) {
            if (may_close(here, inviting > 0, now)) steps.close.push_back(state->id);
            continue;
        }
        if (here.draining && next_owner(pool, *state, here.reached)) continue;
        const bool in_line = !open && !here.urgent && inviting >= inviting_max;
        if (in_line || next_invitation_.contains(state->id)) continue;
        const auto node = next_holder(pool, *state, may_invite);
        if (!node) continue;
        next_invitation_[state->id] = now + invite_again_after;
        inviting += open ? 0 : 1;
        steps.invite.emplace_back(state->id, *node);
    }
    return steps;
}

void Healing::avoid(NodeId node, BootTime now) {
    avoided_until_[node] = now + avoid_for;
}

bool Healing::may_close(const Situation& here, bool inviting, BootTime now) {
    if (!here.leaving && (inviting || now < next_close_)) return false;
    next_close_ = now + close_every;
    return true;
}

}  // namespace posthorse::replication
