#include "daemon/auth/sasl.h"

#include <gsasl.h>
#include <string.h>

#include <array>
#include <optional>

#include "proto/smtp/base64.h"
#include "proto/types/assert.h"

namespace posthorse::auth {
namespace {

constexpr std::size_t key_bytes = GSASL_HASH_SHA256_SIZE;
constexpr std::size_t made_up_salt_bytes = 16;  // as many as user_command.cc makes

struct Secrets {
    std::array<char, key_bytes> salted{};  // with it a client can log in: never kept
    std::array<char, key_bytes> client{};
    std::array<char, key_bytes> server{};
    std::array<char, key_bytes> stored{};
    ~Secrets() { explicit_bzero(this, sizeof *this); }
};

// False: GNU SASL refuses the password.
bool derive(const std::string& password,
            std::uint32_t iterations,
            std::string_view salt,
            Secrets& out) {
    return gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, password.c_str(), iterations,
                                             salt.data(), salt.size(), out.salted.data(),
                                             out.client.data(), out.server.data(),
                                             out.stored.data()) == GSASL_OK;
}

std::string base64(const std::array<char, key_bytes>& key) {
    return smtp::encode_base64({key.data(), key.size()});
}

}  // namespace

Result<ScramKeys> make_scram_keys(const std::string& password, std::string_view salt) {
    Secrets secrets;
    const bool whole = password.find('\0') == std::string::npos;
    if (!whole || !derive(password, scram_iterations, salt, secrets)) {
        return Error{Errc::invalid,
                     "the password holds characters that SCRAM forbids (RFC 4013), such as "
                     "controls; choose another"};
    }
    return ScramKeys{scram_iterations, smtp::encode_base64(salt), base64(secrets.stored),
                     base64(secrets.server)};
}

// One iteration of PBKDF2 is one HMAC: what nobody without the secret can tell from a salt.
ScramKeys made_up_keys(const std::string& secret, std::string_view login) {
    Secrets secrets;
    PH_ASSERT(derive(smtp::encode_base64(secret), 1, login, secrets));
    return {scram_iterations, smtp::encode_base64({secrets.salted.data(), made_up_salt_bytes}),
            base64(secrets.stored), base64(secrets.server)};
}

struct ScramExchange::Session {
    Session(KeysOf keys, ChannelBindings channel)
        : keys_of(std::move(keys)), bindings(std::move(channel)) {}
    ~Session() { gsasl_finish(handle); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    static int on_wanted(Gsasl* library, Gsasl_session* handle, Gsasl_property property);
    static Gsasl* library();
    int provide(Gsasl_property property);
    ScramStep refuse() const { return ScramVerdict{login(), false}; }
    std::string login() const;
    bool acts_for_itself() const;

    Gsasl_session* handle = nullptr;
    KeysOf keys_of;
    ChannelBindings bindings;
    std::optional<ScramKeys> keys;
    bool proven = false;  // all is done but the client's empty answer to our own proof
};

// Sessions of one handle may run on several threads; the handle itself is never changed.
Gsasl* ScramExchange::Session::library() {
    static Gsasl* const handle = [] {
        Gsasl* made = nullptr;
        PH_ASSERT(gsasl_init(&made) == GSASL_OK);
        gsasl_callback_set(made, on_wanted);
        return made;
    }();
    return handle;
}

int ScramExchange::Session::on_wanted(Gsasl*, Gsasl_session* handle, Gsasl_property property) {
    return static_cast<Session*>(gsasl_session_hook_get(handle))->provide(property);
}

int ScramExchange::Session::provide(Gsasl_property property) {
    if (property == GSASL_CB_TLS_EXPORTER && !bindings.tls_exporter.empty())
        return gsasl_property_set(handle, property,
                                  smtp::encode_base64(bindings.tls_exporter).c_str());
    if (property == GSASL_CB_TLS_UNIQUE && !bindings.tls_unique.empty())
        return gsasl_property_set(handle, property,
                                  smtp::encode_base64(bindings.tls_unique).c_str());
    if (!keys) keys = keys_of(login());
    switch (property) {
        case GSASL_SCRAM_ITER:
            return gsasl_property_set(handle, property, std::to_string(keys->iterations).c_str());
        case GSASL_SCRAM_SALT:
            return gsasl_property_set(handle, property, keys->salt.c_str());
        case GSASL_SCRAM_STOREDKEY:
            return gsasl_property_set(handle, property, keys->stored_key.c_str());
        case GSASL_SCRAM_SERVERKEY:
            return gsasl_property_set(handle, property, keys->server_key.c_str());
        default:
            return GSASL_NO_CALLBACK;
    }
}

std::string ScramExchange::Session::login() const {
    const char* name = gsasl_property_fast(handle, GSASL_AUTHID);
    return name == nullptr ? "" : name;
}

// Nobody may act as another here.
bool ScramExchange::Session::acts_for_itself() const {
    const char* name = gsasl_property_fast(handle, GSASL_AUTHZID);
    return name == nullptr || *name == '\0' || login() == name;
}

ScramExchange::ScramExchange(ScramKind kind, KeysOf keys_of, ChannelBindings bindings)
    : session_(std::make_unique<Session>(std::move(keys_of), std::move(bindings))) {
    const char* name = kind == ScramKind::plus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";
    PH_ASSERT(gsasl_server_start(Session::library(), name, &session_->handle) == GSASL_OK);
    gsasl_session_hook_set(session_->handle, session_.get());
}

ScramExchange::~ScramExchange() = default;
ScramExchange::ScramExchange(ScramExchange&&) noexcept = default;
ScramExchange& ScramExchange::operator=(ScramExchange&&) noexcept = default;

std::string ScramExchange::awaited_login() const {
    return session_->proven ? std::string() : session_->login();
}

ScramStep ScramExchange::step(const std::string& octets) {
    auto& session = *session_;
    if (session.proven) return ScramVerdict{session.login(), octets.empty()};
    char* said = nullptr;
    std::size_t size = 0;
    const int result = gsasl_step(session.handle, octets.data(), octets.size(), &said, &size);
    std::string answer(said == nullptr ? "" : said, said == nullptr ? 0 : size);
    gsasl_free(said);
    if (result == GSASL_NEEDS_MORE) return ScramChallenge{std::move(answer)};
    if (result != GSASL_OK || !session.acts_for_itself()) return session.refuse();
    // SMTP has no place for our proof beside the verdict (RFC 4954 section 4): it is a challenge.
    session.proven = true;
    return ScramChallenge{std::move(answer)};
}

}  // namespace posthorse::auth
