// This node's place in its pool: the agreement, the way to peers, and where they are found.
//
// Place     Wiring, as node.cc, which owns it: joins the control plane (control_wiring.h) to the
// peer
//           network and to the queue.
// Contract  Without pool.join or etcd nothing listens and nobody is asked: the pool is this node.
//           take_aside() comes before the queue is opened: a node that the pool disowned begins as
//           a new one, with an empty queue; the copies stay beside it.
// Owner     Node; every call on home. The references outlive it. stop() comes before its end.
// Errors    open() and listen() name the file or address, and the mend.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "daemon/admin/admin_ports.h"
#include "daemon/config/config.h"
#include "daemon/control_wiring.h"
#include "daemon/pool/late_streams.h"
#include "daemon/runtime/metrics.h"
#include "daemon/runtime/shard.h"
#include "replication/edge/peer_network.h"
#include "replication/peer_streams.h"
#include "replication/replicated_queue.h"
#include "storage/queue_store.h"

namespace posthorse {

class PoolMembership {
public:
    // `must_end` is called when this node cannot go on; what and why is logged already.
    PoolMembership(const config::Config& config,
                   runtime::Shard& home,
                   const Clock& clock,
                   storage::QueueStore& store,
                   std::function<void()> must_end);
    ~PoolMembership();
    PoolMembership(const PoolMembership&) = delete;
    PoolMembership& operator=(const PoolMembership&) = delete;

    static Result<void> take_aside(const std::string& data_dir, WallTime now);

    Result<void> open();
    // Of a pool of one they lead nowhere.
    replication::PeerStreams& streams() { return streams_; }
    // Further services of the peer port; before listen(). They outlive stop().
    void serve(grpc::Service& service) { services_.push_back(&service); }
    Result<void> listen();
    // To another node; null where nothing listens.
    std::shared_ptr<grpc::Channel> channel(const std::string& address);
    replication::MembershipControl& control() { return wiring_.control(); }
    const replication::MembershipControl& control() const { return wiring_.control(); }
    // The names of the directories that are still set aside.
    void set_aside_left(std::vector<std::string> names);
    void tick();
    // What this node waits for before it is live in its pool.
    std::string not_entered_why() const;
    // Who does not renew the lease that is over.
    std::string no_lease_why() const;
    // Why a node that is live should not take the place of another yet; empty: it may.
    std::string not_ready_why();
    // An operator drains this node, or it is about to leave.
    bool drains() const;
    // What could not be read; the old certificates stay in use then.
    std::vector<std::string> reload();
    admin::PoolPorts admin_ports();
    void export_figures(runtime::Metrics& metrics);

    // Nothing new comes to this node from here on, and what it has is copied as fast as it goes.
    void begin_leaving(replication::ReplicatedQueue& queue);
    // Waits until others hold what this node has, as far as the time goes, and ends this
    // incarnation: the pool gives what it owned to them. False: only this node has some of its
    // mail.
    boost::asio::awaitable<bool> leave(replication::ReplicatedQueue& queue, BootTime until);
    boost::asio::awaitable<void> stop();

private:
    void report_peers();
    bool has_peers() const;
    // A live member that is not known to have renewed its lease since; empty: all have.
    std::string not_heard_since(BootTime since) const;
    bool votes_are_settled() const;
    template <class Condition>
    boost::asio::awaitable<void> wait_while(Condition holds, BootTime until);
    admin::PoolView view() const;
    replication::PeerNetworkFigures peer_figures() const;

    const config::Config& config_;
    runtime::Shard& home_;
    const Clock& clock_;
    ControlWiring wiring_;
    std::unique_ptr<replication::PeerNetwork> peers_;
    LateStreams streams_;
    std::optional<BootTime> asked_ready_;  // first, since this node is live
    bool whole_ = false;  // the pool's messages had their copies once since this node is live
    std::vector<grpc::Service*> services_;
    std::vector<std::string> set_aside_;  // data directories beside the queue
    std::set<std::string> unreachable_;   // addresses; said once
    BootTime next_report_{};
};

}  // namespace posthorse
