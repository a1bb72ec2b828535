#include "daemon/admin/http_server.h"

#include <array>
#include <optional>
#include <sstream>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "daemon/runtime/stream.h"

namespace posthorse::admin {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

constexpr std::size_t connections_max = 64;
constexpr std::uint32_t request_bytes_max = 8 * 1024;
constexpr std::chrono::seconds step_max{10};
constexpr std::chrono::milliseconds accept_pause{100};

Response plain(const Request& request, http::status status, std::string text) {
    Response response(status, request.version());
    response.set(http::field::content_type, "text/plain; charset=utf-8");
    response.set(http::field::cache_control, "no-store");
    response.keep_alive(request.keep_alive());
    response.body() = std::move(text) + '\n';
    return response;
}

Response verdict(const Request& request, const std::string& why_not) {
    return why_not.empty() ? plain(request, http::status::ok, "ok")
                           : plain(request, http::status::service_unavailable, why_not);
}

Response metrics(const Request& request, std::string text) {
    auto response = plain(request, http::status::ok, {});
    response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    response.body() = std::move(text);
    return response;
}

Response answer(const Request& request, const HttpPorts& ports) {
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
        auto response = plain(request, http::status::method_not_allowed, "only GET and HEAD");
        response.set(http::field::allow, "GET, HEAD");
        return response;
    }
    const auto target = request.target();
    if (target == "/metrics") return metrics(request, ports.metrics());
    if (target == "/healthz") return verdict(request, ports.not_alive_why());
    if (target == "/readyz") return verdict(request, ports.not_ready_why());
    return plain(request, http::status::not_found, "try /metrics, /healthz or /readyz");
}

Response not_a_request() {
    Request as_if;
    as_if.keep_alive(false);
    return plain(as_if, http::status::bad_request, "this is no request that is served here");
}

std::string octets(Response response, bool with_body) {
    response.prepare_payload();
    if (!with_body) response.body().clear();
    std::ostringstream out;
    out << response;
    return std::move(out).str();
}

// One client, one request after the other.
class Connection {
public:
    Connection(tcp::socket socket, const HttpPorts& ports)
        : stream_(std::move(socket)), ports_(ports) {}

    asio::awaitable<void> run() {
        for (bool again = true; again;) {
            const auto request = co_await read_request();
            if (!request) co_return;
            const auto response = *request ? answer(**request, ports_) : not_a_request();
            again = response.keep_alive();
            const bool head = *request && (*request)->method() == http::verb::head;
            if (!co_await stream_.write(octets(response, !head), step_max)) co_return;
        }
        stream_.close();
    }

private:
    // nullopt: what came is no request.
    using MaybeRequest = std::optional<Request>;

    asio::awaitable<runtime::IoResult<MaybeRequest>> read_request() {
        http::request_parser<http::empty_body> parser;
        parser.header_limit(request_bytes_max);
        parser.eager(true);  // else a body that is there already would be waited for
        std::array<char, 2048> piece;
        for (;;) {
            error_code error;
            input_.erase(0, parser.put(asio::buffer(input_), error));
            if (parser.is_done()) co_return parser.release();
            if (error && error != http::error::need_more) co_return MaybeRequest{};
            const auto count = co_await stream_.read_some(piece, step_max);
            if (!count) co_return count.error();
            input_.append(piece.data(), *count);
        }
    }

    runtime::Stream stream_;
    const HttpPorts& ports_;
    std::string input_;  // received and not yet parsed: less than two pieces
};

}  // namespace

HttpServer::HttpServer(runtime::Shard& shard, HttpPorts ports)
    : ports_(std::move(ports)), acceptor_(shard.context()), tasks_(shard) {}

Result<void> HttpServer::listen(const std::string& address, std::uint16_t port) {
    const auto failed = [&](const error_code& error) {
        return Error{Errc::io, "http " + address + " port " + std::to_string(port) + ": " +
                                   error.message() + "; set [http] address and port"};
    };
    error_code error;
    const auto ip = asio::ip::make_address(address, error);
    if (error) return failed(error);
    const tcp::endpoint endpoint(ip, port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return failed(error);
    tasks_.spawn(accept_all());
    return {};
}

std::uint16_t HttpServer::port() const {
    return acceptor_.local_endpoint().port();
}

asio::awaitable<void> HttpServer::stop() {
    error_code ignored;
    acceptor_.close(ignored);
    tasks_.cancel();
    co_await tasks_.join();
}

asio::awaitable<void> HttpServer::accept_all() {
    while (acceptor_.is_open()) {
        error_code error;
        auto socket =
            co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
        if (!error && tasks_.size() <= connections_max) {
            tasks_.spawn(serve(std::move(socket)));
        } else if (error && acceptor_.is_open()) {
            // Out of descriptors: the listener stays readable, so that trying at once would spin.
            asio::steady_timer pause(acceptor_.get_executor(), accept_pause);
            co_await pause.async_wait(asio::use_awaitable);
        }
    }
}

asio::awaitable<void> HttpServer::serve(Socket socket) {
    Connection connection(std::move(socket), ports_);
    co_await connection.run();
}

}  // namespace posthorse::admin
