#include "daemon/sign/key_ring.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/sign/key_files.h"

using namespace posthorse;
using namespace posthorse::sign;

namespace {

// OpenSSL's own words, so that no key of ours stands in a test: base64 of the DER of a PEM text.
std::string base64_of(const std::string& pem) {
    std::string text;
    std::size_t at = pem.find('\n') + 1;
    while (pem[at] != '-') {
        const auto end = pem.find('\n', at);
        text += pem.substr(at, end - at);
        at = end + 1;
    }
    return text;
}

}  // namespace

TEST_CASE("keys are told apart and survive PEM and DER") {
    for (const auto kind : {KeyKind::rsa, KeyKind::ed25519}) {
        const auto key = PrivateKey::generate(kind);
        REQUIRE(key.has_value());
        CHECK(key->kind() == kind);
        const auto again = PrivateKey::from_pem(key->pem());
        REQUIRE(again.has_value());
        CHECK(again->kind() == kind);
        CHECK(again->public_key_base64() == key->public_key_base64());
        const auto inlined = PrivateKey::from_base64_der(base64_of(key->pem()));
        REQUIRE(inlined.has_value());
        CHECK(inlined->public_key_base64() == key->public_key_base64());
    }
    CHECK(PrivateKey::generate(KeyKind::ed25519)->public_key_base64().size() == 44);
}

TEST_CASE("what is no key is refused with a reason") {
    CHECK(PrivateKey::from_pem("").error().code == Errc::invalid);
    CHECK(PrivateKey::from_pem("hello").error().code == Errc::invalid);
    CHECK(PrivateKey::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
              .error()
              .code == Errc::invalid);
    CHECK(PrivateKey::from_base64_der("%%%").error().code == Errc::invalid);
    CHECK(PrivateKey::from_base64_der("").error().code == Errc::invalid);
    CHECK(PrivateKey::read("/nonexistent/key.pem").error().code == Errc::unavailable);
    // An EC key: valid, and of no use for DKIM.
    const auto ec = PrivateKey::from_pem(
        "-----BEGIN PRIVATE KEY-----\n"
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\n"
        "OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\n"
        "1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G\n"
        "-----END PRIVATE KEY-----\n");
    CHECK(ec.error().what.find("neither RSA nor Ed25519") != std::string::npos);
}

TEST_CASE("without tables nothing is signed") {
    const auto loaded = KeyRing::load({});
    REQUIRE(loaded.ring != nullptr);
    CHECK(loaded.problems.empty());
    CHECK(loaded.ring->select("ann@example.org")->empty());
}

TEST_CASE("a sender's rows are chosen in the order of the file, each signature once") {
    const KeyFiles files;
    files.make_key("rsa.pem", KeyKind::rsa);
    files.make_key("ed.pem", KeyKind::ed25519);
    const auto loaded =
        files.load("rsa example.org:r1:" + files.file("rsa.pem") + "\n" + "ed example.org:e1:" +
                       files.file("ed.pem") + "\n" + "any %:r1:" + files.file("rsa.pem") + "\n",
                   "*@example.org ed\n*@example.org rsa:%\nann@example.org ed\n*.example any\n");
    for (const auto& problem : loaded.problems) MESSAGE(problem.to_string());
    REQUIRE(loaded.problems.empty());
    CHECK(loaded.ring->usable_key_count() == 3);

    const auto both = loaded.ring->select("Ann@Example.org");
    REQUIRE(both.has_value());
    REQUIRE(both->size() == 2);
    CHECK((*both)[0].selector == "e1");
    CHECK((*both)[0].key->kind() == KeyKind::ed25519);
    CHECK((*both)[1].selector == "r1");
    CHECK((*both)[1].signer == "Example.org");

    const auto any = loaded.ring->select("bob@sub.example");
    REQUIRE(any->size() == 1);
    CHECK((*any)[0].domain == "sub.example");
    CHECK(loaded.ring->select("bob@example.net")->empty());
    CHECK(loaded.ring->select("")->empty());
}

TEST_CASE("a wanted key that cannot be used is an error for its senders alone") {
    const KeyFiles files;
    files.make_key("good.pem", KeyKind::ed25519);
    files.write("bad.pem", "garbage");
    const auto loaded = files.load(
        "good example.org:s:" + files.file("good.pem") + "\nbad bad.example:s:" +
            files.file("bad.pem") + "\ngone gone.example:s:/nonexistent.pem\nper %:s:/keys/%.pem\n",
        "*@example.org good\n*@bad.example bad\n*@gone.example gone\n*@none.example missing\n"
        "*@two.example good\n*@two.example bad\n*@per.example per\n");
    REQUIRE(loaded.ring != nullptr);
    CHECK(loaded.problems.size() == 4);
    for (const auto& problem : loaded.problems) {
        CHECK_FALSE(problem.fatal);
        CHECK(problem.line > 0);
    }
    CHECK(loaded.ring->select("a@example.org")->size() == 1);
    for (const auto* address :
         {"a@bad.example", "a@gone.example", "a@none.example", "a@two.example", "a@per.example"}) {
        CAPTURE(std::string(address));
        const auto selected = loaded.ring->select(address);
        REQUIRE_FALSE(selected.has_value());
        CHECK(selected.error().code == Errc::unavailable);
    }
}

TEST_CASE("a key that everybody can read is used, and named") {
    const KeyFiles files;
    files.make_key("key.pem", KeyKind::ed25519);
    std::filesystem::permissions(files.file("key.pem"), std::filesystem::perms{0644});
    const auto loaded =
        files.load("k example.org:s:" + files.file("key.pem") + "\n", "*@example.org k\n");
    REQUIRE(loaded.problems.size() == 1);
    CHECK(loaded.problems[0].what.find("chmod") != std::string::npos);
    CHECK(loaded.ring->select("a@example.org")->size() == 1);
}

TEST_CASE("a table that cannot be read gives no ring at all") {
    config::Dkim settings;
    settings.key_table = "/nonexistent/KeyTable";
    settings.signing_table = "/nonexistent/SigningTable";
    const auto loaded = KeyRing::load(settings);
    CHECK(loaded.ring == nullptr);
    REQUIRE(loaded.problems.size() == 2);
    CHECK(loaded.problems[0].fatal);
}
