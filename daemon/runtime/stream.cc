#include "daemon/runtime/stream.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "daemon/runtime/send_window.h"
#include "daemon/runtime/tls.h"
#include "daemon/runtime/tls_sessions.h"

namespace posthorse::runtime {
namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
constexpr Duration farewell = std::chrono::seconds{1};
constexpr std::size_t unread_bytes_max = 1024 * 1024;

IoError io_error(const boost::system::error_code& code, bool timed_out) {
    if (timed_out) return {IoEnd::timed_out, "timed out"};
    if (code == asio::error::eof || code == asio::error::connection_reset ||
        code == asio::error::broken_pipe || code == asio::ssl::error::stream_truncated) {
        return {IoEnd::closed, "connection closed by peer"};
    }
    if (code == asio::error::operation_aborted) return {IoEnd::cancelled, "cancelled"};
    return {IoEnd::failed, code.message()};
}

}  // namespace

// Cancels the socket's operations when an operation outlasts its time. (Awaiting `operation ||
// timer` instead would halve the throughput.) One wait serves many operations: when it is over and
// the operation that is under way by then has time left, it goes on until that is over. So most
// operations touch no timer. The timer's handler may find the stream dead.
class Stream::Deadline {
public:
    explicit Deadline(tcp::socket& socket)
        : state_(std::make_shared<State>(&socket, asio::steady_timer(socket.get_executor()))) {}
    ~Deadline() {
        state_->socket = nullptr;
        state_->timer.cancel();
    }

    void begin(Duration duration) {
        state_->timed_out = false;
        state_->under_way = true;
        state_->ends = clock::now() + duration;
        watch(state_);
    }

    // While an operation is watched: no longer than that.
    void shorten(Duration duration) {
        state_->ends = std::min(state_->ends, clock::now() + duration);
        if (state_->under_way) watch(state_);
    }

    // Ends the watch; true: the deadline had passed.
    bool end() {
        state_->under_way = false;
        return state_->timed_out;
    }

private:
    using clock = asio::steady_timer::clock_type;

    struct State {
        State(tcp::socket* one, asio::steady_timer its_timer)
            : socket(one), timer(std::move(its_timer)) {}

        tcp::socket* socket;
        asio::steady_timer timer;
        clock::time_point ends;   // of the operation
        clock::time_point wakes;  // while it waits
        bool waits = false;
        bool under_way = false;
        bool timed_out = false;
    };

    static void watch(const std::shared_ptr<State>& state) {
        if (state->waits && state->wakes <= state->ends) return;
        state->waits = true;
        state->wakes = state->ends;
        state->timer.expires_at(state->wakes);  // an earlier wait ends
        state->timer.async_wait([state](const boost::system::error_code& code) {
            if (code || state->socket == nullptr) return;
            state->waits = false;
            if (!state->under_way) return;
            if (clock::now() < state->ends) return watch(state);
            state->timed_out = true;
            boost::system::error_code ignored;
            state->socket->cancel(ignored);
        });
    }

    std::shared_ptr<State> state_;
};

// OpenSSL on the socket itself, which it reads and writes without blocking; what it cannot do yet
// is waited for. asio::ssl::stream would put buffers of 68 KB between the two for each connection,
// for as long as it lives; here an idle one has none.
struct Stream::Tls {
    using Code = boost::system::error_code;

    Tls(tcp::socket& socket, std::shared_ptr<asio::ssl::context> context)
        : socket_(socket),
          context_(std::move(context)),
          connection_(SSL_new(context_->native_handle())) {
        if (!connection_) throw std::bad_alloc();
        ignore_broken_pipes();
        Code ignored;
        socket_.native_non_blocking(true, ignored);
        SSL_set_fd(connection_.get(), socket_.native_handle());
    }

    SSL* handle() const { return connection_.get(); }

    asio::awaitable<Code> handshake(bool server) {
        server ? SSL_set_accept_state(handle()) : SSL_set_connect_state(handle());
        while (begins()) {
            const int done = SSL_do_handshake(handle());
            if (done == 1) co_return Code{};
            if (const auto end = co_await wanted(done, errno)) co_return end;
        }
        co_return asio::error::bad_descriptor;
    }

    asio::awaitable<Code> read_some(std::span<char> into, std::size_t& count) {
        while (begins()) {
            const int done = SSL_read_ex(handle(), into.data(), into.size(), &count);
            if (done == 1) {
                co_await asio::post(asio::use_awaitable);  // others have their turn
                co_return Code{};
            }
            if (const auto end = co_await wanted(done, errno)) co_return end;
        }
        co_return asio::error::bad_descriptor;
    }

    asio::awaitable<Code> write(std::string_view bytes) {
        std::size_t count = 0;
        while (!bytes.empty()) {
            if (!begins()) co_return asio::error::bad_descriptor;
            const int done = SSL_write_ex(handle(), bytes.data(), bytes.size(), &count);
            if (done == 1) {
                bytes.remove_prefix(count);
            } else if (const auto end = co_await wanted(done, errno)) {
                co_return end;
            }
        }
        co_return Code{};
    }

    // Says close_notify, and takes what is unread until the peer says it, too.
    asio::awaitable<void> shut_down() {
        if (!begins() || SSL_shutdown(handle()) < 0) co_return;
        std::array<char, 4096> unread;
        std::size_t count = 0;
        for (std::size_t taken = 0; taken < unread_bytes_max; taken += count) {
            if (co_await read_some(unread, count)) co_return;
        }
    }

private:
    struct Free {
        void operator()(SSL* connection) const { SSL_free(connection); }
    };

    // OpenSSL writes to sockets in a way that raises a signal when the peer is gone.
    static void ignore_broken_pipes() {
        static const auto before = std::signal(SIGPIPE, SIG_IGN);
        static_cast<void>(before);
    }

    // Whether there is a socket still: another may have its number by now. The failures of others
    // on this thread are forgotten.
    bool begins() const {
        ERR_clear_error();
        errno = 0;
        return socket_.is_open();
    }

    // Waits for what stands in the way of an operation; or says how it ended.
    asio::awaitable<Code> wanted(int done, int system_error) {
        switch (SSL_get_error(handle(), done)) {
            case SSL_ERROR_WANT_READ:
                co_return co_await ready(tcp::socket::wait_read);
            case SSL_ERROR_WANT_WRITE:
                co_return co_await ready(tcp::socket::wait_write);
            case SSL_ERROR_ZERO_RETURN:
                co_return asio::error::eof;
            case SSL_ERROR_SYSCALL:
                if (system_error == 0) co_return asio::ssl::error::stream_truncated;
                co_return Code(system_error, boost::system::system_category());
            default:
                break;
        }
        const auto reason = ERR_get_error();
        if (ERR_GET_REASON(reason) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
            co_return asio::ssl::error::stream_truncated;
        co_return Code(static_cast<int>(reason), asio::error::get_ssl_category());
    }

    asio::awaitable<Code> ready(tcp::socket::wait_type what) {
        auto [code] = co_await socket_.async_wait(what, as_result);
        co_return code;
    }

    tcp::socket& socket_;
    std::shared_ptr<asio::ssl::context> context_;  // outlives what was made from it
    std::unique_ptr<SSL, Free> connection_;
};

Stream::Stream(tcp::socket socket)
    : socket_(std::move(socket)),
      read_deadline_(std::make_unique<Deadline>(socket_)),
      write_deadline_(std::make_unique<Deadline>(socket_)) {
    boost::system::error_code code;
    peer_ = socket_.remote_endpoint(code);
    if (!code) socket_.set_option(tcp::no_delay(true), code);
}

Stream::~Stream() = default;

asio::awaitable<IoResult<void>> Stream::connect(tcp::endpoint peer, Duration deadline) {
    write_deadline_->begin(deadline);
    auto [code] = co_await socket_.async_connect(peer, as_result);
    const bool late = write_deadline_->end();
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
    read_deadline_->begin(deadline);
    if (tls_) {
        code = co_await tls_->read_some(into, count);
    } else {
        const auto buffer = asio::buffer(into.data(), into.size());
        std::tie(code, count) = co_await socket_.async_read_some(buffer, as_result);
    }
    const bool late = read_deadline_->end();
    if (code) co_return io_error(code, late);
    co_return count;
}

asio::awaitable<IoResult<bool>> Stream::hears(Duration time) {
    if (time <= Duration{}) {
        boost::system::error_code unknown;
        co_return socket_.available(unknown) > 0;
    }
    read_deadline_->begin(time);
    auto [code] = co_await socket_.async_wait(tcp::socket::wait_read, as_result);
    const bool late = read_deadline_->end();
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
    write_deadline_->begin(deadline);
    if (tls_) {
        code = co_await tls_->write(bytes);
    } else {
        const auto buffer = asio::buffer(bytes.data(), bytes.size());
        code = std::get<0>(co_await asio::async_write(socket_, buffer, as_result));
    }
    const bool late = write_deadline_->end();
    if (code) co_return io_error(code, late);
    co_return IoResult<void>{};
}

asio::awaitable<IoResult<TlsInfo>> Stream::server_handshake(
    std::shared_ptr<asio::ssl::context> context, Duration deadline) {
    tls_ = std::make_unique<Tls>(socket_, std::move(context));
    co_return co_await handshake(true, deadline);
}

asio::awaitable<IoResult<TlsInfo>> Stream::client_handshake(
    std::shared_ptr<asio::ssl::context> context, std::string host, Duration deadline) {
    tls_ = std::make_unique<Tls>(socket_, std::move(context));
    if (!host.empty()) set_server_name(tls_->handle(), host);
    const auto address = peer_.address().to_string() + ' ' + std::to_string(peer_.port());
    resume_session(tls_->handle(), host + ' ' + address);
    co_return co_await handshake(false, deadline);
}

asio::awaitable<IoResult<TlsInfo>> Stream::handshake(bool server, Duration deadline) {
    read_deadline_->begin(deadline);
    const auto code = co_await tls_->handshake(server);
    const bool late = read_deadline_->end();
    if (code) co_return io_error(code, late);
    tls_info_ = describe(tls_->handle());
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
    read_deadline_->shorten(time);
}

void Stream::cancel() {
    boost::system::error_code ignored;
    socket_.cancel(ignored);
}

asio::awaitable<void> Stream::close_in_order() {
    if (!socket_.is_open()) co_return;
    read_deadline_->begin(farewell);
    if (tls_) {
        co_await tls_->shut_down();
    } else {
        co_await drop_unread();
    }
    read_deadline_->end();
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
