#include "daemon/admin/http_server.h"

#include <future>

#include <doctest/doctest.h>
#include <boost/asio/connect.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace posthorse::admin {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// A server on a free port of loopback, on a shard of its own.
class Served {
public:
    Served() {
        shard_.start();
        on_shard([this] {
            server_ = std::make_unique<HttpServer>(
                shard_, HttpPorts{.metrics = [] { return std::string("posthorse_up 1\n"); },
                                  .not_alive_why = [this] { return not_alive_why; },
                                  .not_ready_why = [this] { return not_ready_why; }});
            const auto listening = server_->listen("127.0.0.1", 0);
            REQUIRE(listening.has_value());
            port_ = server_->port();
        });
    }
    ~Served() {
        stop();
        on_shard([this] { server_.reset(); });
        shard_.stop();
    }
    Served(const Served&) = delete;
    Served& operator=(const Served&) = delete;

    void stop() {
        std::promise<void> stopped;
        runtime::TaskGroup group(shard_);
        on_shard([&] { group.spawn(stop_server(stopped)); });
        stopped.get_future().get();
        on_shard([&] { REQUIRE(group.empty()); });
    }
    void on_shard(std::function<void()> work) {
        std::promise<void> ended;
        shard_.post([&] {
            work();
            ended.set_value();
        });
        ended.get_future().get();
    }
    Result<void> listen_elsewhere(const std::string& address, std::uint16_t port) {
        Result<void> result;
        on_shard([&] { result = HttpServer(shard_, {}).listen(address, port); });
        return result;
    }

    tcp::socket connect() {
        tcp::socket socket(io_);
        socket.connect({asio::ip::address_v4::loopback(), port_});
        return socket;
    }
    // Sends octets and returns what comes until the server closes.
    std::string talk(const std::string& octets) {
        auto socket = connect();
        asio::write(socket, asio::buffer(octets));
        return rest(socket);
    }
    std::string get(const std::string& target) {
        return talk("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    }
    static std::string rest(tcp::socket& socket) {
        std::string received;
        boost::system::error_code end;
        asio::read(socket, asio::dynamic_buffer(received), end);
        return received;
    }

    std::string not_alive_why;  // touched on the shard or between requests
    std::string not_ready_why;
    std::uint16_t port_ = 0;

private:
    asio::awaitable<void> stop_server(std::promise<void>& stopped) {
        co_await server_->stop();
        stopped.set_value();
    }

    runtime::Shard shard_{0};
    std::unique_ptr<HttpServer> server_;
    asio::io_context io_;
};

bool is(const std::string& response, const char* status, const char* body) {
    INFO(response);
    return response.starts_with(std::string("HTTP/1.1 ") + status + " ") &&
           response.ends_with(std::string("\r\n\r\n") + body);
}

TEST_CASE("metrics are text that Prometheus takes") {
    Served served;
    const auto response = served.get("/metrics");
    CHECK(is(response, "200", "posthorse_up 1\n"));
    CHECK(response.find("Content-Type: text/plain; version=0.0.4") != std::string::npos);
}

TEST_CASE("health and readiness follow their ports, each its own") {
    Served served;
    CHECK(is(served.get("/healthz"), "200", "ok\n"));
    CHECK(is(served.get("/readyz"), "200", "ok\n"));
    served.on_shard([&] { served.not_ready_why = "no lease"; });
    CHECK(is(served.get("/healthz"), "200", "ok\n"));
    CHECK(is(served.get("/readyz"), "503", "no lease\n"));
    served.on_shard([&] { served.not_alive_why = "the store failed"; });
    CHECK(is(served.get("/healthz"), "503", "the store failed\n"));
}

TEST_CASE("other targets, methods and octets are refused") {
    Served served;
    CHECK(is(served.get("/"), "404", "try /metrics, /healthz or /readyz\n"));
    CHECK(is(served.get("/metrics/../etc/passwd"), "404", "try /metrics, /healthz or /readyz\n"));
    CHECK(is(served.talk("DELETE /metrics HTTP/1.1\r\nConnection: close\r\n\r\n"), "405",
             "only GET and HEAD\n"));
    CHECK(is(served.talk("EHLO example.org\r\n\r\n"), "400",
             "this is no request that is served here\n"));
    CHECK(is(served.talk("POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"), "400",
             "this is no request that is served here\n"));
    CHECK(is(served.talk("GET /metrics HTTP/1.1\r\nX: " + std::string(20'000, 'x')), "400",
             "this is no request that is served here\n"));
}

TEST_CASE("HEAD has the length and no body") {
    Served served;
    const auto response =
        served.talk("HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(response.find("Content-Length: 15\r\n") != std::string::npos);
    CHECK(response.ends_with("\r\n\r\n"));
}

TEST_CASE("a connection serves several requests, also in one packet or octet by octet") {
    Served served;
    const std::string kept = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    const std::string last = "GET /readyz HTTP/1.0\r\n\r\n";
    const auto pipelined = served.talk(kept + kept + last);
    std::size_t answers = 0;
    for (auto at = pipelined.find("200 OK"); at != std::string::npos;
         at = pipelined.find("200 OK", at + 1)) {
        ++answers;
    }
    CHECK(answers == 3);

    auto socket = served.connect();
    socket.set_option(tcp::no_delay(true));
    for (const char octet : last) asio::write(socket, asio::buffer(&octet, 1));
    CHECK(Served::rest(socket).ends_with("ok\n"));
}

TEST_CASE("an address that cannot be had is named") {
    Served served;
    const auto taken = served.listen_elsewhere("127.0.0.1", served.port_);
    REQUIRE(taken.has_error());
    CHECK(taken.error().what.find("127.0.0.1 port " + std::to_string(served.port_)) !=
          std::string::npos);
    CHECK(served.listen_elsewhere("not an address", 0).has_error());
}

TEST_CASE("stop closes idle connections and those in the middle of a request") {
    Served served;
    auto idle = served.connect();
    auto halfway = served.connect();
    asio::write(halfway, asio::buffer(std::string("GET /metr")));
    served.get("/healthz");  // the two before it are accepted by now
    served.stop();
    CHECK(Served::rest(idle).empty());
    CHECK(Served::rest(halfway).empty());
}

}  // namespace
}  // namespace posthorse::admin
