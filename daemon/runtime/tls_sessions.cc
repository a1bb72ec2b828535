#include "daemon/runtime/tls_sessions.h"

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include <openssl/ssl.h>

namespace posthorse::runtime {
namespace {

struct Free {
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using Session = std::unique_ptr<SSL_SESSION, Free>;

class Sessions {
public:
    void keep(const std::string& peer, Session session) {
        const std::lock_guard lock(mutex_);
        forget(peer);
        known_.emplace_front(peer, std::move(session));
        places_[peer] = known_.begin();
        if (known_.size() > sessions_max) forget(std::string(known_.back().first));
    }

    // SSL_set_session() counts its own reference.
    void offer(SSL* connection, const std::string& peer) {
        const std::lock_guard lock(mutex_);
        const auto place = places_.find(peer);
        if (place == places_.end()) return;
        known_.splice(known_.begin(), known_, place->second);
        SSL_set_session(connection, known_.front().second.get());
    }

private:
    using Known = std::list<std::pair<std::string, Session>>;  // the newest first

    void forget(const std::string& peer) {
        const auto place = places_.extract(peer);
        if (!place.empty()) known_.erase(place.mapped());
    }

    std::mutex mutex_;
    Known known_;
    std::map<std::string, Known::iterator> places_;
};

void free_sessions(void*, void* sessions, CRYPTO_EX_DATA*, int, long, void*) {
    delete static_cast<Sessions*>(sessions);
}

void free_peer(void*, void* peer, CRYPTO_EX_DATA*, int, long, void*) {
    delete static_cast<std::string*>(peer);
}

int place_in_context() {
    static const int place = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_sessions);
    return place;
}

int place_in_connection() {
    static const int place = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, free_peer);
    return place;
}

Sessions* sessions_of(SSL* connection) {
    return static_cast<Sessions*>(
        SSL_CTX_get_ex_data(SSL_get_SSL_CTX(connection), place_in_context()));
}

// OpenSSL has a session for the next time, with TLS 1.3 some time after the handshake. 1: kept.
int came(SSL* connection, SSL_SESSION* session) {
    const auto* peer =
        static_cast<const std::string*>(SSL_get_ex_data(connection, place_in_connection()));
    if (peer == nullptr || SSL_SESSION_is_resumable(session) == 0) return 0;
    sessions_of(connection)->keep(*peer, Session(session));
    return 1;
}

}  // namespace

void keep_sessions(SSL_CTX* context) {
    SSL_CTX_set_ex_data(context, place_in_context(), new Sessions);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, came);
}

void resume_session(SSL* connection, std::string peer) {
    auto* sessions = sessions_of(connection);
    if (sessions == nullptr) return;
    sessions->offer(connection, peer);
    SSL_set_ex_data(connection, place_in_connection(), new std::string(std::move(peer)));
}

}  // namespace posthorse::runtime
