// The admin port: who gets in with which certificate, and what he may call there.
#include <fstream>
#include <future>

#include <doctest/doctest.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include "daemon/admin/admin_server.h"
#include "daemon/admin/operator_check.h"
#include "daemon/pool/certificate_authority.h"
#include "tests/unit/daemon/admin/admin_client.h"
#include "tests/unit/daemon/admin/admin_fixture.h"
#include "tests/unit/daemon/admin/cli_runs.h"

namespace posthorse::admin {
namespace {

using test::has;
using test::Node;

pool::Validity validity() {
    const auto now = std::chrono::floor<Duration>(std::chrono::system_clock::now());
    return {now - std::chrono::hours{1}, now + std::chrono::hours{24}};
}

struct Authority {
    pool::Credentials own = test::require(pool::make_authority(validity())).credentials;

    pool::Credentials issue(const std::string& name) const {
        return test::require(pool::issue(own, {{name}, validity()})).credentials;
    }
};

void write(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

// A node's admin port on loopback, and certificates of whoever may come to it.
struct Port {
    explicit Port(Duration connection_age = std::chrono::minutes{10}) {
        put_files(authority, authority.issue("127.0.0.1"));
        server = std::make_unique<AdminServer>(
            node.scratch.path("port.sock"),
            AdminContext{node.home,
                         node.clock,
                         *node.pool_queue,
                         {.status = [] { return StatusValues{}; },
                          .reload = [] { return std::vector<std::string>{}; }}},
            AdminPort{"127.0.0.1",
                      0,
                      files,
                      {.readers = {"rita"}, .operators = {"olga"}, .admins = {"ann"}},
                      metrics,
                      connection_age});
        test::require(server->start());
    }
    ~Port() {
        std::promise<void> stopped;
        server->stop([&] { stopped.set_value(); });
        stopped.get_future().get();
    }
    Port(const Port&) = delete;
    Port& operator=(const Port&) = delete;

    void put_files(const Authority& by, const pool::Credentials& credentials) const {
        write(files.ca_file, by.own.certificate);
        write(files.certificate_file, credentials.certificate);
        write(files.key_file, credentials.key);
    }
    std::string address() const { return "127.0.0.1:" + std::to_string(server->port()); }

    // Everything anew for each channel: no connection is shared.
    std::shared_ptr<grpc::Channel> connect(const Authority& trusted,
                                           const pool::Credentials& shown) const {
        grpc::ChannelArguments arguments;
        arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        return grpc::CreateCustomChannel(
            address(),
            grpc::SslCredentials({trusted.own.certificate, shown.key, shown.certificate}),
            arguments);
    }
    std::shared_ptr<grpc::Channel> connect_as(const std::string& name) const {
        return connect(authority, authority.issue(name));
    }
    // The count of refusals for `reason`, as the metrics print it.
    std::string refused(const std::string& reason) const {
        const auto text = metrics.text();
        const auto line = "posthorse_admin_refused_total{reason=\"" + reason + "\"} ";
        const auto at = text.find(line);
        REQUIRE(at != std::string::npos);
        return text.substr(at + line.size(), text.find('\n', at) - at - line.size());
    }
    test::Ran cli(const std::string& name, std::vector<std::string> words) const {
        const auto shown = authority.issue(name);
        write(node.scratch.path(name + ".pem"), shown.certificate);
        write(node.scratch.path(name + ".key"), shown.key);
        for (const auto& word :
             {std::string("--address"), address(), std::string("--ca"), files.ca_file,
              std::string("--certificate"), node.scratch.path(name + ".pem"), std::string("--key"),
              node.scratch.path(name + ".key")})
            words.push_back(word);
        return test::run(node.clock, "/nonexistent", std::move(words));
    }

    Node node;
    runtime::Metrics metrics;
    Authority authority;
    replication::PeerFiles files{node.scratch.path("ca.pem"), node.scratch.path("cert.pem"),
                                 node.scratch.path("key.pem")};
    std::unique_ptr<AdminServer> server;
};

// Calls a method by its path with an empty request.
grpc::Status call(const std::shared_ptr<grpc::Channel>& channel, const std::string& path) {
    grpc::GenericStub stub(channel);
    const grpc::Slice empty;
    const grpc::ByteBuffer request(&empty, 1);
    grpc::ByteBuffer response;
    grpc::ClientContext context;
    std::promise<grpc::Status> ended;
    stub.UnaryCall(&context, path, {}, &request, &response,
                   [&](grpc::Status status) { ended.set_value(std::move(status)); });
    return ended.get_future().get();
}

grpc::Status get_status(const std::shared_ptr<grpc::Channel>& channel) {
    return call(channel, "/posthorse.v1.Admin/GetStatus");
}

// What calls can be tried: every method, and what stands beside the service.
std::vector<std::string> all_paths() {
    std::vector<std::string> paths{"/grpc.health.v1.Health/Check",
                                   "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                   "/posthorse.v1.Admin/NoSuchMethod", "/no.such.Service/Method"};
    const auto* service = v1::GetStatusRequest::descriptor()->file()->FindServiceByName("Admin");
    for (int i = 0; i < service->method_count(); ++i) {
        paths.push_back('/' + service->full_name() + '/' + service->method(i)->name());
    }
    return paths;
}

TEST_CASE("every method, with every certificate that there may be") {
    Port port;
    const Authority other;
    const Authority pool;
    struct Caller {
        const char* title;
        std::shared_ptr<grpc::Channel> channel;
        bool gets_in;
        v1::Role role;
    };
    const Caller callers[] = {
        {"no certificate", port.connect(port.authority, {}), false, v1::ROLE_UNSPECIFIED},
        {"a stranger's authority, an admin's name",
         port.connect(port.authority, other.issue("ann")), false, v1::ROLE_UNSPECIFIED},
        {"a member of the pool", port.connect(port.authority, pool.issue("posthorse-pool")), false,
         v1::ROLE_UNSPECIFIED},
        {"a name that is not listed", port.connect_as("eve"), true, v1::ROLE_UNSPECIFIED},
        {"the node's own", port.connect_as("127.0.0.1"), true, v1::ROLE_UNSPECIFIED},
        {"a reader", port.connect_as("rita"), true, v1::ROLE_READ},
        {"an operator", port.connect_as("olga"), true, v1::ROLE_OPERATE},
        {"an admin", port.connect_as("ann"), true, v1::ROLE_ADMIN},
    };
    for (const auto& caller : callers) {
        CAPTURE(caller.title);
        for (const auto& path : all_paths()) {
            const auto status = call(caller.channel, path);
            CAPTURE(path);
            CAPTURE(status.error_message());
            if (!caller.gets_in) {
                CHECK(status.error_code() == grpc::StatusCode::UNAVAILABLE);
            } else if (caller.role < role_taken(path)) {
                CHECK(status.error_code() == grpc::StatusCode::PERMISSION_DENIED);
                const bool unlisted = caller.role == v1::ROLE_UNSPECIFIED;
                CHECK(has(status.error_message(), unlisted ? "is in none of" : "this call takes"));
            } else {
                CHECK(status.error_code() != grpc::StatusCode::PERMISSION_DENIED);
                CHECK(status.error_code() != grpc::StatusCode::UNAUTHENTICATED);
                CHECK(status.error_code() != grpc::StatusCode::UNAVAILABLE);
            }
        }
    }
    const auto paths = all_paths();
    CHECK(port.refused("unknown_name") == std::to_string(2 * paths.size()));
    CHECK(port.refused("no_name") == "0");
    // Readers: what takes more, and the two that do not exist; operators: what takes ADMIN.
    CHECK(port.refused("role_too_low") == std::to_string(8 + 2 + 3 + 2));
}

TEST_CASE("a call that is refused has done nothing") {
    Port port;
    const auto id = port.node.add("a@test", {"b@test"});
    const auto stub = v1::Admin::NewStub(port.connect_as("rita"));
    grpc::ClientContext context;
    const auto stream = stub->Act(&context, test::act_on(v1::ACTION_REMOVE, {id.to_string()}));
    v1::ActResponse response;
    CHECK_FALSE(stream->Read(&response));
    CHECK(stream->Finish().error_code() == grpc::StatusCode::PERMISSION_DENIED);
    CHECK(port.node.find(id).has_value());
}

TEST_CASE("in the audit log stands the certificate's name, whatever the request says") {
    Port port;
    const auto id = port.node.add("a@test", {"b@test"});
    const auto act = [&](const char* says) {
        const auto stub = v1::Admin::NewStub(port.connect_as("olga"));
        auto request = test::act_on(v1::ACTION_HOLD, {id.to_string()});
        request.set_operator_name(says);
        grpc::ClientContext context;
        const auto stream = stub->Act(&context, request);
        for (v1::ActResponse response; stream->Read(&response);) {
        }
        CHECK(stream->Finish().ok());
        std::string line;
        port.node.on_home([&] { line = port.node.audited.back(); });
        return line;
    };
    CHECK(has(act(""), " operator=olga "));
    CHECK(has(act("ann"), " operator=\"olga (says ann)\" "));

    const auto stub = v1::Admin::NewStub(port.connect_as("olga"));
    v1::FlushRequest request;
    request.set_operator_name("ann");
    v1::FlushResponse response;
    grpc::ClientContext context;
    CHECK(stub->Flush(&context, request, &response).ok());
    port.node.on_home(
        [&] { CHECK(has(port.node.audited.back(), " operator=\"olga (says ann)\" ")); });
}

TEST_CASE("a reload takes new certificates, and keeps the old ones when they are bad") {
    Port port;
    const auto before = port.connect_as("rita");
    REQUIRE(get_status(before).ok());

    write(port.files.certificate_file, "nonsense");
    const auto refused = port.server->reload();
    REQUIRE(refused.has_error());
    CHECK(has(refused.error().what, port.files.certificate_file));
    CHECK(get_status(port.connect_as("rita")).ok());

    const Authority after;
    port.put_files(after, after.issue("127.0.0.1"));
    test::require(port.server->reload());
    while (!get_status(port.connect(after, after.issue("rita"))).ok()) {
    }
    CHECK_FALSE(get_status(port.connect_as("rita")).ok());
    CHECK_FALSE(get_status(port.connect(after, port.authority.issue("rita"))).ok());
}

TEST_CASE("who is taken from the lists is shut out at once, on a connection that stands") {
    Port port;
    const auto rita = port.connect_as("rita");
    REQUIRE(get_status(rita).ok());
    port.server->set_operators({.readers = {"olga"}});
    CHECK(get_status(rita).error_code() == grpc::StatusCode::PERMISSION_DENIED);
    const auto olga = port.connect_as("olga");
    CHECK(get_status(olga).ok());
    CHECK(call(olga, "/posthorse.v1.Admin/Flush").error_code() ==
          grpc::StatusCode::PERMISSION_DENIED);
}

TEST_CASE("a connection that stands ends, so that its client shows what it has now") {
    Port port(std::chrono::milliseconds{200});
    const auto before = port.connect_as("rita");
    REQUIRE(get_status(before).ok());
    const Authority after;
    port.put_files(after, after.issue("127.0.0.1"));
    test::require(port.server->reload());
    while (get_status(before).ok()) {
    }
    CHECK(get_status(before).error_code() == grpc::StatusCode::UNAVAILABLE);
}

TEST_CASE("a certificate without a name has no role") {
    runtime::Metrics metrics;
    runtime::Reloadable<const Operators> operators;
    operators.set(std::make_shared<const Operators>(Operators{.readers = {""}}));
    OperatorCheck check(operators, metrics);
    const auto status = check.Process({}, nullptr, nullptr, nullptr);
    CHECK(status.error_code() == grpc::StatusCode::UNAUTHENTICATED);
    CHECK(has(status.error_message(), "admin.ca_file"));
    CHECK(has(metrics.text(), "posthorse_admin_refused_total{reason=\"no_name\"} 1"));
}

TEST_CASE("a port that cannot be served is refused with its mend") {
    Port port;
    auto& node = port.node;
    const auto start = [&](const AdminPort& at) {
        AdminServer second(node.scratch.path("second.sock"),
                           AdminContext{node.home, node.clock, *node.pool_queue, {}}, at);
        const auto started = second.start();
        REQUIRE(started.has_error());
        return started.error().what;
    };
    const auto taken = start({"127.0.0.1", port.server->port(), port.files, {}, port.metrics});
    CHECK(has(taken, port.address()));
    CHECK(has(taken, "admin.port"));
    auto files = port.files;
    files.key_file = node.scratch.path("none.key");
    CHECK(has(start({"127.0.0.1", 0, files, {}, port.metrics}), files.key_file));
}

TEST_CASE("ids that are none, keys of a megabyte and what unfolds are refused") {
    Port port;
    const auto stub = v1::Admin::NewStub(port.connect_as("ann"));
    const auto get = [&](const std::string& id, bool compressed = false) {
        v1::GetMessageRequest request;
        request.set_id(id);
        grpc::ClientContext context;
        if (compressed) context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
        v1::GetMessageResponse response;
        return stub->GetMessage(&context, request, &response);
    };
    for (const auto& id : {std::string("../../../etc/passwd"), std::string("/"), std::string(),
                           std::string(26, '\0'), std::string(200 * 1024, 'A')}) {
        const auto status = get(id);
        CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
        CHECK(status.error_message().size() < 1024);
    }
    CHECK(get(std::string(1024 * 1024, 'A')).error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
    CHECK(get(std::string(200 * 1024, 'A'), true).error_code() == grpc::StatusCode::UNIMPLEMENTED);
    CHECK(get_status(port.connect_as("ann")).ok());

    v1::RemoveMemberRequest remove;
    remove.add_members(std::string(200 * 1024, 'n'));
    v1::RemoveMemberResponse removed;
    grpc::ClientContext context;
    const auto status = stub->RemoveMember(&context, remove, &removed);
    CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    CHECK(status.error_message().size() < 1024);
}

TEST_CASE("the command line reaches a port as it reaches the socket") {
    Port port;
    const auto id = port.node.add("a@test", {"b@test"}).to_string();
    CHECK(has(port.cli("rita", {"queue", "ls"}).out, id));
    const auto refused = port.cli("rita", {"queue", "hold", id});
    CHECK(refused.exit_code == 1);
    CHECK(has(refused.err, "rita has the role read, this call takes operate"));
    CHECK(port.cli("olga", {"queue", "hold", id}).exit_code == 0);
    const auto unknown = port.cli("eve", {"status"});
    CHECK(unknown.exit_code == 1);
    CHECK(has(unknown.err, "admin.readers"));
    CHECK(port.cli("ann", {"pool", "status"}).exit_code != 3);
}

TEST_CASE("the command line knows the node by its certificate's name") {
    Port port;
    port.put_files(port.authority, port.authority.issue("node.test"));
    test::require(port.server->reload());
    while (port.cli("rita", {"status", "--server-name", "node.test"}).exit_code != 0) {
    }
    const auto wrong = port.cli("rita", {"status"});
    CHECK(wrong.exit_code == 3);
    CHECK(has(wrong.err, "no node answers on " + port.address()));
    CHECK(has(wrong.err, "carries the name"));
}

TEST_CASE("a command line that cannot reach a port says what it lacks") {
    Port port;
    const auto run = [&](std::vector<std::string> words) {
        words.insert(words.begin(), "status");
        return test::run(port.node.clock, "/nonexistent", std::move(words));
    };
    const auto alone = run({"--address", port.address()});
    CHECK(alone.exit_code == 2);
    CHECK(has(alone.err, "--certificate"));
    const auto both = run({"--address", port.address(), "--socket", "/x"});
    CHECK(both.exit_code == 2);
    CHECK(has(run({"--address", "unix:/x"}).err, "is not where a node is"));
    const auto unread = run({"--address", port.address(), "--ca", port.files.ca_file,
                             "--certificate", "/nonexistent/pem", "--key", port.files.key_file});
    CHECK(unread.exit_code == 2);
    CHECK(has(unread.err, "'/nonexistent/pem'"));
}

}  // namespace
}  // namespace posthorse::admin
