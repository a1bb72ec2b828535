// What clients, remotes and nodes saw, and whether it keeps the promises of docs/architecture.md.
//
// Place     Told by every part of the simulation; nothing of Posthorse sees it.
// Contract  Checks, at the moment of each event:
//             P1  when a client hears 250, the message is synced on every holder that the pool's
//                 newest value names
//             P3  a dot is sent only by the owner that the pool's newest value names, under a live
//                 lease, after the acceptance is done, and never while another attempt at the same
//                 recipient may still be taken
//             P4  every holder knows of an attempt before its dot, unless nobody can be asked or
//                 dropped; and a recipient gets a message again only when the remote's reply was
//                 lost, when the earlier attempt is counted as in doubt in the envelope that is
//                 sent, when the power that failed took the record of it, or when it could be told
//                 to nobody
//             no message that was refused, removed or settled for good is sent again
//             a sender hears of a recipient only when there is a reason, and hears once, but for
//             attempts in doubt
//           and at the end:
//             P2  every recipient of what was accepted was delivered or bounced, unless an operator
//                 removed the message
//           Only the first violation is kept: what comes after it may be its consequence.
//           A violation ends with the story of its message.
// Owner     One Simulation.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proto/types/envelope.h"
#include "proto/types/time.h"
#include "tests/sim/control/journal.h"
#include "tests/sim/pool/counts.h"

namespace posthorse::sim::pool {

using AttemptNumber = std::uint64_t;
// One start of a node.
using ProcessNumber = std::uint64_t;

struct Custody {
    std::string holder;
    bool durable = false;
};

// How things stood when the dot was sent.
struct Right {
    ProcessNumber process = 0;
    std::string who;
    bool lease_live = false;
    bool owner = false;                   // by the newest value that anybody knows to be committed
    std::optional<std::string> ignorant;  // a holder that does not know of the attempt
    bool unevictable = false;             // nobody could be dropped, nor take over (two voters)
};

class History {
public:
    History(const World& world, control::Journal& journal, Counts& counts)
        : world_(world), journal_(journal), counts_(counts) {}

    bool in_doubt_may_bounce = false;  // the policy of this run

    // --- accepting
    void committing(const Envelope& envelope, ProcessNumber process, const std::string& where);
    void refused(QueueId id, bool unknown);
    void accepted(const Envelope& envelope, const std::vector<Custody>& holders);

    // --- delivering
    void intended(const Intent& intent);
    AttemptNumber begins_to_send(const Envelope& claimed,
                                 std::uint32_t attempt,
                                 const std::vector<std::uint32_t>& recipients,
                                 const Right& right);
    // What the remote says to one recipient, and then that it has spoken of all.
    void took(AttemptNumber attempt, std::uint32_t recipient);
    void refused(AttemptNumber attempt, std::uint32_t recipient);
    void decided(AttemptNumber attempt);
    void reply_lost(AttemptNumber attempt);
    // The settlement of the message, with these attempts, is on every holder's disk.
    void settled(QueueId id, const std::vector<AttemptNumber>& attempts, bool done);
    void expired(QueueId id) { expired_.insert(id); }
    // The sender was told about a recipient, by the notice `notice`.
    void bounced(QueueId notice, QueueId id, std::uint32_t recipient);

    // --- operating
    void tell(QueueId id, const std::string& event);
    void removing(QueueId id) { removed_.insert(id); }
    void removed(QueueId id);

    // --- trouble
    void process_ended(ProcessNumber process);
    using AttemptName = std::pair<QueueId, std::uint32_t>;
    // Those whose records somebody may still need.
    std::vector<AttemptName> open_attempts() const;
    void power_took(const AttemptName& attempt);
    // One copy of its record, and what that alone said of the message, is lost.
    void rotted(QueueId id) { rotted_.insert(id); }
    // An operator removed its last holder: what others have of it may have come to its end.
    void unvouched(PartitionId partition) { unvouched_.insert(partition); }

    void fail(QueueId id, const std::string& what);
    // Everything accepted has come to an end.
    bool all_ended() const;
    // Call when the simulation is over.
    void check_end();

private:
    struct Attempt {
        QueueId id;
        std::uint32_t name = 0;
        ProcessNumber process = 0;
        std::uint32_t in_doubt = 0;  // of the envelope as it was claimed
        std::set<std::uint32_t> recipients;
        std::set<std::uint32_t> taken;
        bool decided = false;
        bool lost = false;
        bool settled = false;
        bool ended = false;  // with its process
        bool alone = false;  // only the sender could be told of it
    };

    void check_message(const Envelope& claimed, const Right& right);
    void check_against(const Attempt& earlier, std::uint32_t recipient, const Envelope& claimed);
    void check_bounces(QueueId id, std::uint32_t recipient, const std::set<QueueId>& notices);
    std::vector<std::uint32_t> missing(QueueId id, std::size_t recipients) const;
    bool was_in_doubt(QueueId id, std::uint32_t recipient) const;
    bool was_on_its_own(QueueId id) const;
    // What became of it is known, perhaps, from an earlier time only.
    bool forgotten(QueueId id) const {
        return rotted_.contains(id) || unvouched_.contains(id.partition());
    }

    const World& world_;
    control::Journal& journal_;
    Counts& counts_;
    std::map<QueueId, std::string> names_;
    std::map<QueueId, std::string> stories_;
    std::map<QueueId, ProcessNumber> committing_;
    std::set<QueueId> refused_;
    std::map<QueueId, std::size_t> accepted_;  // to the number of recipients
    std::set<QueueId> removed_;                // asked for
    std::set<QueueId> gone_;                   // removed, or settled for good
    std::set<QueueId> expired_;
    std::map<QueueId, std::uint32_t> in_doubt_;  // most that was seen in its envelope
    std::set<AttemptName> open_;                 // begun, and not settled
    std::set<AttemptName> power_took_;           // their records, from one disk at least
    std::set<QueueId> rotted_;
    std::set<PartitionId> unvouched_;
    std::map<AttemptNumber, Attempt> attempts_;
    std::map<QueueId, std::vector<AttemptNumber>> attempts_of_;
    std::map<QueueId, std::set<std::uint32_t>> intended_;
    std::map<QueueId, std::set<std::uint32_t>> delivered_;
    std::map<QueueId, std::set<std::uint32_t>> refusals_;
    std::map<QueueId, std::map<std::uint32_t, std::set<QueueId>>> bounced_;
    AttemptNumber last_ = 0;
};

}  // namespace posthorse::sim::pool
