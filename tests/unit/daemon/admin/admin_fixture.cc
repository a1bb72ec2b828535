#include "tests/unit/daemon/admin/admin_fixture.h"

#include <unistd.h>

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

namespace posthorse::admin::test {

ScratchDirectory::ScratchDirectory() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "posthorse-admin-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    root_ = pattern;
}

ScratchDirectory::~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
}

Node::Node() {
    // As the reporter does it: the message leaves the queue, its sender is told.
    bounce = [this](QueueId id, std::string why, Completion<> done) {
        queue->act(id, replication::Action::remove, std::move(why),
                   [done = std::move(done)](Result<Envelope> result) mutable {
                       done(result ? Result<void>{} : Result<void>{result.error()});
                   });
    };
    status.host_name = "node.test";
    status.release = "0.1.0";
    status.started_at = noon;
    home.start();
    start_queue();
    const PoolReader reader{[this]() -> const replication::PoolState& { return control.read(); },
                            control.self()};
    own_ = std::make_unique<OwnPart>(clock, queue_ports(), reader);
    pool_queue = std::make_unique<PoolQueue>(
        reader, *own_, [this](const replication::Member& member, Duration within) {
            patience = within;
            return other_parts.at(member.id);
        });
    server = std::make_unique<AdminServer>(
        socket(), AdminContext{home, clock, *pool_queue, ports(), pool_ports(), aside_ports()});
    require(server->start());
}

Node::~Node() {
    if (server) stop_server();
    on_home([this] {
        queue.reset();
        store_.reset();
    });
    home.stop();
}

void Node::start_queue() {
    on_home([this] {
        store_ = require(storage::open_memory_store(disk_, home, home));
        queue = std::make_unique<replication::ReplicatedQueue>(
            clock, *store_, control, peers_, home,
            replication::ReplicatedQueue::Settings{.random = [] { return 0u; }});
    });
    require(wait<void>([this](Completion<> done) { queue->start(std::move(done)); }));
}

AdminPorts Node::ports() {
    return {.status =
                [this] {
                    auto values = status;
                    values.queue = queue->counters();
                    return values;
                },
            .reload = [this] { return reload_problems; }};
}

QueuePorts Node::queue_ports() {
    auto own = admin::queue_ports(*queue);
    own.delivering = [this](QueueId id) { return delivering.contains(id); };
    own.bounce = [this](QueueId id, std::string why, Completion<> done) {
        bounce(id, std::move(why), std::move(done));
    };
    own.audit = [this](runtime::log::Fields fields) {
        audited.push_back(runtime::log::format("operator_action", fields));
    };
    return own;
}

// A proposal is answered later, as by a leader elsewhere.
PoolPorts Node::pool_ports() {
    return {.view = [this] { return pool; },
            .propose =
                [this](replication::Change change, Completion<> done) {
                    proposals.push_back(std::move(change));
                    home.post([this, done = std::move(done)]() mutable { done(proposal_answer); });
                },
            .begin_without =
                [this](const std::vector<NodeId>& others) {
                    begun_without.push_back(others);
                    return proposal_answer;
                }};
}

// As they are when they are called.
AsidePorts Node::aside_ports() {
    return {.list = [this](std::string only, aside::Place from, std::size_t limit,
                           auto done) { aside.list(only, from, limit, std::move(done)); },
            .find = [this](std::string only, std::vector<QueueId> ids,
                           auto done) { aside.find(only, ids, std::move(done)); },
            .act = [this](aside::Order order, auto done) { aside.act(order, std::move(done)); },
            .tidy = [this](auto done) { aside.tidy(std::move(done)); },
            .audit =
                [this](runtime::log::Fields fields) {
                    audited.push_back(runtime::log::format("operator_action", fields));
                }};
}

QueueId Node::add(const std::string& sender,
                  std::vector<std::string> recipients,
                  WallTime due,
                  const std::vector<std::string>& chunks) {
    const auto id = require(
        wait<QueueId>([&](Completion<QueueId> done) { queue->begin(1000, 0, std::move(done)); }));
    std::uint32_t index = 0;
    for (const auto& bytes : chunks) {
        require(wait<void>([&](Completion<> done) {
            queue->append(id, ++index, make_chunk(bytes), std::move(done));
        }));
    }
    auto envelope = message(0, {}, sender, std::move(recipients));
    envelope.id = id;
    envelope.accepted_at = clock.wall();
    envelope.expires_at = envelope.accepted_at + std::chrono::hours{96};
    envelope.chunk_count = index;
    require(wait<void>(
        [&](Completion<> done) { queue->commit(envelope, make_chunk(head), std::move(done)); }));
    on_home([&] { queue->park(id, due); });
    return id;
}

std::optional<Envelope> Node::find(QueueId id) {
    auto found =
        wait<Envelope>([&](Completion<Envelope> done) { queue->find(id, std::move(done)); });
    if (found) return *found;
    REQUIRE(found.error().code == Errc::not_found);
    return std::nullopt;
}

void Node::act(QueueId id, replication::Action action, const std::string& why) {
    require(wait<Envelope>(
        [&](Completion<Envelope> done) { queue->act(id, action, why, std::move(done)); }));
}

void Node::on_home(std::function<void()> work) {
    std::promise<void> ended;
    home.post([&] {
        work();
        ended.set_value();
    });
    ended.get_future().get();
}

void Node::stop_server() {
    std::promise<void> stopped;
    server->stop([&] { stopped.set_value(); });
    stopped.get_future().get();
    server.reset();
}

std::unique_ptr<v1::Admin::Stub> Node::connect() const {
    return v1::Admin::NewStub(
        grpc::CreateChannel("unix:" + socket(), grpc::InsecureChannelCredentials()));
}

}  // namespace posthorse::admin::test
