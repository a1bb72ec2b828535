// What a client writes and reads, in clear or under TLS.
//
// Place     Under source_session.h.
// Contract  `send` takes what is to be written, and `flush` writes as much as goes now: what is
//           borrowed must stay until `flushed`. Any call may find that the connection has ended.
// Owner     One session.
// Errors    A connection that ends, in whatever way, is a `Broken`.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/poll.h"

namespace posthorse::bench {

struct Broken : std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum class Tls : std::uint8_t { none, full, resumed };

struct CloseSsl {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* connection) const {
        // OpenSSL resumes no session of a connection that ended without a word.
        SSL_set_shutdown(connection, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(connection);
    }
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};

// Makes clients of TLS. Certificates are not verified: the load is what matters.
class TlsClients {
public:
    explicit TlsClients(Tls kind);
    TlsClients(const TlsClients&) = delete;
    TlsClients& operator=(const TlsClients&) = delete;

    std::unique_ptr<SSL, CloseSsl> client(const Descriptor& socket);

private:
    static int keep(SSL* connection, SSL_SESSION* session);

    std::unique_ptr<SSL_CTX, CloseSsl> context_;
    std::vector<std::unique_ptr<SSL_SESSION, CloseSsl>> sessions_;  // to be resumed
};

class Channel {
public:
    enum class Progress : std::uint8_t { done, wants_read, wants_write };

    explicit Channel(Descriptor socket) : socket_(std::move(socket)) {}

    const Descriptor& socket() const { return socket_; }

    // Of a connection that was under way and is writable now.
    void check_connected() const;

    void begin_tls(TlsClients& clients) { tls_ = clients.client(socket_); }
    bool tls() const { return tls_ != nullptr; }
    bool resumed() const { return tls_ && SSL_session_reused(tls_.get()) == 1; }
    Progress handshake();

    void send(std::string_view copied) { output_.append(copied); }
    void send_borrowed(std::string_view text) { borrowed_ = text; }
    Progress flush();
    bool flushed() const { return output_.empty() && borrowed_.empty(); }

    // Appends what is there.
    void receive(std::string& input);

private:
    std::size_t write(std::string_view text);  // 0: not now
    Progress progress(int answer, const char* what) const;

    Descriptor socket_;
    std::unique_ptr<SSL, CloseSsl> tls_;
    std::string output_;
    std::string_view borrowed_;  // after `output_`
};

}  // namespace posthorse::bench
