#include "daemon/admin/admin_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include <doctest/doctest.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include "proto/types/limits.h"
#include "tests/unit/daemon/admin/admin_fixture.h"

namespace posthorse::admin {
namespace {

using test::Node;

// A second server for the node's queue, on a path of its own.
std::unique_ptr<AdminServer> server_at(Node& node, const std::string& path) {
    return std::make_unique<AdminServer>(path,
                                         AdminContext{node.home, node.clock, *node.pool_queue, {}});
}

void stop(AdminServer& server) {
    std::promise<void> stopped;
    server.stop([&] { stopped.set_value(); });
    stopped.get_future().get();
}

// Leaves a socket file that nobody serves, as a killed process does.
void leave_dead_socket(const std::string& path) {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    ::close(socket);
}

mode_t mode_of(const std::string& path) {
    struct stat found{};
    REQUIRE(::stat(path.c_str(), &found) == 0);
    return found.st_mode & 0777;
}

bool refuses(Node& node, const std::string& path, const std::string& because) {
    auto server = server_at(node, path);
    const auto started = server->start();
    if (started) {
        stop(*server);
        return false;
    }
    const auto& what = started.error().what;
    INFO(what);
    return what.find(path) != std::string::npos && what.find(because) != std::string::npos;
}

TEST_CASE("the socket is its owner's alone, in a directory that was made for it") {
    Node node;
    CHECK(mode_of(node.socket()) == 0600);
    CHECK(mode_of(node.scratch.path("run")) == 0750);
}

TEST_CASE("a socket that answers is not taken over, a dead one is") {
    Node node;
    CHECK(refuses(node, node.socket(), "another process"));

    const auto path = node.scratch.path("dead.sock");
    leave_dead_socket(path);
    auto server = server_at(node, path);
    test::require(server->start());
    CHECK(mode_of(path) == 0600);
    stop(*server);
}

TEST_CASE("a path that cannot be served is refused with its mend") {
    Node node;
    CHECK(refuses(node, "", "admin.socket"));
    CHECK(refuses(node, node.scratch.path(std::string(200, 'x')), "shorter"));
    const auto file = node.scratch.path("file");
    std::ofstream(file) << "precious";
    CHECK(refuses(node, file, "no socket"));
    CHECK(std::filesystem::file_size(file) == 8);
    CHECK(refuses(node, file + "/run/admin.sock", "directory"));
}

TEST_CASE("stop() waits for a call under way and may be called from home") {
    Node node;
    const auto id = node.add("a@test", {"b@test"});
    Completion<> held_back;
    std::promise<void> begun;
    node.on_home([&] {
        node.bounce = [&](QueueId, std::string, Completion<> done) {
            held_back = std::move(done);
            begun.set_value();
        };
    });
    auto stub = node.connect();
    grpc::ClientContext call;
    v1::ActRequest request;
    request.set_action(v1::ACTION_BOUNCE);
    request.mutable_ids()->add_ids(id.to_string());
    const auto stream = stub->Act(&call, request);
    begun.get_future().get();

    std::promise<void> stopped;
    auto ended = stopped.get_future();
    node.on_home([&] { node.server->stop([&] { stopped.set_value(); }); });
    // The client hears at once; the call itself ends with its completion.
    v1::ActResponse response;
    CHECK_FALSE(stream->Read(&response));
    CHECK_FALSE(stream->Finish().ok());
    node.on_home([&] { held_back(Result<void>{}); });
    ended.get();
    node.server.reset();
}

TEST_CASE("a client that leaves in the middle ends its call") {
    Node node;
    const std::vector<std::string> chunks(96, std::string(chunk_bytes, 'x'));
    const auto id = node.add("a@test", {"b@test"}, test::noon, chunks);
    {
        auto stub = node.connect();
        grpc::ClientContext call;
        v1::ReadMessageRequest request;
        request.set_id(id.to_string());
        const auto stream = stub->ReadMessage(&call, request);
        v1::ReadMessageResponse piece;
        REQUIRE(stream->Read(&piece));
        call.TryCancel();
        CHECK(stream->Finish().error_code() == grpc::StatusCode::CANCELLED);
    }
    node.stop_server();  // ends only when the call has ended
}

TEST_CASE("grpc.health.v1 says that the admin service serves") {
    Node node;
    const auto channel =
        grpc::CreateChannel("unix:" + node.socket(), grpc::InsecureChannelCredentials());
    grpc::GenericStub stub(channel);
    const std::string name = v1::Admin::service_full_name();
    // HealthCheckRequest{service: name}; the answer HealthCheckResponse{status: SERVING}.
    const std::string request_octets = std::string("\x0a") + static_cast<char>(name.size()) + name;
    const grpc::Slice slice(request_octets);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    grpc::ClientContext call;
    std::promise<grpc::Status> ended;
    stub.UnaryCall(&call, "/grpc.health.v1.Health/Check", {}, &request, &response,
                   [&](grpc::Status status) { ended.set_value(std::move(status)); });
    const auto status = ended.get_future().get();
    REQUIRE_MESSAGE(status.ok(), status.error_message());
    grpc::Slice answer;
    REQUIRE(response.DumpToSingleSlice(&answer).ok());
    CHECK(std::string(answer.begin(), answer.end()) == "\x08\x01");
}

}  // namespace
}  // namespace posthorse::admin
