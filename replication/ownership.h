// What this node owns and holds: follows the pool's value, speaks with the other holders, and makes
// short sets whole.
//
// Place     Between replicated_queue.h, which knows messages, and the parts that know partitions:
//           take_up.h, owned_partition.h, held_partitions.h. The one receiver of the peers' frames.
// Contract  What the pool takes is given up before pool_changed() returns; what it gives is taken
//           up first (take_up.h) and then told by `taken`.
//           Closing partitions without mail are retired, and short sets with mail widened
//           (core/healing.h).
//           While this node drains, each partition goes to a holder that stays, as soon as there is
//           one and nothing of it is under way; the copies that are missing then are made by that
//           one, in a hurry, and this node holds on until they are (core/handed_over.h).
// Owner     ReplicatedQueue, on home.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "replication/core/handed_over.h"
#include "replication/core/healing.h"
#include "replication/held_partitions.h"
#include "replication/kept_streams.h"
#include "replication/owned_partition.h"
#include "replication/short_mail.h"
#include "replication/take_up.h"
#include "replication/takeover_times.h"

namespace posthorse::replication {

class Ownership final : public PeerStreams::Receiver {
public:
    struct Settings {
        OwnedPartition::Settings partition;
        std::uint64_t heal_bytes_per_second = 32 * 1024 * 1024;
    };
    struct Events {
        // May be used from now on. An error: what kept it from being used.
        std::function<void(PartitionId, Result<void>)> taken;
        std::function<void(PartitionId)> given_up;
        std::function<void(Tell)> told;
        std::function<void(NodeId)> up;
        // Nothing of the partition is claimed or arriving.
        std::function<bool(PartitionId)> is_quiet;
    };
    struct Ports {
        const Clock& clock;
        storage::QueueStore& store;
        ControlPlane& control;
        PeerStreams& streams;
        Executor& home;
    };

    Ownership(Ports ports, Settings settings, Events events, AttemptBook& attempts);
    ~Ownership() override;

    void pool_changed(const PoolState& state);
    void tick();
    // This node is about to leave: copies are made as fast as it goes.
    void hurry();
    // This node's time is over: who waits for holders is answered soon.
    void hasten();

    OwnedPartition* find(PartitionId id);
    const OwnedPartition* find(PartitionId id) const;
    const std::map<PartitionId, std::shared_ptr<OwnedPartition>>& all() const {
        return partitions_;
    }
    std::size_t taking_up() const noexcept { return taking_up_.size(); }
    // Its own, and it may not use them yet: others were not heard, or there was no room.
    std::size_t not_taken_up() const noexcept { return taking_up_.size() + untaken_.size(); }
    bool drains() const noexcept { return drains_; }
    bool is_up(NodeId node) const { return streams_.is_up(node); }
    void send(NodeId node, Frame frame) { ports_.streams.send(node, std::move(frame)); }

    const ShortMail& short_mail() const { return short_mail_; }
    // Once for each takeover: since when its mail has waited (takeover_times.h).
    std::optional<BootTime> taken_over_since(PartitionId id) { return takeover_times_.take(id); }
    // Nothing is left to hand over or to retire.
    bool owns_nothing() const { return partitions_.empty() && handed_over_.empty(); }
    // This store cannot read the body of a message of its own: a holder's copy replaces it.
    void fetch_body(QueueId id);
    std::uint64_t mended() const;
    std::uint64_t intents_waived() const noexcept { return intents_waived_; }
    std::size_t copying() const { return held_.copying(); }
    HeldPartitions& held() { return held_; }
    // --- PeerStreams::Receiver
    void up(NodeId node) override;
    void down(NodeId node) override;
    void answered(NodeId node, Frame frame) override;
    void drained(NodeId node) override;
    void came(LinkId link, const PeerStreams::Peer& from, Frame frame) override;
    void ended(LinkId link) override;
    void drained(LinkId link) override;

private:
    template <class Call>
    auto while_alive(Call call);
    void own(const PartitionState& state);
    void taken_up(const PartitionState& state, Result<storage::Position> base);
    void disown(PartitionId id);
    void went_down(NodeId node);
    void propose(Change change);
    void silent(const PartitionState& state, NodeId holder);
    void tend(OwnedPartition& partition);
    void heal();
    bool may_have_mail(const OwnedPartition& partition) const;
    void look_for_empty(BootTime now);
    void mend(PartitionId id);
    void retire(PartitionId id, OwnedPartition& partition);
    void look_for_mail(PartitionId id, Epoch epoch);
    void hand_over();
    std::function<bool(NodeId)> reached() const;
    // Copies are made as fast as it goes: somebody waits for them, who is about to leave.
    bool is_urgent() const { return hurries_ || somebody_leaves_; }
    void drop_garbage(const PoolState& state);

    const Ports ports_;
    Settings settings_;
    const Events events_;
    Pace pace_;
    HeldPartitions held_;
    std::map<PartitionId, std::shared_ptr<OwnedPartition>> partitions_;  // may be used
    std::map<PartitionId, std::shared_ptr<TakeUp>> taking_up_;
    // Their sequences and ids go on when they come back in their epoch.
    std::map<PartitionId, std::shared_ptr<OwnedPartition>> former_;
    HandedOver handed_over_;
    std::set<PartitionId> retiring_;  // closing, with an owner: empty when they go
    std::uint64_t pool_incarnation_ = 0;
    KeptStreams streams_;
    Healing healing_;
    std::set<PartitionId> damaged_;  // some of their mail cannot be read here
    BootTime next_heal_{};
    BootTime next_look_{};
    BootTime next_mend_{};
    std::vector<PartitionState> untaken_;  // there was no room for what it lacks: once more
    BootTime next_take_up_{};
    TakeoverTimes takeover_times_;
    ShortMail short_mail_;
    BootTime next_look_for_oldest_{};
    std::uint64_t intents_waived_ = 0;
    bool hurries_ = false;
    bool drains_ = false;
    bool somebody_leaves_ = false;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace posthorse::replication
