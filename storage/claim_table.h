// Who may have which message of this process: claims, fences, and where in due order the next free
// message may lie.
//
// Place     Between the writer, which makes messages visible, and the readers, which hand them out
//           (storage/record_store.h).
// Contract  A message is free unless it is in the table.
//           The scan of due keys never begins at the head, where the tombstones of all that was
//           delivered lie (33 ms and growing instead of 50 us): it begins at `begin_scan()`. No
//           free message lies below that; whoever makes one free there lowers it.
//           A claim made by a scan is *tentative* until confirm(): the writer may change the
//           message in between, and then the claim is gone and confirm() says so.
// Owner     The record store. Any thread.
// Bounds    One entry for each claimed message, none for the deferred ones.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "proto/types/envelope.h"
#include "storage/queue_key.h"

namespace posthorse::storage {

class ClaimTable {
public:
    // --- the writer
    // Refuses lower epochs from now on; a lower one than before changes nothing.
    void raise(PartitionId partition, Epoch epoch);
    // raise(), and claims of lower epochs are void.
    void fence(PartitionId partition, Epoch epoch);
    // Before the message becomes visible: it is born claimed.
    void born(const Envelope& envelope, Epoch epoch);
    // After a message became visible that nobody has claimed: a notice.
    void born_free(const Envelope& envelope);
    // After the change became visible. Ends a claim that knows an older version only.
    void changed(const Envelope& after);
    // The same, but a claim stays, with the message's new due time.
    void changed_under_claim(const Envelope& after);
    void gone(QueueId id);
    // The partition is no more: its claims and its fence, too.
    void drop(PartitionId partition);

    // --- anyone
    void release(QueueId id);
    Epoch fence_of(PartitionId partition) const;
    std::size_t size() const;

    // --- the readers; scans of one partition do not overlap
    DuePosition begin_scan(PartitionId partition);
    // No free message was found below `reached`.
    void end_scan(PartitionId partition, const DuePosition& reached);
    bool is_free(QueueId id) const;
    // Tentative. False: claimed, or `epoch` is fenced off.
    bool try_claim(QueueId id, Epoch epoch, WallTime due);
    // The claimer read `envelope`. False: the claim has ended meanwhile.
    bool confirm(const Envelope& envelope);

private:
    struct Claim {
        Epoch epoch;
        WallTime due{};
        std::uint64_t version = 0;  // 0: tentative
    };
    struct Partition {
        Epoch fence;
        DuePosition scan_from;
        // Least position that became free since the scan under way began.
        std::optional<DuePosition> freed;
    };

    void lower(QueueId id, WallTime due);

    mutable std::mutex mutex_;
    std::unordered_map<QueueId, Claim> claims_;
    std::map<PartitionId, Partition> partitions_;
};

}  // namespace posthorse::storage
