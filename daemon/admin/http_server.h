// HTTP for machines that watch: /metrics, /healthz and /readyz. Nothing else, and nothing to
// change.
//
// Place     Owned by node.cc; setting [http].
// Contract  /metrics is Prometheus' text format. /healthz answers 200 while the process can serve
//           and 503 with the reason when only a restart helps; /readyz answers 200 when the node
//           takes and delivers mail, else 503 with the reason. GET and HEAD.
// Owner     One shard: every call is made on its thread, and the ports run there.
// Errors    listen(): io names the address and the mend. What a client sends ends in a 4xx or a
//           closed connection.
// Bounds    64 connections, 8 KB of request, no body, 10 s a request or pause.
#pragma once

#include <functional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "daemon/runtime/task_group.h"
#include "proto/types/result.h"

namespace posthorse::admin {

struct HttpPorts {
    std::function<std::string()> metrics;        // the exposition text
    std::function<std::string()> not_alive_why;  // empty: alive
    std::function<std::string()> not_ready_why;  // empty: ready
};

class HttpServer {
public:
    HttpServer(runtime::Shard& shard, HttpPorts ports);
    // Requires that stop() has completed or listen() never succeeded.
    ~HttpServer() = default;
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    // Serves from here on. Port 0 takes a free one.
    Result<void> listen(const std::string& address, std::uint16_t port);
    std::uint16_t port() const;
    // Closes everything at once.
    boost::asio::awaitable<void> stop();

private:
    using Socket = boost::asio::ip::tcp::socket;

    boost::asio::awaitable<void> accept_all();
    boost::asio::awaitable<void> serve(Socket socket);

    HttpPorts ports_;
    boost::asio::ip::tcp::acceptor acceptor_;
    runtime::TaskGroup tasks_;
};

}  // namespace posthorse::admin
