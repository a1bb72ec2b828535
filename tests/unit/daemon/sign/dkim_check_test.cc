#include "daemon/sign/dkim_check.h"

#include <doctest/doctest.h>

#include <optional>

#include "daemon/sign/dkim_memory.h"
#include "daemon/sign/key_lease.h"
#include "daemon/sign/opendkim.h"
#include "tests/unit/daemon/sign/key_files.h"

using namespace posthorse;
using namespace posthorse::sign;

namespace {

using End = DkimKeyAnswer::End;

const std::string head =
    "From: Ann <ann@example.org>\r\n"
    "To: bob@example.net\r\n"
    "Subject: hello   there \r\n"
    "Date: Mon, 1 Jan 2026 00:00:00 +0000\r\n";
const std::string text = "Hello,\r\n\r\nline two\r\n";

// How a test signs: with what the node's own signer never does, too.
struct Way {
    dkim_alg_t algorithm = DKIM_SIGN_RSASHA256;
    std::optional<std::uint64_t> at;   // t=; x= is an hour later
    ssize_t length = -1;               // l=
    const char* oversigned = nullptr;  // named more often than it stands
};

class World {
public:
    World()
        : rsa(*PrivateKey::generate(KeyKind::rsa)),
          ed25519(*PrivateKey::generate(KeyKind::ed25519)),
          verifier(*DkimVerifier::make()) {
        keys["r._domainkey.example.org"] = {End::found,
                                            {"v=DKIM1; k=rsa; p=" + rsa.public_key_base64()}};
        keys["e._domainkey.example.org"] = {
            End::found, {"v=DKIM1; k=ed25519; p=" + ed25519.public_key_base64()}};
    }

    // The field, with its CR LF, in front of `header`.
    std::string signature(const std::string& header, const std::string& body, Way way = {}) const {
        const bool is_rsa = way.algorithm != DKIM_SIGN_ED25519SHA256;
        const auto& key = is_rsa ? rsa : ed25519;
        // As the signer does it: the library by itself forgets the keys of Ed25519.
        DkimMemory memory;
        const KeyLease lease(key.native());
        DKIM_LIB* library = dkim_init(&DkimMemory::allocate, &DkimMemory::release);
        if (way.at) {
            std::uint64_t time = *way.at;
            std::uint64_t lifetime = 3600;
            dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FIXEDTIME, &time, sizeof time);
            dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_SIGNATURETTL, &lifetime,
                         sizeof lifetime);
        }
        const char* names[] = {way.oversigned, nullptr};
        if (way.oversigned != nullptr)
            dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_OVERSIGNHDRS, names,
                         sizeof(unsigned char**));
        unsigned flags = way.length >= 0 ? DKIM_LIBFLAGS_SIGNLEN : 0;
        dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags);
        DKIM_STAT status = DKIM_STAT_OK;
        DKIM* handle =
            dkim_sign(library, dkim_octets("test"), &memory, dkim_octets(key.pem()),
                      dkim_octets(is_rsa ? "r" : "e"), dkim_octets("example.org"),
                      DKIM_CANON_RELAXED, DKIM_CANON_RELAXED, way.algorithm, way.length, &status);
        REQUIRE(handle != nullptr);
        for (const auto& field : mail::parse_header(header).fields) {
            const auto raw = field.raw.substr(0, field.raw.size() - 2);
            REQUIRE(dkim_header(handle, dkim_octets(raw), raw.size()) == DKIM_STAT_OK);
        }
        REQUIRE(dkim_eoh(handle) == DKIM_STAT_OK);
        REQUIRE(dkim_body(handle, dkim_octets(body), body.size()) == DKIM_STAT_OK);
        REQUIRE(dkim_eom(handle, nullptr) == DKIM_STAT_OK);
        unsigned char* made = nullptr;
        std::size_t size = 0;
        REQUIRE(dkim_getsighdr_d(handle, 16, &made, &size) == DKIM_STAT_OK);
        const auto field =
            "DKIM-Signature: " + std::string(reinterpret_cast<const char*>(made), size) + "\r\n";
        dkim_free(handle);
        dkim_close(library);
        return field;
    }

    std::vector<DkimVerdict> check(const std::string& header,
                                   std::string_view body,
                                   std::size_t piece = 1000) const {
        auto begun = verifier->begin();
        REQUIRE(begun.has_value());
        begun->header(mail::parse_header(header));
        for (const auto& name : begun->wanted_keys()) CHECK(name.find("._domainkey.") == 1);
        while (!body.empty()) {
            begun->body(body.substr(0, piece));
            body.remove_prefix(std::min(piece, body.size()));
        }
        return begun->finish(keys);
    }
    DkimVerdict one(const std::string& header, std::string_view body) const {
        auto verdicts = check(header, body);
        REQUIRE(verdicts.size() == 1);
        return verdicts.front();
    }

    PrivateKey rsa;
    PrivateKey ed25519;
    std::unique_ptr<DkimVerifier> verifier;
    DkimKeyAnswers keys;
};

}  // namespace

TEST_CASE("no signature, no result, no question") {
    World world;
    CHECK(world.check(head, text).empty());
}

TEST_CASE("good signatures are found good, however the body is cut") {
    World world;
    const auto signed_head = world.signature(head, text) +
                             world.signature(head, text, {.algorithm = DKIM_SIGN_ED25519SHA256}) +
                             head;
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
        const auto verdicts = world.check(signed_head, text, piece);
        REQUIRE(verdicts.size() == 2);
        CHECK(verdicts[0].result == DkimResult::pass);
        CHECK(verdicts[0].algorithm == "rsa-sha256");
        CHECK(verdicts[0].domain == "example.org");
        CHECK(verdicts[0].selector == "r");
        CHECK(verdicts[0].signature.size() > 300);
        CHECK(verdicts[0].reason.empty());
        CHECK(verdicts[1].result == DkimResult::pass);
        CHECK(verdicts[1].algorithm == "ed25519-sha256");
    }
}

TEST_CASE("a body without its last line end is verified as it was signed") {
    World world;
    const auto signed_head = world.signature(head, text) + head;
    CHECK(world.one(signed_head, text.substr(0, text.size() - 2)).result == DkimResult::pass);
    const auto empty_body = world.signature(head, "") + head;
    CHECK(world.one(empty_body, "").result == DkimResult::pass);
    CHECK(world.one(empty_body, "\r\n\r\n").result == DkimResult::pass);
}

TEST_CASE("a changed body or header is a failure") {
    World world;
    const auto field = world.signature(head, text);
    const auto body = world.one(field + head, "Hello,\r\n\r\nline 2\r\n");
    CHECK(body.result == DkimResult::fail);
    CHECK(body.reason == "the body was changed");
    auto changed = head;
    changed.replace(changed.find("hello"), 5, "HELLO");
    const auto header = world.one(field + changed, text);
    CHECK(header.result == DkimResult::fail);
    CHECK(header.reason == "signature verification failed");
}

TEST_CASE("a signature has its time") {
    World world;
    const auto old = world.one(world.signature(head, text, {.at = 1'700'000'000}) + head, text);
    CHECK(old.result == DkimResult::fail);
    CHECK(old.reason == "signature expired");
    const auto future = world.one(world.signature(head, text, {.at = 4'000'000'000}) + head, text);
    CHECK(future.result == DkimResult::fail);
}

TEST_CASE("what is wrong with the key") {
    World world;
    const auto field = world.signature(head, text);
    auto& key = world.keys["r._domainkey.example.org"];
    const auto good = key.records.front();
    const auto with = [&](DkimKeyAnswer answer) {
        key = std::move(answer);
        return world.one(field + head, text);
    };
    CHECK(with({End::failed, {}}).result == DkimResult::temperror);
    CHECK(with({End::absent, {}}).reason == "no key");
    CHECK(with({End::absent, {}}).result == DkimResult::permerror);
    CHECK(with({End::found, {good, good}}).reason == "several keys");
    CHECK(with({End::found, {"v=DKIM1; p="}}).result == DkimResult::permerror);
    CHECK(with({End::found, {"v=DKIM1; p="}}).reason.find("revoked") != std::string::npos);
    CHECK(with({End::found, {"v=DKIM1; p=YWJj"}}).result == DkimResult::permerror);
    CHECK(with({End::found, {"v=DKIM2; " + good.substr(9)}}).result == DkimResult::permerror);
    CHECK(with({End::found, {good + std::string(1024, ' ')}}).reason == "key too long");
    CHECK(with({End::found, {""}}).reason == "malformed key");
    CHECK(with({End::found, {"v=DKIM1; h=sha1; " + good.substr(9)}}).result ==
          DkimResult::permerror);
    const auto other = PrivateKey::generate(KeyKind::rsa);
    CHECK(with({End::found, {"p=" + other->public_key_base64()}}).result == DkimResult::fail);
    CHECK(with({End::found, {"k=ed25519; p=" + world.ed25519.public_key_base64()}}).result !=
          DkimResult::pass);
    CHECK(with({End::found, {good}}).result == DkimResult::pass);
    world.keys.clear();
    CHECK(world.one(field + head, text).result == DkimResult::temperror);
}

TEST_CASE("SHA-1 verifies nothing") {
    World world;
    const auto verdict =
        world.one(world.signature(head, text, {.algorithm = DKIM_SIGN_RSASHA1}) + head, text);
    CHECK(verdict.result == DkimResult::permerror);
    CHECK(verdict.reason == "rsa-sha1 verifies nothing");
}

TEST_CASE("a signature of a part of the body is good, and says so") {
    World world;
    const auto field = world.signature(head, text, {.length = 8});
    const auto verdict = world.one(field + head, text + "and something else\r\n");
    CHECK(verdict.result == DkimResult::pass);
    CHECK(verdict.reason == "l=8 covers a part of the body only");
    CHECK(world.one(field + head, "Hel\r\n").result == DkimResult::fail);
}

TEST_CASE("a malformed signature keeps no other from its result") {
    World world;
    const auto good = world.signature(head, text);
    for (const std::string bad :
         {"DKIM-Signature: nonsense\r\n", "DKIM-Signature: v=1; a=rsa-sha256; d=example.org\r\n",
          "DKIM-Signature: v=2; a=rsa-sha256; d=example.org; s=r; h=from; bh=YQ==; b=YQ==\r\n",
          "DKIM-Signature: v=1; a=what; d=example.org; s=r; h=from; bh=YQ==; b=YQ==\r\n",
          "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=r; h=to; bh=YQ==; b=YQ==\r\n",
          "DKIM-Signature: v=1; a=rsa-sha256; d=a.b; s=r; i=@b.c; h=from; bh=YQ==; b=YQ==\r\n",
          "DKIM-Signature:\r\n"}) {
        CAPTURE(bad);
        const auto verdicts = world.check(bad + good + head, text);
        REQUIRE(verdicts.size() == 2);
        CHECK(verdicts[0].result == DkimResult::permerror);
        CHECK_FALSE(verdicts[0].reason.empty());
        CHECK(verdicts[1].result == DkimResult::pass);
        CHECK(world.check(good + bad + head, text)[0].result == DkimResult::pass);
    }
}

TEST_CASE("a signature may name fields more often than they stand") {
    World world;
    const std::string from = "From: a@example.org\r\n";
    const auto field = world.signature(from, text, {.oversigned = "from"});
    CHECK(world.one(field + from, text).result == DkimResult::pass);
    CHECK(world.one(field + from + from, text).result == DkimResult::fail);
}

// What libopendkim writes behind its table of fields aborts the process when it has no room there.
TEST_CASE("a signature that names every field of a message, itself and one more is only bad") {
    World world;
    std::string names = "dkim-signature:from:from";
    std::string fields = "From: a@example.org\r\n";
    for (int i = 0; i < 8; ++i) {
        const auto number = std::to_string(i);
        names += ":x" + number;
        fields += "X" + number + ": y\r\n";
        const auto all =
            "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=r; bh=YQ==; b=YQ==; h=" + names +
            ":y\r\n" + fields;
        for (int again = 0; again < 20; ++again)
            CHECK(world.one(all, text).result == DkimResult::fail);
    }
}

TEST_CASE("signatures, fields and their size have bounds") {
    World world;
    const auto good = world.signature(head, text);
    std::string many;
    for (int i = 0; i < 30; ++i) many += good;
    const auto verdicts = world.check(many + head, text);
    REQUIRE(verdicts.size() == DkimCheck::signatures_max);
    CHECK(verdicts.back().result == DkimResult::pass);
    std::string fields;
    for (std::size_t i = 0; i < DkimCheck::fields_max; ++i) fields += "X: y\r\n";
    const auto crowded = world.one(good + fields + head, text);
    CHECK(crowded.result == DkimResult::policy);
    CHECK(crowded.reason == "too many header fields");
    const auto buried = world.one(fields + good + head, text);
    CHECK(buried.result == DkimResult::policy);
    const auto large = "X: " + std::string(DkimCheck::header_bytes_max, 'x') + "\r\n";
    CHECK(world.one(good + large + head, text).result == DkimResult::pass);
    CHECK(world.one(good + std::string("X: a\0b\r\n", 8) + head, text).result == DkimResult::pass);
}

TEST_CASE("a message without From has no good signature") {
    World world;
    const auto field = world.signature(head, text);
    CHECK(world.one(field + head.substr(head.find("To:")), text).result != DkimResult::pass);
}
