#include "daemon/runtime/tls.h"

#include <cstdlib>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "daemon/runtime/read_file.h"
#include "daemon/runtime/tls_sessions.h"

namespace posthorse::runtime {
namespace {

constexpr const char* tls12_ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305";

std::string openssl_error() {
    const auto code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) return "unknown reason";
    char text[256];
    ERR_error_string_n(code, text, sizeof text);
    return text;
}

Result<std::string> read_pem(const std::string& path) {
    auto text = read_file(path);
    if (text) return text;
    return Error{Errc::invalid, path + ": cannot be read: " + text.error().what};
}

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string{} : std::string(value);
}

struct Pem {
    std::string certificate;  // and its chain
    std::string key;
    std::string source;  // for errors
};

Result<Pem> read_identity(const TlsIdentity& identity) {
    if (identity.certificate_file.empty()) {
        auto chain = environment("TLS_CERT") + "\n" + environment("TLS_CA_BUNDLE");
        return Pem{std::move(chain), environment("TLS_KEY"), "TLS_CERT and TLS_KEY"};
    }
    auto certificate = read_pem(identity.certificate_file);
    if (!certificate) return certificate.error();
    auto key = read_pem(identity.key_file);
    if (!key) return key.error();
    return Pem{*certificate, *key, identity.certificate_file + " and " + identity.key_file};
}

Result<void> load_identity(asio::ssl::context& context, const Pem& pem) {
    boost::system::error_code code;
    context.use_certificate_chain(asio::buffer(pem.certificate), code);
    if (code)
        return Error{Errc::invalid,
                     pem.source + ": no certificate chain in PEM form: " + code.message()};
    context.use_private_key(asio::buffer(pem.key), asio::ssl::context::pem, code);
    if (code)
        return Error{Errc::invalid, pem.source + ": no private key in PEM form: " + code.message()};
    if (SSL_CTX_check_private_key(context.native_handle()) != 1) {
        return Error{Errc::invalid, pem.source + ": the key does not belong to the certificate: " +
                                        openssl_error()};
    }
    return {};
}

// A client that names the protocol that it means, and means another one, was led here: what a
// browser would send then must not become a conversation (RFC 7301 section 3.2). Most clients name
// none.
int choose_protocol(SSL*,
                    const unsigned char** chosen,
                    unsigned char* chosen_bytes,
                    const unsigned char* offered,
                    unsigned offered_bytes,
                    void*) {
    static constexpr unsigned char ours[] = {4, 's', 'm', 't', 'p', 5, 'e', 's', 'm', 't', 'p'};
    const int found = SSL_select_next_proto(const_cast<unsigned char**>(chosen), chosen_bytes, ours,
                                            sizeof ours, offered, offered_bytes);
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

void set_common(SSL_CTX* context) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(
        context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);  // a record in one system call, not in two
    SSL_CTX_set_cipher_list(context, tls12_ciphers);
}

}  // namespace

bool TlsIdentity::configured() const {
    return !certificate_file.empty() || !environment("TLS_CERT").empty();
}

Result<std::shared_ptr<asio::ssl::context>> make_server_context(const TlsIdentity& identity) {
    const auto pem = read_identity(identity);
    if (!pem) return pem.error();
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
    set_common(context->native_handle());
    if (auto loaded = load_identity(*context, *pem); !loaded) return loaded.error();
    constexpr unsigned char session_context[] = "posthorse";
    SSL_CTX_set_session_id_context(context->native_handle(), session_context,
                                   sizeof session_context - 1);
    SSL_CTX_set_dh_auto(context->native_handle(), 1);
    SSL_CTX_set_alpn_select_cb(context->native_handle(), choose_protocol, nullptr);
    return context;
}

std::shared_ptr<asio::ssl::context> make_client_context() {
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
    set_common(context->native_handle());
    // Opportunistic: a server with an old configuration is better than clear text.
    SSL_CTX_set_security_level(context->native_handle(), 1);
    // The chain is judged all the same: what must be safe asks TlsInfo::verified.
    context->set_verify_mode(asio::ssl::verify_none);
    SSL_CTX_set_default_verify_paths(context->native_handle());
    keep_sessions(context->native_handle());
    return context;
}

}  // namespace posthorse::runtime
