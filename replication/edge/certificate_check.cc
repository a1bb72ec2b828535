#include "replication/edge/certificate_check.h"

#include <ctime>
#include <memory>
#include <vector>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace posthorse::replication {
namespace {

template <auto free>
struct FreedBy {
    template <class T>
    void operator()(T* object) const {
        free(object);
    }
};
using Bio = std::unique_ptr<BIO, FreedBy<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, FreedBy<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, FreedBy<EVP_PKEY_free>>;
using Store = std::unique_ptr<X509_STORE, FreedBy<X509_STORE_free>>;
using Verification = std::unique_ptr<X509_STORE_CTX, FreedBy<X509_STORE_CTX_free>>;
using Context = std::unique_ptr<SSL_CTX, FreedBy<SSL_CTX_free>>;
using Certificates = std::vector<Certificate>;

Error invalid(const std::string& path, const std::string& what) {
    ERR_clear_error();
    return {Errc::invalid, path + ": " + what};
}

std::string openssl_reason() {
    const char* reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason == nullptr ? "unknown to OpenSSL" : reason;
}

// OpenSSL's own would ask at the terminal.
int no_passphrase(char*, int, int, void*) {
    return 0;
}

Bio reading(const std::string& text) {
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// All of the text, or nothing: half a list of authorities would shut out the other half's peers.
Result<Certificates> certificates_of(const std::string& text, const std::string& path) {
    const auto source = reading(text);
    Certificates found;
    while (X509* one = PEM_read_bio_X509(source.get(), nullptr, no_passphrase, nullptr))
        found.emplace_back(one);
    const auto end = ERR_peek_last_error();
    if (ERR_GET_LIB(end) != ERR_LIB_PEM || ERR_GET_REASON(end) != PEM_R_NO_START_LINE)
        return invalid(path,
                       "holds a damaged certificate (" + openssl_reason() + "); write it anew");
    if (found.empty())
        return invalid(path, "holds no certificate; it must have BEGIN CERTIFICATE lines (PEM)");
    ERR_clear_error();
    return found;
}

Result<Key> key_of(const std::string& text, const std::string& path) {
    const auto source = reading(text);
    Key key(PEM_read_bio_PrivateKey(source.get(), nullptr, no_passphrase, nullptr));
    if (!key) {
        return invalid(path, "holds no readable key (" + openssl_reason() +
                                 "); it must be PEM without a passphrase");
    }
    return key;
}

// As the handshake will do it: small keys, for instance, are refused there.
Result<void> check_usable(X509* certificate, EVP_PKEY* key, const PeerFiles& files) {
    const Context context(SSL_CTX_new(TLS_method()));
    if (!context) return invalid(files.certificate_file, "OpenSSL has no TLS");
    if (SSL_CTX_use_certificate(context.get(), certificate) != 1)
        return invalid(files.certificate_file, "not good for TLS (" + openssl_reason() + ")");
    if (X509_check_private_key(certificate, key) != 1) {
        return invalid(files.key_file, "is not the key of " + files.certificate_file +
                                           "; both must be of one pair");
    }
    if (SSL_CTX_use_PrivateKey(context.get(), key) != 1)
        return invalid(files.key_file, "not good for TLS (" + openssl_reason() + ")");
    return {};
}

struct Role {
    int purpose;
    const char* name;
};

Result<void> check_chain(const Certificates& chain,
                         const Certificates& authorities,
                         Role role,
                         const PeerFiles& files) {
    const Store store(X509_STORE_new());
    const Verification verification(X509_STORE_CTX_new());
    STACK_OF(X509)* between = sk_X509_new_null();
    const std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> owned(
        between, [](STACK_OF(X509) * stack) { sk_X509_free(stack); });
    for (std::size_t i = 1; i < chain.size(); ++i) sk_X509_push(between, chain[i].get());
    for (const auto& authority : authorities) X509_STORE_add_cert(store.get(), authority.get());
    if (X509_STORE_CTX_init(verification.get(), store.get(), chain.front().get(), between) != 1 ||
        X509_STORE_CTX_set_purpose(verification.get(), role.purpose) != 1)
        return invalid(files.certificate_file, "OpenSSL cannot verify it");
    if (X509_verify_cert(verification.get()) == 1) return {};
    return invalid(files.certificate_file,
                   std::string("peers would refuse it as a ") + role.name + "'s: " +
                       X509_verify_cert_error_string(X509_STORE_CTX_get_error(verification.get())) +
                       "; it must be valid, for client and server, and signed by an authority in " +
                       files.ca_file);
}

bool carries(X509* certificate, const std::string& name) {
    constexpr unsigned flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS;
    return X509_check_host(certificate, name.data(), name.size(), flags, nullptr) == 1 ||
           X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
}

std::string written(const Bio& bio) {
    char* data = nullptr;
    const auto length = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(length)};
}

std::string pem_of(const Certificates& certificates) {
    const Bio bio(BIO_new(BIO_s_mem()));
    for (const auto& one : certificates) PEM_write_bio_X509(bio.get(), one.get());
    return written(bio);
}

std::string pem_of(EVP_PKEY* key) {
    const Bio bio(BIO_new(BIO_s_secmem()));
    PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    return written(bio);
}

WallTime end_of(X509* certificate) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) return {};
    return WallTime{std::chrono::seconds{timegm(&parts)}};
}

}  // namespace

Result<CheckedIdentity> check_identity(const PeerIdentity& identity,
                                       const PeerFiles& files,
                                       const std::optional<std::string>& name) {
    ERR_clear_error();
    const auto authorities = certificates_of(identity.authorities, files.ca_file);
    if (!authorities) return authorities.error();
    const auto chain = certificates_of(identity.certificate, files.certificate_file);
    if (!chain) return chain.error();
    const auto key = key_of(identity.key, files.key_file);
    if (!key) return key.error();
    X509* own = chain->front().get();
    if (auto usable = check_usable(own, key->get(), files); !usable) return usable.error();
    for (const Role role :
         {Role{X509_PURPOSE_SSL_SERVER, "server"}, Role{X509_PURPOSE_SSL_CLIENT, "client"}}) {
        if (auto good = check_chain(*chain, *authorities, role, files); !good) return good.error();
    }
    if (name && !carries(own, *name)) {
        return invalid(files.certificate_file,
                       "does not carry this node's name, " + *name +
                           ", among its alternative names; set pool.name to one that it carries, "
                           "or pool.certificates to \"pool\"");
    }
    ERR_clear_error();
    return CheckedIdentity{{pem_of(*authorities), pem_of(*chain), pem_of(key->get())}, end_of(own)};
}

Result<PeerIdentity> check_client(const PeerIdentity& identity, const PeerFiles& files) {
    ERR_clear_error();
    const auto authorities = certificates_of(identity.authorities, files.ca_file);
    if (!authorities) return authorities.error();
    if (files.certificate_file.empty() && files.key_file.empty())
        return PeerIdentity{.authorities = pem_of(*authorities)};
    const auto chain = certificates_of(identity.certificate, files.certificate_file);
    if (!chain) return chain.error();
    const auto key = key_of(identity.key, files.key_file);
    if (!key) return key.error();
    if (auto good = check_usable(chain->front().get(), key->get(), files); !good)
        return good.error();
    ERR_clear_error();
    return PeerIdentity{pem_of(*authorities), pem_of(*chain), pem_of(key->get())};
}

}  // namespace posthorse::replication
