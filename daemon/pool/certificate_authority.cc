#include "daemon/pool/certificate_authority.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "daemon/config/validate.h"
#include "proto/types/assert.h"

namespace posthorse::pool {
namespace {

template <auto Free>
struct FreedBy {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
using Key = std::unique_ptr<EVP_PKEY, FreedBy<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, FreedBy<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, FreedBy<X509_EXTENSION_free>>;
using Number = std::unique_ptr<BIGNUM, FreedBy<BN_free>>;
using Bio = std::unique_ptr<BIO, FreedBy<BIO_free_all>>;

constexpr int serial_bits = 128;
constexpr std::size_t common_name_max = 64;  // RFC 5280 appendix A.1, ub-common-name

// OpenSSL's own would ask at the terminal.
int no_passphrase(char*, int, int, void*) {
    return 0;
}

Error openssl_error(Errc code, const std::string& what) {
    const auto number = ERR_get_error();
    ERR_clear_error();
    const char* reason = number == 0 ? nullptr : ERR_reason_error_string(number);
    return {code, reason == nullptr ? what : what + " (" + reason + ")"};
}

std::time_t seconds_of(WallTime time) {
    return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

bool set_time(ASN1_TIME* field, WallTime time) {
    std::time_t seconds = seconds_of(time);
    return X509_time_adj_ex(field, 0, 0, &seconds) != nullptr;
}

WallTime time_of(const ASN1_TIME* field) {
    std::tm parts{};
    PH_ASSERT(ASN1_TIME_to_tm(field, &parts) == 1);
    return WallTime{std::chrono::seconds{timegm(&parts)}};
}

std::string contents(BIO* bio) {
    char* data = nullptr;
    const auto length = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(length)};
}

// One certificate in the making. A step that fails shows at the end, in signed_by().
class Draft {
public:
    Draft(const std::string& common_name, const Validity& validity)
        : key_(EVP_EC_gen("P-256")), made_(X509_new()) {
        if (!key_ || !made_) return;
        good_ = X509_set_version(made_.get(), X509_VERSION_3) == 1 &&
                X509_set_pubkey(made_.get(), key_.get()) == 1 && set_serial() &&
                set_time(X509_getm_notBefore(made_.get()), validity.from) &&
                set_time(X509_getm_notAfter(made_.get()), validity.until) &&
                set_subject(common_name.substr(0, common_name_max));
    }

    X509* certificate() { return made_.get(); }
    EVP_PKEY* key() { return key_.get(); }

    // Before extend(): some extensions copy from the issuer.
    void set_issuer(X509* issuer) {
        if (!good_) return;
        good_ = X509_set_issuer_name(made_.get(), X509_get_subject_name(issuer)) == 1;
        X509V3_set_ctx(&context_, issuer, made_.get(), nullptr, nullptr, 0);
        X509V3_set_ctx_nodb(&context_);
    }

    void extend(int kind, const std::string& value) {
        if (!good_) return;
        const Extension extension(X509V3_EXT_conf_nid(nullptr, &context_, kind, value.c_str()));
        good_ = extension && X509_add_ext(made_.get(), extension.get(), -1) == 1;
    }

    Result<Issued> signed_by(EVP_PKEY* issuer) {
        const Bio certificate(BIO_new(BIO_s_mem()));
        const Bio key(BIO_new(BIO_s_mem()));
        good_ = good_ && certificate && key && X509_sign(made_.get(), issuer, EVP_sha256()) > 0 &&
                PEM_write_bio_X509(certificate.get(), made_.get()) == 1 &&
                PEM_write_bio_PrivateKey(key.get(), key_.get(), nullptr, nullptr, 0, nullptr,
                                         nullptr) == 1;
        if (!good_) return openssl_error(Errc::unavailable, "OpenSSL cannot make a certificate");
        return Issued{{contents(certificate.get()), contents(key.get())},
                      time_of(X509_get0_notAfter(made_.get()))};
    }

private:
    bool set_serial() {
        const Number number(BN_new());
        return number &&
               BN_rand(number.get(), serial_bits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
               BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(made_.get())) != nullptr;
    }
    bool set_subject(const std::string& common_name) {
        const auto* text = reinterpret_cast<const unsigned char*>(common_name.data());
        return X509_NAME_add_entry_by_txt(X509_get_subject_name(made_.get()), "CN", MBSTRING_UTF8,
                                          text, static_cast<int>(common_name.size()), -1, 0) == 1;
    }

    Key key_;
    Certificate made_;
    X509V3_CTX context_{};
    bool good_ = false;
};

// An authority that may sign.
struct Authority {
    Certificate certificate;
    Key key;
};

Result<Authority> read_authority(const Credentials& pem) {
    const Bio certificate(
        BIO_new_mem_buf(pem.certificate.data(), static_cast<int>(pem.certificate.size())));
    const Bio key(BIO_new_mem_buf(pem.key.data(), static_cast<int>(pem.key.size())));
    Authority read{
        Certificate(PEM_read_bio_X509(certificate.get(), nullptr, no_passphrase, nullptr)),
        Key(PEM_read_bio_PrivateKey(key.get(), nullptr, no_passphrase, nullptr))};
    if (!read.certificate) return openssl_error(Errc::invalid, "it holds no certificate as PEM");
    if (!read.key) {
        return openssl_error(Errc::invalid,
                             "its key is no private key in PEM form without a passphrase");
    }
    if (X509_check_private_key(read.certificate.get(), read.key.get()) != 1) {
        return openssl_error(Errc::invalid, "its key belongs to another certificate");
    }
    if (X509_check_ca(read.certificate.get()) != 1) {
        return Error{Errc::invalid, "its certificate is not an authority's"};
    }
    return read;
}

std::string alternative_names(const std::vector<std::string>& names) {
    std::string value;
    for (const auto& name : names) {
        (value += value.empty() ? "" : ",") += config::is_ip_address(name) ? "IP:" : "DNS:";
        value += name;
    }
    return value;
}

}  // namespace

Result<Issued> make_authority(const Validity& validity) {
    Draft draft("Posthorse pool authority", validity);
    draft.set_issuer(draft.certificate());
    draft.extend(NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    draft.extend(NID_key_usage, "critical,keyCertSign,cRLSign");
    draft.extend(NID_subject_key_identifier, "hash");
    return draft.signed_by(draft.key());
}

Result<Issued> issue(const Credentials& authority, const IssueRequest& request) {
    PH_ASSERT(!request.names.empty());
    const auto issuer = read_authority(authority);
    if (!issuer) return issuer.error();
    const auto end = time_of(X509_get0_notAfter(issuer->certificate.get()));
    if (end <= request.validity.from) return Error{Errc::invalid, "its certificate has expired"};
    Draft draft(request.names.front(),
                {request.validity.from, std::min(request.validity.until, end)});
    draft.set_issuer(issuer->certificate.get());
    draft.extend(NID_basic_constraints, "critical,CA:FALSE");
    draft.extend(NID_key_usage, "critical,digitalSignature");
    draft.extend(NID_ext_key_usage, "serverAuth,clientAuth");
    draft.extend(NID_subject_key_identifier, "hash");
    draft.extend(NID_authority_key_identifier, "keyid:always");
    draft.extend(NID_subject_alt_name, alternative_names(request.names));
    return draft.signed_by(issuer->key.get());
}

}  // namespace posthorse::pool
