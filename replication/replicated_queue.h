// The queue as the daemon sees it: one queue on `copies` disks, one owner at a time.
//
// Place     Stages 2 to 7 call it; it drives storage/queue_store.h, the holders and the control
//           plane. The daemon sees no partition, epoch or holder.
// Contract  commit() completes with success only when the message is durable on every in-sync
//           holder (P1): the caller's "250" waits for it. `unknown` means that it may have
//           happened. Every write is stamped with the partition's epoch and refused without a
//           live lease (P3).
//           A message that this node may deliver is handed out by claim(), or by commit() itself
//           (born claimed), and comes back by settle() or park(): exactly one of the two.
//           Operators' actions apply at once, on claimed messages too: an attempt under way learns
//           of it from may_send_dot(). A removed message is nobody's: settle() finds it no more.
// Owner     node.cc. One executor ("home", the store's and the control plane's): every call is made
//           and every completion runs there, some before the call returns.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "proto/types/envelope.h"
#include "proto/types/result.h"
#include "replication/control_plane.h"
#include "replication/holder_link.h"
#include "replication/owned_partition.h"
#include "storage/queue_store.h"

namespace posthorse::replication {

// How an attempt (or several that ran side by side) ended for a claimed message.
struct Settlement {
    QueueId id;
    std::vector<RecipientOutcome> outcomes;
    WallTime next_due{};              // for recipients still pending afterwards
    std::vector<NewMessage> notices;  // bounce or warning; ids are minted by the queue
    bool warned = false;              // the notices hold the delay warning
    std::vector<std::uint32_t> ended_attempts;
    std::vector<HistoryEvent> events;  // for the message's history, in this order
};

enum class Action : std::uint8_t {
    retry,   // due now
    hold,    // no attempt until resume
    resume,  // due now
    remove,  // ends without a bounce; audited by the caller
};

// What becomes of an attempt whose end nobody knows (P4), once there is nobody left to ask.
enum class InDoubtPolicy : std::uint8_t { resend, hold, bounce };

struct QueueCounters {
    std::uint64_t messages = 0;
    std::uint64_t claimed = 0;
    std::uint64_t in_doubt = 0;          // attempts found without an outcome since start
    std::uint64_t under_replicated = 0;  // messages with fewer holders than `copies`
};

class ReplicatedQueue {
public:
    struct Settings {
        // Then a commit that the holders did not acknowledge is withdrawn, and refused.
        Duration replication_timeout = std::chrono::seconds{60};
        // Then a holder is proposed to be dropped from the in-sync set.
        Duration holder_silence = std::chrono::seconds{1};
        // The lease must outlast the final dot by this much.
        Duration drift_margin = std::chrono::milliseconds{500};
        InDoubtPolicy in_doubt = InDoubtPolicy::resend;
        std::function<std::uint32_t()> random;  // spreads messages over the open partitions
    };

    // All references must outlive the queue.
    ReplicatedQueue(const Clock& clock,
                    storage::QueueStore& store,
                    ControlPlane& control,
                    HolderLinks& holders,
                    Settings settings);
    ~ReplicatedQueue();
    ReplicatedQueue(const ReplicatedQueue&) = delete;
    ReplicatedQueue& operator=(const ReplicatedQueue&) = delete;

    // Takes up the partitions that the pool state gives this node, now and whenever it gives
    // others: fences them, and resolves the attempts in doubt (they are counted in their envelopes
    // and due again at once). Completes when this node is live in its pool and the first are taken
    // up.
    void start(Completion<> done);
    // Takes no new message. What is under way goes on.
    void stop_accepting() { accepting_ = false; }
    // Drives time-outs; call it every 100 ms or so.
    void tick();

    // --- accept
    // Mints the id of a message that begins to arrive. unavailable: no lease or stopping. full.
    void begin(std::uint64_t size_hint_bytes, Completion<QueueId> done);
    void append(QueueId id, std::uint32_t index, Chunk bytes, Completion<> done);
    // Requires begin(). On success the message is claimed: settle() or park() it. On any error but
    // `unknown` nothing remains of it.
    void commit(Envelope envelope, Chunk head, Completion<> done);
    // Ends what begin() began. Ignored after commit().
    void abort(QueueId id);

    // --- deliver
    // Due messages of the partitions that this node owns, at most `limit`.
    void claim(std::size_t limit, Completion<std::vector<Envelope>> done);
    // When claim() is worth calling next; `never` when nothing waits.
    void next_due(Completion<WallTime> done);
    // Completes when the attempt's record has reached the log and every in-sync holder.
    void intend(Intent intent, Completion<> done);
    // Asked just before the octets that end the message: lease live by the drift margin, message
    // neither removed nor held meanwhile.
    bool may_send_dot(QueueId id) const;
    void settle(Settlement settlement, Completion<> done);
    // Gives a claim back for a later time without an attempt.
    void park(QueueId id, WallTime due);

    // --- operate
    void act(QueueId id, Action action, std::string why, Completion<Envelope> done);
    // Claims a message for an operator's bounce (settle() follows). conflict: being delivered.
    void claim_one(QueueId id, Completion<Envelope> done);
    void find(QueueId id, Completion<Envelope> done);
    void chunk(QueueId id, std::uint32_t index, Completion<Chunk> done);
    // Messages with ids above `after`, in id order within a partition; a short page is the end.
    void list(QueueId after, std::size_t limit, Completion<std::vector<Envelope>> done);
    // Called when messages became due without a claim: retry, resume, notices, takeover.
    void on_due(UniqueFunction<void()> wake) { wake_ = std::move(wake); }
    // Called after an operator's action is durable: what the scheduler has of it is out of date.
    void on_acted(UniqueFunction<void(QueueId, Action)> acted) { acted_ = std::move(acted); }
    // InDoubtPolicy::bounce: takes the claimed message, and must settle() it. Set before start().
    void on_bounce_in_doubt(UniqueFunction<void(Envelope)> bounce) {
        bounce_in_doubt_ = std::move(bounce);
    }
    // Nothing is claimed, arriving or under way.
    bool idle() const;
    // What this node still owns is closing, and holds mail: nothing more can go without copies.
    bool only_mail_is_left() const;

    // Is the partition taken up here, so that list() and find() see all of it?
    bool owns(PartitionId id) const { return partitions_.contains(id); }
    // Is the message handed out for delivery?
    bool delivering(QueueId id) const { return claimed_.contains(id); }
    QueueCounters counters() const;

private:
    struct Claimed {
        Envelope envelope;                    // in its newest state
        std::vector<std::uint32_t> intended;  // attempts recorded since it was claimed
    };

    // Given up in this process.
    struct Former {
        std::shared_ptr<OwnedPartition> partition;
        std::vector<QueueId> undecided;  // born claimed, and nobody knows whether accepted
    };

    template <class Call>
    auto while_alive(Call call);
    bool lease_live() const;
    OwnedPartition* owned(QueueId id);
    OwnedPartition* choose_open();
    void own(const PartitionState& state);
    bool is_taking_up(const PartitionState& state) const;
    void fenced(const PartitionState& state, Result<void> result);
    void begin_with(const PartitionState& state, Result<std::vector<Intent>> intents);
    std::shared_ptr<OwnedPartition> make_partition(const PartitionState& state);
    void taken_up(Result<void> result);
    void disown(PartitionId id);
    bool still_owns(QueueId id);
    void retire_when_empty(PartitionId id);
    bool is_quiet(PartitionId id) const;
    void resolve_message(QueueId id, std::vector<Intent> open);
    void in_doubt_recorded(QueueId id);
    void pool_changed(const PoolState& state);
    void submit(QueueId id, OwnedPartition::AnyChange change, Completion<> done);
    void withdraw(Envelope envelope, Completion<> done);
    void mint_notices(QueueId cause, std::vector<NewMessage>& notices);
    void apply_action(Envelope current,
                      Action action,
                      const std::string& why,
                      Completion<Envelope> done);
    void wake();

    const Clock& clock_;
    storage::QueueStore& store_;
    ControlPlane& control_;
    HolderLinks& holders_;
    Settings settings_;
    bool accepting_ = false;
    std::map<PartitionId, std::shared_ptr<OwnedPartition>> partitions_;  // fenced: may be used
    std::map<PartitionId, Epoch> taking_up_;
    // Their sequences and ids go on when they come back in their epoch.
    std::map<PartitionId, Former> former_;
    std::map<PartitionId, BootTime> next_retirement_;
    std::set<PartitionId> with_mail_;  // closing ones, when last looked at
    Completion<> started_;
    Result<void> first_taken_up_;
    std::unordered_map<QueueId, std::uint32_t> arriving_;  // chunks appended so far
    std::unordered_map<QueueId, Claimed> claimed_;
    std::uint64_t in_doubt_ = 0;
    UniqueFunction<void()> wake_;
    UniqueFunction<void(QueueId, Action)> acted_;
    UniqueFunction<void(Envelope)> bounce_in_doubt_;
    std::shared_ptr<char> alive_ =
        std::make_shared<char>();  // completions that come late see it gone
};

}  // namespace posthorse::replication
