// The queue as the daemon sees it: one queue on `copies` disks, one owner at a time.
//
// Place     Stages 2 to 7 call it; it drives ownership.h (partitions and holders), the store and
//           the control plane. The daemon sees no partition, epoch or holder.
// Contract  commit() completes with success only when the message is durable on every in-sync
//           holder (P1): the caller's "250" waits for it. `unknown` means that it may have
//           happened. Every write is stamped with the partition's epoch and refused without a
//           live lease (P3).
//           A message that this node may deliver is handed out by claim(), or by commit() itself
//           (born claimed), and comes back by settle() or park(): exactly one of the two, after any
//           number of settlements that go on.
//           Operators' actions apply at once, on claimed messages too: an attempt under way learns
//           of it from may_send_dot(). A removed message is nobody's: settle() finds it no more.
//           Attempts of others that were cut off are in doubt (P4): they are counted, and their
//           message waits `in_doubt_wait` for the node that made them to tell; then the policy
//           decides.
//           A message whose claims, `poison_attempts` of them one after another, ended with their
//           node or not by themselves is poison: it is held. An attempt of a node that is up and
//           has not told yet, an orderly stop, and one that another node tells of do not count.
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
#include "replication/attempt_book.h"
#include "replication/control_plane.h"
#include "replication/doubt_ledger.h"
#include "replication/head_shelf.h"
#include "replication/ownership.h"
#include "storage/queue_store.h"

namespace posthorse::replication {

// How an attempt (or several that ran side by side) ended for a claimed message.
struct Settlement {
    QueueId id;
    std::vector<RecipientOutcome> outcomes;
    WallTime next_due{};              // for recipients still pending afterwards
    std::optional<AttemptEnd> end{};  // as Ended::end
    std::vector<NewMessage> notices;  // bounce or warning; ids are minted by the queue
    bool warned = false;              // the notices hold the delay warning
    std::vector<std::uint32_t> ended_attempts;
    std::vector<HistoryEvent> events;  // for the message's history, in this order
    bool goes_on = false;  // other attempts run still: it stays claimed, and due when it was
    std::string hold_why;  // not empty: what is pending is held
};

enum class Action : std::uint8_t {
    retry,   // due now
    hold,    // no attempt until resume
    resume,  // due now
    remove,  // ends without a bounce; audited by the caller
};

// What becomes of an attempt whose end nobody knows (P4), once there is nobody left to ask.
enum class InDoubtPolicy : std::uint8_t { resend, hold, bounce };

// What becomes of new mail when no open partition has as many holders as it should.
enum class ShortPolicy : std::uint8_t {
    degrade,  // it is taken with fewer copies, counted, and copied as soon as that can be
    refuse,
};

// Of the partitions that this node owns.
struct QueueCounters {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;  // of these, as they are sent
    std::uint64_t claimed = 0;
    std::uint64_t in_doubt = 0;          // attempts found without an outcome since start
    std::uint64_t undecided = 0;         // of those: nobody told yet, and the policy waits
    std::uint64_t under_replicated = 0;  // messages with fewer holders than `copies`
    Duration under_replicated_age{};     // of the oldest of these
    std::uint64_t lag = 0;               // operations that some holder has not synced
    std::uint64_t intents_alone = 0;     // recorded here only: nobody could be asked or dropped
    std::uint64_t takeovers = 0;         // partitions taken up since start
    std::uint64_t not_taken_up = 0;      // partitions of this node whose mail waits for that
    std::uint64_t copying = 0;           // copies of others that are being made whole here
    std::uint64_t held = 0;              // messages of others that are held here
    std::uint64_t held_bytes = 0;        // of these
    std::uint64_t mended = 0;            // records that another holder had, since start
};

// Where a count of the mail of all partitions, one after the other, goes on.
struct SummaryPlace {
    PartitionId partition;  // all before it are counted
    storage::DuePosition at{};
    bool operator==(const SummaryPlace&) const = default;
};

struct Summarized {
    storage::QueueSummary summary;
    std::optional<SummaryPlace> next;  // nullopt: that was all
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
        // For the node that made an attempt to come back and tell. Past the final dot's time-out.
        Duration in_doubt_wait = std::chrono::minutes{11};
        std::uint32_t poison_attempts = 3;  // 0: there is no such guard
        // Before its last attempt such a message waits for a random part of this time: others that
        // were merely under way beside it go alone.
        Duration poison_spread = std::chrono::minutes{5};
        ShortPolicy when_short = ShortPolicy::degrade;
        std::uint64_t heal_bytes_per_second = 32 * 1024 * 1024;
        std::function<std::uint32_t()> random;  // spreads messages over the open partitions
    };

    // All references must outlive the queue.
    ReplicatedQueue(const Clock& clock,
                    storage::QueueStore& store,
                    ControlPlane& control,
                    PeerStreams& streams,
                    Executor& home,
                    Settings settings);
    ~ReplicatedQueue();
    ReplicatedQueue(const ReplicatedQueue&) = delete;
    ReplicatedQueue& operator=(const ReplicatedQueue&) = delete;

    // Takes up the partitions that the pool state gives this node, now and whenever it gives
    // others: fences them, asks the other holders, and finds the attempts in doubt. Completes when
    // this node is live in its pool and may use the first of them.
    void start(Completion<> done);
    // Takes no new message. What is under way goes on.
    void stop_accepting() { accepting_ = false; }
    // Drives time-outs; call it every 50 ms or so.
    void tick();
    // This node is about to leave: what lacks copies is copied as fast as it goes.
    void hurry() { ownership_.hurry(); }
    // This node's time is over: who waits for holders that do not answer hears so in a second.
    void hasten() { ownership_.hasten(); }
    // Every message has as many holders that stay as it should.
    bool all_copied() const { return ownership_.short_mail().all_copied(); }
    // What it owned was handed over, and what was empty retired.
    bool owns_nothing() const { return ownership_.owns_nothing(); }
    // Attempts of this node ended when their message had been given to another, which has not asked
    // yet how, and puts them in doubt until it hears.
    bool will_be_asked() const;
    // Some messages have no holder that stays: this node must not be thrown away.
    bool is_last_holder() const { return ownership_.short_mail().held_by_nobody_else() > 0; }
    bool has_mail_of(const std::vector<PartitionId>& partitions) const;

    // --- accept
    // Mints the id of a message that begins to arrive; `copies` 0: as many as the pool says.
    // unavailable: no lease, stopping, or too few holders. full.
    void begin(std::uint64_t size_hint_bytes, std::uint32_t copies, Completion<QueueId> done);
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
    // neither removed nor held nor given to others meanwhile, and the attempt's intent recorded.
    bool may_send_dot(QueueId id, std::uint32_t attempt) const;
    // Is it this node's right to act at all?
    bool lease_live() const;
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
    // Adds up to `limit` messages; for the rest see storage::QueueStore::summarize().
    void summarize(SummaryPlace from,
                   storage::QueueSummary so_far,
                   std::size_t limit,
                   Completion<Summarized> done);
    // Called when messages became due without a claim: retry, resume, notices, takeover.
    void on_due(UniqueFunction<void()> wake) { wake_ = std::move(wake); }
    // Called after an operator's action is durable: what the scheduler has of it is out of date.
    void on_acted(UniqueFunction<void(QueueId, Action)> acted) { acted_ = std::move(acted); }
    // InDoubtPolicy::bounce: takes the claimed message, and must settle() it: of its doubts, the
    // recipients failed and the attempts ended. Set before start().
    void on_bounce_in_doubt(UniqueFunction<void(Envelope)> bounce) {
        bounce_in_doubt_ = std::move(bounce);
    }
    // How an attempt in doubt ended, as the node that made it told: takes the claimed message, and
    // must settle() it with the attempt among `ended_attempts`. Set before start().
    using Told = UniqueFunction<void(Envelope, std::uint32_t, std::vector<RecipientOutcome>)>;
    void on_told(Told told) { told_ = std::move(told); }
    // An attempt is in doubt from now on: its message says so, durably.
    void on_doubt(UniqueFunction<void(const Intent&)> doubt) { doubt_ = std::move(doubt); }
    // The message was held by the guard against poison; it is durable.
    void on_poison(UniqueFunction<void(const Envelope&)> poison) { poison_ = std::move(poison); }
    // A partition of another node is served here: it took so long since this node lost that one,
    // or, when it did not, since the pool gave the partition to this node.
    void on_taken_over(UniqueFunction<void(Duration)> taken_over) {
        taken_over_ = std::move(taken_over);
    }
    // A partition could not be taken up, and why: its mail waits. Each time that it was tried.
    void on_not_taken_up(UniqueFunction<void(PartitionId, const Error&)> not_taken_up) {
        not_taken_up_ = std::move(not_taken_up);
    }
    // Nothing is claimed, arriving or under way.
    bool idle() const;

    // Is the partition taken up here, so that list() and find() see all of it?
    bool owns(PartitionId id) const { return ownership_.find(id) != nullptr; }
    // Is the message handed out for delivery?
    bool delivering(QueueId id) const { return claimed_.contains(id); }
    QueueCounters counters() const;

private:
    struct Claimed {
        Envelope envelope;                    // in its newest state
        std::vector<std::uint32_t> intended;  // attempts begun since it was claimed
        std::set<std::uint32_t> recorded;     // of those, known to every holder
        Chunk head = nullptr;                 // of one that was accepted just now
    };

    template <class Call>
    auto while_alive(Call call) {
        return
            [alive = std::weak_ptr<char>(alive_), call = std::move(call)](auto&&... args) mutable {
                if (!alive.expired()) call(std::forward<decltype(args)>(args)...);
            };
    }
    OwnedPartition* owned(QueueId id) { return ownership_.find(id.partition()); }
    OwnedPartition* choose_open(std::uint32_t copies);
    std::size_t holders_wanted(std::uint32_t copies) const;
    bool is_quick(const OwnedPartition& partition) const;
    void wake();

    // --- partitions come and go
    void partition_taken(PartitionId id, Result<void> result);
    void partition_given_up(PartitionId id);
    // `since`: the number of take-ups when the claim was asked for.
    bool still_owns(QueueId id, std::uint64_t since);
    std::vector<Envelope> hand_out(std::vector<Envelope> found, std::uint64_t since);
    std::vector<std::pair<PartitionId, Epoch>> claimable() const;
    bool is_quiet(PartitionId id) const;
    void submit(QueueId id, OwnedPartition::AnyChange change, Completion<> done);
    void withdraw(Envelope envelope, Completion<> done);

    // --- attempts in doubt
    void find_doubts(PartitionId id);
    void served(PartitionId id);
    using Open = std::map<QueueId, std::vector<Intent>>;
    void doubt_all(PartitionId id, QueueId after, std::shared_ptr<Open> open);
    void vouch();
    void note_doubts(QueueId id, std::vector<Intent> open, UniqueFunction<void()> done = {});
    void put_in_doubt(const Envelope& claimed,
                      std::vector<Intent> open,
                      UniqueFunction<void()> done = {});
    void decide_doubts(Envelope claimed, std::vector<Envelope>& hand_out);
    // --- the guard against poison
    std::uint32_t claims_cut_off(const Envelope& claimed) const;
    bool is_poison(const Envelope& after) const;
    Envelope held(Envelope after, const std::string& why) const;
    Envelope held_as_poison(Envelope after) const;
    void set_aside(const Envelope& claimed, Envelope held);
    bool may_be_last(const Envelope& before, const Envelope& decided) const;
    void put_apart(const Envelope& claimed, Envelope decided);

    void ask_about_doubts(NodeId node);
    void told(Tell tell);
    void told_of(ToldAttempt attempt);

    // --- settling
    Envelope with_events(Envelope after, const Envelope& before, std::vector<HistoryEvent> events);
    std::vector<storage::AttemptOutcome> to_remember(const Settlement& settlement);
    void settled(const Settlement& settlement, bool remembered);
    void late(const Settlement& settlement);
    void mint_notices(QueueId cause, std::vector<NewMessage>& notices);
    void apply_action(Envelope current,
                      Action action,
                      const std::string& why,
                      Completion<Envelope> done);
    HistoryEvent event(std::string what) const;

    const Clock& clock_;
    storage::QueueStore& store_;
    ControlPlane& control_;
    Settings settings_;
    AttemptBook attempts_;
    DoubtLedger doubts_;
    Ownership ownership_;
    bool accepting_ = false;
    Completion<> started_;
    std::unordered_map<QueueId, std::uint32_t> arriving_;  // chunks appended so far
    std::unordered_map<QueueId, Claimed> claimed_;
    HeadShelf heads_;
    // Born claimed, and nobody knows whether they were accepted: their partition went meanwhile.
    std::map<PartitionId, std::vector<QueueId>> undecided_;
    // Of those that are owned: which of this process's take-ups that comes from.
    std::map<PartitionId, std::uint64_t> taken_;
    std::set<PartitionId> claimable_;  // their attempts in doubt are claimed
    // Settled attempts whose outcomes every holder has by now.
    std::map<PartitionId, std::vector<std::pair<QueueId, std::uint32_t>>> known_everywhere_;
    // Attempts in doubt at messages whose record could not be read when they were found.
    Open unread_doubts_;
    std::set<PartitionId> to_vouch_;
    BootTime next_vouch_{};
    std::uint64_t in_doubt_ = 0;
    std::uint64_t takeovers_ = 0;
    UniqueFunction<void()> wake_;
    UniqueFunction<void(QueueId, Action)> acted_;
    UniqueFunction<void(Envelope)> bounce_in_doubt_;
    Told told_;
    UniqueFunction<void(const Intent&)> doubt_;
    UniqueFunction<void(const Envelope&)> poison_;
    UniqueFunction<void(Duration)> taken_over_;
    UniqueFunction<void(PartitionId, const Error&)> not_taken_up_;
    std::shared_ptr<char> alive_ =
        std::make_shared<char>();  // completions that come late see it gone
};

}  // namespace posthorse::replication
