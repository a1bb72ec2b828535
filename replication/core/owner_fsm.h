// When is an operation of one partition done? The owner's book of sequences and acknowledgements.
//
// Place     Pure core under owned_partition.h.
// Contract  An operation is done when the local store completed it and every other in-sync holder
//           acknowledged it: durable for what must survive power (Need::durable), received for
//           intents (Need::received), nothing for what a later operation covers (Need::local).
//           A holder that owes an acknowledgement for longer than `silence` is reported once, to be
//           dropped from the set by agreement; only a committed narrower set releases what waits
//           for it. An operation older than `give_up` is reported as overdue and forgotten: it may
//           have happened.
// Owner     One partition in one epoch.
#pragma once

#include <cstdint>
#include <map>
#include <set>
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
    // A committed state has this in-sync set (without the owner). It never widens here.
    void narrowed(const std::vector<NodeId>& holders, Effects& out);
    void tick(BootTime now, Effects& out);

    std::vector<NodeId> holders() const;
    std::size_t under_way() const noexcept { return operations_.size(); }

private:
    struct Progress {
        Sequence received;
        Sequence durable;
        bool reported = false;
    };
    struct OperationState {
        Need need;
        bool local = false;
        BootTime begun;
    };

    bool holders_have(Sequence sequence, Need need) const;
    void collect_done(Effects& out);

    Settings settings_;
    std::map<NodeId, Progress> holders_;
    std::map<Sequence, OperationState> operations_;  // under way, in order
    Sequence last_;
};

}  // namespace posthorse::replication
