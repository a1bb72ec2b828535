#include "daemon/runtime/stream.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "daemon/runtime/send_window.h"

namespace posthorse::runtime {
namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
constexpr Duration farewell = std::chrono::seconds{1};
constexpr std::size_t unread_bytes_max = 1024 * 1024;

IoError io_error(const boost::system::error_code& code, bool timed_out) {
    if (timed_out) return {IoEnd::timed_out, "timed out"};
    if (code == asio::error::eof || code == asio::error::connection_reset ||
        code == asio::error::broken_pipe) {
        return {IoEnd::closed, "connection closed by peer"};
    }
    if (code == asio::error::operation_aborted) return {IoEnd::cancelled, "cancelled"};
    return {IoEnd::failed, code.message()};
}

}  // namespace

Stream::Stream(tcp::socket socket)
    : socket_(std::move(socket)), read_deadline_(socket_), write_deadline_(socket_) {
    boost::system::error_code code;
    peer_ = socket_.remote_endpoint(code);
    if (!code) socket_.set_option(tcp::no_delay(true), code);
}

asio::awaitable<IoResult<void>> Stream::connect(tcp::endpoint peer, Duration deadline) {
    write_deadline_.begin(deadline);
    auto [code] = co_await socket_.async_connect(peer, as_result);
    const bool late = write_deadline_.end();
    if (code) co_return io_error(code, late);
    peer_ = peer;
    socket_.set_option(tcp::no_delay(true), code);
    co_return IoResult<void>{};
}

// From then on one stream of octets is like another.
asio::awaitable<IoResult<void>> Stream::connect_local(std::string path) {
    asio::local::stream_protocol::socket local(socket_.get_executor());
    auto [code] =
        co_await local.async_connect(asio::local::stream_protocol::endpoint(path), as_result);
    if (!code) socket_.assign(tcp::v4(), local.release(code), code);
    if (code) co_return io_error(code, false);
    co_return IoResult<void>{};
}

asio::awaitable<IoResult<std::size_t>> Stream::read_some(std::span<char> into, Duration deadline) {
    boost::system::error_code code;
    std::size_t count = 0;
    read_deadline_.begin(deadline);
    if (tls_) {
        code = co_await tls_->read_some(into, count);
    } else {
        const auto buffer = asio::buffer(into.data(), into.size());
        std::tie(code, count) = co_await socket_.async_read_some(buffer, as_result);
    }
    const bool late = read_deadline_.end();
    if (code) co_return io_error(code, late);
    co_return count;
}

asio::awaitable<IoResult<bool>> Stream::hears(Duration time) {
    if (time <= Duration{}) {
        boost::system::error_code unknown;
        co_return socket_.available(unknown) > 0;
    }
    read_deadline_.begin(time);
    auto [code] = co_await socket_.async_wait(tcp::socket::wait_read, as_result);
    const bool late = read_deadline_.end();
    if (late) co_return false;
    if (code) co_return io_error(code, false);
    if (socket_.available(code) > 0) co_return true;
    co_return io_error(code ? code : make_error_code(asio::error::eof), false);
}

// Most of what is said fits into the kernel's buffer: then there is nothing to wait for.
void Stream::write_at_once(std::string_view& bytes) const {
    while (!bytes.empty()) {
        const auto count =
            ::send(descriptor(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count <= 0) return;
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
}

asio::awaitable<IoResult<void>> Stream::write(std::string_view bytes, Duration deadline) {
    boost::system::error_code code;
    if (!tls_) write_at_once(bytes);
    if (bytes.empty()) co_return IoResult<void>{};
    write_deadline_.begin(deadline);
    if (tls_) {
        code = co_await tls_->write(bytes);
    } else {
        const auto buffer = asio::buffer(bytes.data(), bytes.size());
        code = std::get<0>(co_await asio::async_write(socket_, buffer, as_result));
    }
    const bool late = write_deadline_.end();
    if (code) co_return io_error(code, late);
    co_return IoResult<void>{};
}

asio::awaitable<IoResult<TlsInfo>> Stream::server_handshake(
    std::shared_ptr<asio::ssl::context> context, Duration deadline) {
    tls_ = std::make_unique<TlsStream>(socket_, std::move(context));
    tls_->act_as_server();
    co_return co_await handshake(deadline);
}

asio::awaitable<IoResult<TlsInfo>> Stream::client_handshake(
    std::shared_ptr<asio::ssl::context> context, std::string host, Duration deadline) {
    tls_ = std::make_unique<TlsStream>(socket_, std::move(context));
    tls_->act_as_client(host, peer_);
    co_return co_await handshake(deadline);
}

asio::awaitable<IoResult<TlsInfo>> Stream::handshake(Duration deadline) {
    read_deadline_.begin(deadline);
    const auto code = co_await tls_->handshake();
    const bool late = read_deadline_.end();
    if (code) co_return io_error(code, late);
    tls_info_ = tls_->describe();
    co_return tls_info_;
}

int Stream::descriptor() const {
    return const_cast<tcp::socket&>(socket_).native_handle();
}

std::size_t Stream::unsent_bytes() const {
    int queued = 0;
    return ::ioctl(descriptor(), SIOCOUTQ, &queued) == 0 ? static_cast<std::size_t>(queued) : 0;
}

bool Stream::would_leave_at_once(std::size_t bytes) const {
    const auto on_the_way = unsent_bytes();
    if (on_the_way == 0) return true;
    const auto window = send_window(descriptor());
    return window.unsent_bytes == 0 && on_the_way + bytes <= window.bytes;
}

bool Stream::quiet() const {
    char octet = 0;
    const auto count = ::recv(descriptor(), &octet, 1, MSG_PEEK | MSG_DONTWAIT);
    return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void Stream::hasten(Duration time) {
    read_deadline_.shorten(time);
}

void Stream::cancel() {
    boost::system::error_code ignored;
    socket_.cancel(ignored);
}

asio::awaitable<void> Stream::close_in_order() {
    if (!socket_.is_open()) co_return;
    read_deadline_.begin(farewell);
    if (tls_) {
        co_await tls_->shut_down(unread_bytes_max);
    } else {
        co_await drop_unread();
    }
    read_deadline_.end();
    close();
}

// Closing over unread octets resets the connection, and what was said last may be lost with it.
asio::awaitable<void> Stream::drop_unread() {
    boost::system::error_code code;
    socket_.shutdown(tcp::socket::shutdown_send, code);
    std::array<char, 4096> unread;
    for (std::size_t taken = 0; !code && taken < unread_bytes_max && socket_.available(code) > 0;) {
        std::size_t count = 0;
        std::tie(code, count) = co_await socket_.async_read_some(asio::buffer(unread), as_result);
        taken += count;
    }
}

void Stream::close() {
    boost::system::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    socket_.close(ignored);
}

void Stream::reset() {
    boost::system::error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
}

}  // namespace posthorse::runtime
