#include "tests/bench/channel.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace posthorse::bench {
namespace {

// What goes into one record of TLS, or one call, together with the header before it.
constexpr std::size_t joined_max = 15'000;
constexpr std::size_t read_max = 16'384;

}  // namespace

TlsClients::TlsClients(Tls kind) : context_(SSL_CTX_new(TLS_client_method())) {
    if (!context_) throw std::runtime_error("no context for TLS");
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_NONE, nullptr);
    SSL_CTX_set_mode(context_.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (kind != Tls::resumed) return;
    SSL_CTX_set_session_cache_mode(context_.get(),
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(context_.get(), this);
    SSL_CTX_sess_set_new_cb(context_.get(), &TlsClients::keep);
}

int TlsClients::keep(SSL* connection, SSL_SESSION* session) {
    auto* const clients =
        static_cast<TlsClients*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection)));
    clients->sessions_.emplace_back(session);
    return 1;  // it is ours now
}

std::unique_ptr<SSL, CloseSsl> TlsClients::client(const Descriptor& socket) {
    std::unique_ptr<SSL, CloseSsl> made(SSL_new(context_.get()));
    if (!made || SSL_set_fd(made.get(), socket.get()) != 1) throw Broken("no TLS");
    SSL_set_connect_state(made.get());
    if (sessions_.empty()) return made;
    SSL_SESSION* const session = sessions_.back().get();
    SSL_set_session(made.get(), session);
    // Of TLS 1.3 each ticket is for one connection, which brings the next one: OpenSSL lets none
    // resume that another connection has resumed, nor what comes of it.
    if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION) sessions_.pop_back();
    return made;
}

void Channel::check_connected() const {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) throw Broken(std::string("connect: ") + std::strerror(error));
}

Channel::Progress Channel::progress(int answer, const char* what) const {
    switch (SSL_get_error(tls_.get(), answer)) {
        case SSL_ERROR_NONE:
            return Progress::done;
        case SSL_ERROR_WANT_READ:
            return Progress::wants_read;
        case SSL_ERROR_WANT_WRITE:
            return Progress::wants_write;
        default:
            ERR_clear_error();
            throw Broken(what);
    }
}

Channel::Progress Channel::handshake() {
    return progress(SSL_do_handshake(tls_.get()), "the TLS handshake failed");
}

std::size_t Channel::write(std::string_view text) {
    if (tls_) {
        const int written = SSL_write(tls_.get(), text.data(), static_cast<int>(text.size()));
        if (written > 0) return static_cast<std::size_t>(written);
        progress(written, "the connection ended while it was written to");
        return 0;
    }
    const ssize_t written = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (written >= 0) return static_cast<std::size_t>(written);
    if (errno != EAGAIN) throw Broken(std::string("send: ") + std::strerror(errno));
    return 0;
}

Channel::Progress Channel::flush() {
    if (output_.size() + borrowed_.size() <= joined_max) {
        output_.append(borrowed_);
        borrowed_ = {};
    }
    while (!output_.empty()) {
        const std::size_t written = write(output_);
        if (written == 0) return Progress::wants_write;
        output_.erase(0, written);
    }
    while (!borrowed_.empty()) {
        const std::size_t written = write(borrowed_);
        if (written == 0) return Progress::wants_write;
        borrowed_.remove_prefix(written);
    }
    return Progress::done;
}

void Channel::receive(std::string& input) {
    std::array<char, read_max> octets;
    if (!tls_) {
        const ssize_t count = recv(socket_.get(), octets.data(), octets.size(), 0);
        if (count == 0) throw Broken("the server closed the connection");
        if (count > 0)
            input.append(octets.data(), static_cast<std::size_t>(count));
        else if (errno != EAGAIN)
            throw Broken(std::string("recv: ") + std::strerror(errno));
        return;
    }
    while (true) {  // what OpenSSL holds back no poll would tell of
        const int count = SSL_read(tls_.get(), octets.data(), static_cast<int>(octets.size()));
        if (count <= 0) {
            progress(count, "the server closed the connection");
            return;
        }
        input.append(octets.data(), static_cast<std::size_t>(count));
    }
}

}  // namespace posthorse::bench
