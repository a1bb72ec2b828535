#include "daemon/pool/certificate_authority.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/pool/certificates.h"

using namespace posthorse;
using namespace posthorse::pool;
using namespace std::chrono_literals;
using tests::belongs_to;
using tests::names;
using tests::parse_certificate;
using tests::verify;

namespace {

constexpr WallTime now{1'795'000'000s};
constexpr Validity ten_days{now - 5min, now + 240h};

const Credentials& authority() {
    static const Credentials made = make_authority(ten_days)->credentials;
    return made;
}

Credentials issued(std::vector<std::string> to, Validity validity = ten_days) {
    const auto made = issue(authority(), {std::move(to), validity});
    REQUIRE(made.has_value());
    return made->credentials;
}

std::string refusal_of(const Credentials& by, Validity validity = ten_days) {
    const auto made = issue(by, {{"n1"}, validity});
    REQUIRE(made.has_error());
    CHECK(made.error().code == Errc::invalid);
    return made.error().what;
}

}  // namespace

TEST_CASE("the authority signs certificates, and no further authorities") {
    const auto root = parse_certificate(authority().certificate);
    CHECK(belongs_to(authority().key, root));
    CHECK(verify(root, root, now, X509_PURPOSE_ANY) == X509_V_OK);
    CHECK(X509_check_ca(root.get()) == 1);
    CHECK(X509_get_pathlen(root.get()) == 0);
    CHECK(X509_get_key_usage(root.get()) == (KU_KEY_CERT_SIGN | KU_CRL_SIGN));
    for (const int kind : {NID_basic_constraints, NID_key_usage}) {
        const int at = X509_get_ext_by_NID(root.get(), kind, -1);
        REQUIRE(at >= 0);
        CHECK(X509_EXTENSION_get_critical(X509_get_ext(root.get(), at)) == 1);
    }
}

TEST_CASE("a node's certificate is good for both ends of a connection, and for nothing else") {
    const auto root = parse_certificate(authority().certificate);
    const auto made = issued({"n1.example"});
    const auto node = parse_certificate(made.certificate);
    CHECK(belongs_to(made.key, node));
    CHECK_FALSE(belongs_to(made.key, root));
    CHECK(verify(node, root, now, X509_PURPOSE_SSL_SERVER) == X509_V_OK);
    CHECK(verify(node, root, now, X509_PURPOSE_SSL_CLIENT) == X509_V_OK);
    CHECK(verify(node, root, now, X509_PURPOSE_SMIME_SIGN) != X509_V_OK);
    CHECK(X509_check_ca(node.get()) == 0);
    const auto below = issue(made, {{"n2"}, ten_days});
    REQUIRE(below.has_error());
    CHECK(below.error().what.find("not an authority") != std::string::npos);
}

TEST_CASE("another pool's certificate is a stranger's") {
    const auto other = parse_certificate(make_authority(ten_days)->credentials.certificate);
    const auto node = parse_certificate(issued({"n1"}).certificate);
    CHECK(verify(node, other, now) != X509_V_OK);
}

TEST_CASE("names are host names or IP addresses") {
    const auto node =
        parse_certificate(issued({"n1.example", "192.0.2.1", "2001:db8::1"}).certificate);
    CHECK(names(node, "n1.example"));
    CHECK(names(node, "192.0.2.1"));
    CHECK(names(node, "2001:db8::1"));
    CHECK_FALSE(names(node, "n2.example"));
    CHECK_FALSE(names(node, "192.0.2.2"));
}

TEST_CASE("a name longer than a common name may be is a name all the same") {
    const auto name = std::string(60, 'a') + ".mail.internal.example";
    CHECK(names(parse_certificate(issued({name}).certificate), name));
}

TEST_CASE("keys are P-256, and serial numbers are random and long") {
    const auto one = parse_certificate(issued({"n1"}).certificate);
    const auto two = parse_certificate(issued({"n1"}).certificate);
    CHECK(EVP_PKEY_get_bits(X509_get0_pubkey(one.get())) == 256);
    CHECK(EVP_PKEY_get_base_id(X509_get0_pubkey(one.get())) == EVP_PKEY_EC);
    const auto* serial = X509_get0_serialNumber(one.get());
    CHECK(ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(two.get())) != 0);
    CHECK(ASN1_STRING_length(serial) > 8);  // short by 7 octets once in 2^56
    CHECK(ASN1_STRING_length(serial) <= 16);
}

TEST_CASE("a certificate is good from its first to its last moment, not beyond its authority's") {
    const auto root = parse_certificate(authority().certificate);
    const auto node = parse_certificate(issued({"n1"}, {now - 5min, now + 24h}).certificate);
    CHECK(verify(node, root, now - 5min) == X509_V_OK);
    CHECK(verify(node, root, now + 24h - 1s) == X509_V_OK);
    CHECK(verify(node, root, now - 6min) != X509_V_OK);
    CHECK(verify(node, root, now + 25h) == X509_V_ERR_CERT_HAS_EXPIRED);
    CHECK(issue(authority(), {{"n1"}, {now, now + 9999h}})->until == ten_days.until);
    CHECK(issue(authority(), {{"n1"}, {now, now + 1h}})->until == now + 1h);
}

TEST_CASE("a hundred years are not too many") {
    const Validity century{now, now + std::chrono::days{36500}};
    const auto root = make_authority(century);
    REQUIRE(root.has_value());
    CHECK(root->until == century.until);
    const auto node = issue(root->credentials, {{"n1"}, century});
    REQUIRE(node.has_value());
    CHECK(verify(parse_certificate(node->credentials.certificate),
                 parse_certificate(root->credentials.certificate),
                 now + std::chrono::days{36000}) == X509_V_OK);
}

TEST_CASE("what cannot sign is refused, with the reason") {
    const auto other = make_authority(ten_days)->credentials;
    CHECK(refusal_of({"nonsense", authority().key}).find("no certificate") != std::string::npos);
    CHECK(refusal_of({authority().certificate, "nonsense"}).find("no private key") !=
          std::string::npos);
    CHECK(refusal_of({authority().certificate, other.key}).find("another certificate") !=
          std::string::npos);
    CHECK(refusal_of(authority(), {now + 241h, now + 999h}).find("expired") != std::string::npos);
}
