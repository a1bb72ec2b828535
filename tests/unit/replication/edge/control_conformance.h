// What every control plane must do, whichever it is, and what it is tested with.
//
// Place     control_conformance.cc has the cases, written against MembershipControl alone;
//           control_rigs.h has a rig for each control plane. Another one needs another rig.
// Contract  Nodes are numbered from 1. While time goes on, at every step, no two nodes may own one
//           partition under live leases: whoever breaks that fails the case that is running.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "replication/membership_control.h"
#include "tests/unit/support/temporary_directory.h"

namespace posthorse::tests {

class ControlRig {
public:
    virtual ~ControlRig() = default;

    // --- what a case does
    // A node with an empty disk; its pool begins when `expect` are there, with 0 by itself.
    void add(int number, unsigned expect);
    void start(int number);
    void make_pool(int nodes);  // of 1 ... nodes, which all act
    void stop(int number);      // as by `kill -9`
    void leave(int number);     // then left()
    void freeze(int number) { nodes_.at(number).frozen = true; }
    void thaw(int number) { nodes_.at(number).frozen = false; }
    // Its queue's store syncs nothing any more, or does again.
    void hang_store(int number) { nodes_.at(number).store_hangs = true; }
    void mend_store(int number) { nodes_.at(number).store_hangs = false; }
    // From all others, or from what all agree through.
    virtual void cut_off(int number) = 0;
    virtual void let_through(int number) = 0;
    // The control plane's part of the disk, of nodes that do not run.
    void copy_disk(int from, int to);
    // What came of it.
    Result<void> propose(int number, replication::Change change);
    // Until it holds; false: it never does.
    bool advance_until(const std::function<bool()>& condition);

    // --- what it looks at
    replication::MembershipControl& control(int number) { return *nodes_.at(number).control; }
    const replication::PoolState& value(int number) { return control(number).committed(); }
    NodeId id(int number) { return control(number).self(); }
    bool started(int number) const { return nodes_.at(number).started; }
    bool left(int number) const { return nodes_.at(number).left; }
    const std::string& stranger(int number) const { return nodes_.at(number).stranger; }
    // Its incarnation lives, under a lease.
    bool acts(int number);
    std::size_t owned(int number);
    virtual BootTime now() const = 0;

    // --- of the rig itself: two owners are noted, and no failure
    void tolerate_two_owners() { tolerates_two_owners_ = true; }
    const std::string& two_owners() const { return two_owners_; }

protected:
    struct Node {
        TemporaryDirectory directory;
        unsigned expect = 0;
        std::unique_ptr<replication::MembershipControl> control;  // null: off
        bool frozen = false;
        bool store_hangs = false;
        std::vector<Completion<>> unsynced;  // probes that wait for the store
        bool started = false;
        bool left = false;
        std::string stranger;
    };

    virtual std::unique_ptr<replication::MembershipControl> open(int number, Node& node) = 0;
    virtual void close(int number, Node& node) = 0;
    virtual void step() = 0;  // some milliseconds go by
    virtual bool patience_ends(BootTime since) const = 0;

    replication::Facts facts(int number) const;
    std::uint64_t random() { return random_ = random_ * 6364136223846793005u + 1; }
    // A synced write of the node's store, as the port has it.
    void probe(Node& node, Completion<> done);
    void tick(Node& node);
    void shut_down();  // by the destructor of every rig

    std::map<int, Node> nodes_;

private:
    void check_one_owner();

    std::uint64_t random_ = 1;
    bool tolerates_two_owners_ = false;
    std::string two_owners_;
};

}  // namespace posthorse::tests
