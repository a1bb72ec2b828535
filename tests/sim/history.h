// What clients, remotes and nodes saw, and whether it keeps the promises of docs/architecture.md.
//
// Place     Told by every part of the simulation; nothing of Posthorse sees it.
// Contract  Checks, at the moment of each event:
//             P1  when a client hears 250, the message is synced on every in-sync holder
//             P3  no attempt at a recipient begins while another one is under way, or before
//                 the acceptance is done, or without a lease
//             P4  a recipient gets a message again only when the earlier attempt had no reply,
//                 or its node died before the outcome was settled; and when that node's disk
//                 lived on, the attempt is in doubt in the envelope
//           and at the end:
//             P2  every recipient of what was accepted was delivered or bounced, unless an
//                 operator removed the message
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

namespace posthorse::sim {

using AttemptNumber = std::uint64_t;

struct Custody {
    std::string holder;
    bool durable = false;
};

class History {
public:
    explicit History(const Clock& clock) : clock_(clock) {}

    // --- accepting
    void committing(QueueId id);
    void refused(QueueId id);
    void accepted(const Envelope& envelope, const std::vector<Custody>& holders);

    // --- delivering: `in_doubt` of the envelope as it was claimed
    AttemptNumber begins_to_send(const Envelope& claimed,
                                 const std::vector<std::uint32_t>& recipients,
                                 bool lease_live);
    void took(AttemptNumber attempt, std::uint32_t recipient);
    void reply_lost(AttemptNumber attempt);
    void ended(AttemptNumber attempt);
    // The settlement of the message, with these attempts, is on disk.
    void settled(QueueId id, const std::vector<AttemptNumber>& attempts);
    void bounced(QueueId id, std::uint32_t recipient);

    // --- operating
    void acting(QueueId id, const std::string& action);
    void removing(QueueId id) { removed_.insert(id); }
    enum class Death { process, power };
    void node_died(Death how);

    void fail(QueueId id, const std::string& what);
    // Everything accepted has come to an end.
    bool all_ended() const;
    // Call when the simulation is over.
    void check_end();
    const std::optional<std::string>& violation() const { return violation_; }

    struct Counts {
        std::uint64_t accepted = 0;
        std::uint64_t delivered = 0;
        std::uint64_t duplicates = 0;
        std::uint64_t bounced = 0;
        std::uint64_t deaths = 0;
    };
    const Counts& counts() const { return counts_; }

private:
    struct Attempt {
        QueueId id;
        std::set<std::uint32_t> recipients;
        std::set<std::uint32_t> taken;
        bool ended = false;
        bool lost = false;
        bool settled = false;
        std::optional<Death> died;
    };

    void check_against(const Attempt& earlier, std::uint32_t recipient, const Envelope& claimed);
    std::vector<std::uint32_t> missing(QueueId id, std::size_t recipients) const;

    void tell(QueueId id, const std::string& event);

    const Clock& clock_;
    std::map<QueueId, std::string> stories_;
    std::set<QueueId> committing_;
    std::map<QueueId, std::size_t> accepted_;  // to the number of recipients
    std::set<QueueId> removed_;
    std::map<AttemptNumber, Attempt> attempts_;
    std::map<QueueId, std::vector<AttemptNumber>> attempts_of_;
    std::map<QueueId, std::set<std::uint32_t>> delivered_;
    std::map<QueueId, std::set<std::uint32_t>> bounced_;
    AttemptNumber last_ = 0;
    Counts counts_;
    std::optional<std::string> violation_;
};

}  // namespace posthorse::sim
