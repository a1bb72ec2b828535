#include "daemon/runtime/tls_stream.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <new>
#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/runtime/tls_sessions.h"

namespace posthorse::runtime {
namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

// OpenSSL writes to sockets in a way that raises a signal when the peer is gone.
void ignore_broken_pipes() {
    static const auto before = std::signal(SIGPIPE, SIG_IGN);
    static_cast<void>(before);
}

// The certificate was judged against a name. A session that is resumed brings the result of its
// first handshake, which was with the same name (tls_sessions.h).
bool was_meant(SSL* connection) {
    if (SSL_session_reused(connection) == 0) return SSL_get0_peername(connection) != nullptr;
    return SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name) != nullptr;
}

// Without the extended master secret of RFC 7627 two connections of TLS 1.2 may know the same.
bool is_unmistakable(SSL* connection) {
    return SSL_version(connection) >= TLS1_3_VERSION || SSL_get_extms_support(connection) == 1;
}

std::string tls_exporter(SSL* connection) {
    constexpr std::string_view label = "EXPORTER-Channel-Binding";
    constexpr unsigned char no_context = 0;
    std::string octets(32, '\0');
    const int done =
        SSL_export_keying_material(connection, reinterpret_cast<unsigned char*>(octets.data()),
                                   octets.size(), label.data(), label.size(), &no_context, 0, 1);
    return done == 1 ? octets : std::string();
}

// The first Finished message of the handshake: the client's, or the server's when a session is
// resumed.
std::string tls_unique(SSL* connection) {
    if (SSL_version(connection) >= TLS1_3_VERSION) return {};
    const bool ours = (SSL_is_server(connection) == 1) == (SSL_session_reused(connection) == 1);
    std::string octets(64, '\0');
    const auto size =
        (ours ? SSL_get_finished : SSL_get_peer_finished)(connection, octets.data(), octets.size());
    octets.resize(std::min(size, octets.size()));
    return octets;
}

}  // namespace

void TlsStream::Free::operator()(SSL* connection) const {
    SSL_free(connection);
}

TlsStream::TlsStream(tcp::socket& socket, std::shared_ptr<asio::ssl::context> context)
    : socket_(socket),
      context_(std::move(context)),
      connection_(SSL_new(context_->native_handle())) {
    if (!connection_) throw std::bad_alloc();
    ignore_broken_pipes();
    Code ignored;
    socket_.native_non_blocking(true, ignored);
    SSL_set_fd(handle(), socket_.native_handle());
}

// --- the handshake

void TlsStream::act_as_server() {
    SSL_set_accept_state(handle());
}

void TlsStream::act_as_client(const std::string& host, const tcp::endpoint& peer) {
    if (!host.empty()) {
        SSL_set_tlsext_host_name(handle(), host.c_str());
        SSL_set1_host(handle(), host.c_str());
    }
    const auto address = peer.address().to_string() + ' ' + std::to_string(peer.port());
    resume_session(handle(), host + ' ' + address);
    SSL_set_connect_state(handle());
}

asio::awaitable<TlsStream::Code> TlsStream::handshake() {
    while (begins()) {
        const int done = SSL_do_handshake(handle());
        if (done == 1) co_return Code{};
        if (const auto end = co_await wanted(done, errno)) co_return end;
    }
    co_return asio::error::bad_descriptor;
}

TlsInfo TlsStream::describe() const {
    SSL* connection = handle();
    TlsInfo info;
    info.description =
        std::string(SSL_get_version(connection)) + ' ' + SSL_get_cipher_name(connection);
    if (X509* peer = SSL_get1_peer_certificate(connection)) {
        char name[256];
        info.peer_name = X509_NAME_oneline(X509_get_subject_name(peer), name, sizeof name);
        X509_free(peer);
        info.verified = was_meant(connection) && SSL_get_verify_result(connection) == X509_V_OK;
    }
    info.resumed = SSL_session_reused(connection) == 1;
    if (is_unmistakable(connection)) {
        info.tls_exporter = tls_exporter(connection);
        info.tls_unique = tls_unique(connection);
    }
    return info;
}

// --- what is said

asio::awaitable<TlsStream::Code> TlsStream::read_some(std::span<char> into, std::size_t& count) {
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

asio::awaitable<TlsStream::Code> TlsStream::write(std::string_view bytes) {
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

asio::awaitable<void> TlsStream::shut_down(std::size_t unread_bytes_max) {
    if (!begins() || SSL_shutdown(handle()) < 0) co_return;
    std::array<char, 4096> unread;
    std::size_t count = 0;
    for (std::size_t taken = 0; taken < unread_bytes_max; taken += count) {
        if (co_await read_some(unread, count)) co_return;
    }
}

// --- between OpenSSL and the socket

// Whether there is a socket still: another may have its number by now. The failures of others on
// this thread are forgotten.
bool TlsStream::begins() const {
    ERR_clear_error();
    errno = 0;
    return socket_.is_open();
}

// Waits for what stands in the way of an operation; or says how it ended.
asio::awaitable<TlsStream::Code> TlsStream::wanted(int done, int system_error) {
    switch (SSL_get_error(handle(), done)) {
        case SSL_ERROR_WANT_READ:
            co_return co_await ready(tcp::socket::wait_read);
        case SSL_ERROR_WANT_WRITE:
            co_return co_await ready(tcp::socket::wait_write);
        case SSL_ERROR_ZERO_RETURN:
            co_return asio::error::eof;
        case SSL_ERROR_SYSCALL:
            if (system_error == 0) co_return asio::error::eof;
            co_return Code(system_error, boost::system::system_category());
        default:
            break;
    }
    const auto reason = ERR_get_error();
    if (ERR_GET_REASON(reason) == SSL_R_UNEXPECTED_EOF_WHILE_READING) co_return asio::error::eof;
    co_return Code(static_cast<int>(reason), asio::error::get_ssl_category());
}

asio::awaitable<TlsStream::Code> TlsStream::ready(tcp::socket::wait_type what) {
    auto [code] = co_await socket_.async_wait(what, as_result);
    co_return code;
}

}  // namespace posthorse::runtime
