// When is an operation of one partition done? The owner's book of sequences and acknowledgements.
//
// Place     Pure core under owned_partition.h.
// Contract  An operation is done when the local store completed it and every other holder that
//           binds acknowledged it: durable for what must survive power (Need::durable), received
//           for intents (Need::received), nothing for what a later operation covers (Need::local).
//           Holders bind from the moment that they are in the set, and a newcomer from bind() on:
//           its owner waits for it before the pool is asked, and until a committed value leaves it
//           out. Only a committed narrower set releases what waits for a member of it.
//           A holder that owes an acknowledgement for longer than `silence` is reported, again and
//           again while it does. An operation older than `give_up` is reported as overdue and
//           forgotten: it may have happened.
// Owner     One partition, for one ownership.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "proto/types/ids.h"
#include "proto/types/time.h"

namespace posthorse::replication {

enum class Need : std::uint8_t { local, received, durable };

class OwnerFsm {
public:
    struct Settings {
        Duration silence;
        Duration give_up;
    };
    struct Effects {
        std::vector<Sequence> done;
        std::vector<Sequence> overdue;
        std::vector<NodeId> silent;  // propose to drop these
    };

    // `holders`: the in-sync set without the owner. `last`: the highest sequence used so far.
    OwnerFsm(Settings settings, const std::vector<NodeId>& holders, Sequence last);

    // The sequence of the next operation, which is now under way.
    Sequence begin(Need need, BootTime now);
    void local_done(Sequence sequence, Effects& out);
    // The local store refused it: it is not waited for any longer.
    void local_failed(Sequence sequence);
    void acknowledged(NodeId holder, Sequence received, Sequence durable, Effects& out);
    // Operations wait for `newcomer` too from now on; this is what it has acknowledged.
    void bind(NodeId newcomer, Sequence received, Sequence durable);
    // A newcomer that the pool was not asked about does not bind any more.
    void unbind(NodeId newcomer, Effects& out);
    // These bind, by a committed value or because the pool may yet decide so.
    void bound(const std::vector<NodeId>& holders, Effects& out);
    void tick(BootTime now, Effects& out);
    // Operations are overdue that much sooner, those under way too.
    void hasten(Duration give_up) { settings_.give_up = std::min(settings_.give_up, give_up); }
    // Operations that only need to be received, and were not for `silence`: not waited for any
    // longer.
    std::vector<Sequence> waive(BootTime now);

    std::vector<NodeId> holders() const;
    bool binds(NodeId holder) const { return holders_.contains(holder); }
    // Has `holder` everything that was done without it?
    bool covers(NodeId holder) const;
    // What every holder that binds has: nobody needs it again.
    Sequence durable_everywhere() const;
    // For how long the slowest holder has owed an acknowledgement.
    Duration owed(BootTime now) const;
    Sequence last() const noexcept { return last_; }
    std::size_t under_way() const noexcept { return operations_.size(); }

private:
    struct Progress {
        Sequence received;
        Sequence durable;
        std::optional<BootTime> reported;
    };
    struct OperationState {
        Need need;
        bool local = false;
        BootTime begun;
    };

    std::optional<BootTime> owes_since(const Progress& progress) const;
    bool holders_have(Sequence sequence, Need need) const;
    void note_done(Sequence sequence, Need need, Effects& out);
    void collect_done(Effects& out);

    Settings settings_;
    std::map<NodeId, Progress> holders_;
    std::map<Sequence, OperationState> operations_;  // under way, in order
    Sequence last_;
    Sequence done_;          // the highest that was done
    Sequence done_durable_;  // and of those that must survive power
};

}  // namespace posthorse::replication
