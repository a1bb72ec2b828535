// A node's queue with the admin server on it: the real replicated queue over a store in memory, a
// real socket, and a clock that the test sets.
#pragma once

#include <atomic>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/admin/admin_server.h"
#include "daemon/admin/parts/own_part.h"
#include "daemon/runtime/shard.h"
#include "storage/memory_store.h"
#include "tests/unit/daemon/admin/envelopes.h"
#include "tests/unit/replication/fake_pool.h"

namespace posthorse::admin::test {

class SetClock final : public Clock {
public:
    void set(WallTime now) { now_ = now; }
    WallTime wall() const override { return now_; }
    BootTime boot() const override { return BootTime{now_.load().time_since_epoch()}; }

private:
    std::atomic<WallTime> now_{noon};
};

// The value of a call that must succeed.
template <class T>
T require(Result<T> result) {
    if (!result) FAIL(to_string(result.error().code) << ": " << result.error().what);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// A directory that goes with the test.
class ScratchDirectory {
public:
    ScratchDirectory();
    ~ScratchDirectory();
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;

    std::string path(const std::string& name) const { return (root_ / name).string(); }

private:
    std::filesystem::path root_;
};

class Node {
public:
    Node();
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    // Accepts a message now and parks it for `due`. The chunks follow the head.
    QueueId add(const std::string& sender,
                std::vector<std::string> recipients,
                WallTime due = noon + std::chrono::hours{1},
                const std::vector<std::string>& chunks = {});
    // nullopt: no such message.
    std::optional<Envelope> find(QueueId id);
    void act(QueueId id, replication::Action action, const std::string& why);

    // Runs `work` on home and waits.
    void on_home(std::function<void()> work);
    // Calls something that completes, on home, and waits for its result.
    template <class T>
    Result<T> wait(std::function<void(Completion<T>)> start) {
        std::promise<Result<T>> ended;
        home.post([&] { start([&](Result<T> result) { ended.set_value(std::move(result)); }); });
        return ended.get_future().get();
    }

    void stop_server();
    std::unique_ptr<v1::Admin::Stub> connect() const;
    std::string socket() const { return scratch.path("run/admin.sock"); }

    static constexpr const char* head = "Subject: hello\r\n\r\nHello.\r\n";

    ScratchDirectory scratch;
    SetClock clock;
    runtime::Shard home{0};

    // What the ports do and saw; touched on home.
    StatusValues status;
    std::set<QueueId> delivering;
    std::vector<std::string> audited;  // one line each
    Duration patience{};               // with the part of another member, the last time
    std::vector<std::string> reload_problems;
    std::function<void(QueueId, std::string, Completion<>)> bounce;
    PoolView pool;
    Result<void> proposal_answer;  // to every proposal, and to begin_without
    std::vector<replication::Change> proposals;
    std::vector<std::vector<NodeId>> begun_without;
    AsidePorts aside;  // its audit goes to `audited`

    tests::LoneControl control{home};  // this node is test_node(1), and alone
    std::map<NodeId, std::shared_ptr<QueuePart>> other_parts;  // of the other members
    std::unique_ptr<replication::ReplicatedQueue> queue;
    std::unique_ptr<PoolQueue> pool_queue;  // of this node and the others
    std::unique_ptr<AdminServer> server;

private:
    void start_queue();
    AdminPorts ports();
    QueuePorts queue_ports();
    PoolPorts pool_ports();
    AsidePorts aside_ports();

    storage::MemoryDisk disk_;
    replication::NoPeers peers_;
    std::unique_ptr<storage::QueueStore> store_;
    std::unique_ptr<OwnPart> own_;
};

}  // namespace posthorse::admin::test
