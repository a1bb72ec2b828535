#include "daemon/sign/signer.h"

#include <doctest/doctest.h>

#include <thread>

#include "daemon/sign/keygen_command.h"
#include "tests/unit/daemon/sign/key_files.h"

#define _Bool bool
extern "C" {
#include <opendkim/dkim.h>
}
#undef _Bool

using namespace posthorse;
using namespace posthorse::sign;
using namespace std::string_literals;

namespace {

const std::string head =
    "Received: from a by b; Mon, 1 Jan 2026 00:00:00 +0000\r\n"
    "From: Ann <ann@example.org>\r\n"
    "To: bob@example.net,\r\n\tcarl@example.net\r\n"
    "Subject: hello   there \r\n"
    "Date: Mon, 1 Jan 2026 00:00:00 +0000\r\n"
    "Message-ID: <1@example.org>\r\n";

// One key of each kind for example.org, and the judge of what they sign.
class World {
public:
    World()
        : rsa(files.make_key("rsa.pem", KeyKind::rsa)),
          ed25519(files.make_key("ed.pem", KeyKind::ed25519)) {
        const auto loaded = files.load("rsa example.org:r:" + files.file("rsa.pem") + "\n" +
                                           "ed example.org:e:" + files.file("ed.pem") + "\n",
                                       "*@example.org rsa\n*@example.org ed\n*@quick.example ed\n"
                                       "*@slow.example rsa\n*@broken.example none\n");
        REQUIRE(loaded.ring != nullptr);
        ring = loaded.ring;
        files.write("dns", record("r", rsa) + record("e", ed25519));
    }

    // How many signatures of `message` are there, and how many are good, as libopendkim verifies.
    struct Verdict {
        int signatures = 0;
        int good = 0;
    };
    Verdict verify(std::string message) const {
        DKIM_LIB* library = dkim_init(nullptr, nullptr);
        int method = DKIM_QUERY_FILE;
        auto path = files.file("dns");
        dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_QUERYMETHOD, &method, sizeof method);
        dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_QUERYINFO, path.data(), path.size() + 1);
        unsigned flags = DKIM_LIBFLAGS_FIXCRLF;
        dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags);
        DKIM_STAT status = DKIM_STAT_OK;
        DKIM* handle =
            dkim_verify(library, reinterpret_cast<const unsigned char*>("test"), nullptr, &status);
        REQUIRE(handle != nullptr);
        dkim_chunk(handle, reinterpret_cast<unsigned char*>(message.data()), message.size());
        dkim_chunk(handle, nullptr, 0);
        bool test_key = false;
        dkim_eom(handle, &test_key);
        Verdict verdict;
        DKIM_SIGINFO** infos = nullptr;
        if (dkim_getsiglist(handle, &infos, &verdict.signatures) != DKIM_STAT_OK)
            verdict.signatures = 0;
        for (int i = 0; i < verdict.signatures; ++i) {
            dkim_sig_process(handle, infos[i]);
            if (DKIM_SIG_CHECK(infos[i])) ++verdict.good;
        }
        dkim_free(handle);
        dkim_close(library);
        return verdict;
    }

    KeyFiles files;
    PrivateKey rsa;
    PrivateKey ed25519;
    std::shared_ptr<const KeyRing> ring;

private:
    static std::string record(const std::string& selector, const PrivateKey& key) {
        const auto zone = dns_record({"example.org", selector, key.kind(), "."}, key);
        std::string text = selector + "._domainkey.example.org ";
        bool inside = false;
        for (const char c : zone.substr(zone.find('('))) {
            if (c == '"') {
                inside = !inside;
            } else if (inside) {
                text += c;
            }
        }
        return text + '\n';
    }
};

std::string sign_in_pieces(const Signer& signer,
                           const std::string& header,
                           std::string_view body,
                           std::size_t piece) {
    auto signing = signer.begin("ann@example.org");
    REQUIRE(signing.has_value());
    REQUIRE(signing->has_value());
    REQUIRE((*signing)->header(header).has_value());
    while (!body.empty()) {
        REQUIRE((*signing)->body(body.substr(0, piece)).has_value());
        body.remove_prefix(std::min(piece, body.size()));
    }
    auto fields = (*signing)->finish();
    REQUIRE(fields.has_value());
    return *fields;
}

int count(const std::string& text, std::string_view what) {
    int found = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
    return found;
}

std::string bodies[] = {
    "",
    "\r\n",
    "\r\n\r\n\r\n",
    "hello\r\n",
    "hello\r\n\r\n\r\n",
    "no line end",
    ".\r\n..\r\n.leading dot\r\n",
    "trailing space  \r\n \t \r\nmany    spaces\there\r\n",
    "caf\xc3\xa9 \xff\xfe\x80 latin\xe9\r\n",
    std::string(5000, 'x') + "\r\n",
    std::string("nul \0 inside\r\n", 14),
};

}  // namespace

TEST_CASE("signatures are good for every canonicalization, body and cut") {
    const World world;
    for (const auto* canonicalization :
         {"relaxed/relaxed", "relaxed/simple", "simple/simple", "simple/relaxed"}) {
        Signer signer(canonicalization);
        signer.use(world.ring);
        for (const auto& body : bodies) {
            for (const auto piece :
                 {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{100000}}) {
                CAPTURE(std::string(canonicalization));
                CAPTURE(body.substr(0, 30));
                CAPTURE(piece);
                const auto fields = sign_in_pieces(signer, head, body, piece);
                const auto ended = body.empty() || body.ends_with("\r\n") ? body : body + "\r\n";
                const auto verdict = world.verify(fields + head + "\r\n" + ended);
                CHECK(verdict.signatures == 2);
                CHECK(verdict.good == 2);
            }
        }
    }
}

TEST_CASE("a signature field is whole lines, oversigned, and says nothing of the body's length") {
    const World world;
    Signer signer("relaxed/simple");
    signer.use(world.ring);
    const auto fields = sign_in_pieces(signer, head, "hello\r\n", 100);
    CHECK(count(fields, "DKIM-Signature: ") == 2);
    CHECK(fields.starts_with("DKIM-Signature: "));
    CHECK(fields.ends_with("\r\n"));
    for (std::size_t at = fields.find('\n'); at != std::string::npos;
         at = fields.find('\n', at + 1)) {
        CHECK(fields[at - 1] == '\r');
    }
    CHECK(fields.find("a=rsa-sha256") < fields.find("a=ed25519-sha256"));
    CHECK(count(fields, "c=relaxed/simple") == 2);
    CHECK(count(fields, " l=") == 0);
    CHECK(count(fields, "Received") == 0);
    const auto first = fields.substr(0, fields.find("DKIM-Signature: ", 1));
    CHECK(count(first, "From") == 2);
    CHECK(count(first, "Subject") == 2);
    CHECK(count(first, "Reply-To") == 1);  // not there, and may not come
}

TEST_CASE("what is changed or added breaks the signature, what servers add does not") {
    const World world;
    Signer signer("relaxed/relaxed");
    signer.use(world.ring);
    const std::string body = "hello\r\n";
    const auto fields = sign_in_pieces(signer, head, body, 100);
    CHECK(world.verify(fields + head + "\r\n" + body).good == 2);
    CHECK(
        world.verify("Received: from c by d; now\r\nX-Spam: no\r\n" + fields + head + "\r\n" + body)
            .good == 2);
    CHECK(world.verify(fields + head + "\r\nhallo\r\n").good == 0);
    CHECK(world.verify(fields + head + "\r\n" + body + "more\r\n").good == 0);
    for (const auto* added :
         {"From: evil@example.com\r\n", "To: x@y\r\n", "Cc: x@y\r\n", "Subject: z\r\n",
          "Date: now\r\n", "Reply-To: x@y\r\n", "Message-ID: <2@x>\r\n", "MIME-Version: 1.0\r\n",
          "Content-Type: text/html\r\n"}) {
        CAPTURE(std::string(added));
        CHECK(world.verify(added + fields + head + "\r\n" + body).good == 0);
        CHECK(world.verify(fields + head + added + "\r\n" + body).good == 0);
    }
}

TEST_CASE("a message that carries signatures already, good or malformed, is signed as well") {
    const World world;
    Signer signer("relaxed/relaxed");
    signer.use(world.ring);
    const auto with_old =
        "DKIM-Signature: ;;garbage\r\nDKIM-Signature: v=1; a=x\r\n no: end\r\n" + head;
    const auto fields = sign_in_pieces(signer, with_old, "hello\r\n", 100);
    CHECK(world.verify(fields + head + "\r\nhello\r\n").good == 2);
}

TEST_CASE("repeated, long and 8-bit fields are signed as they are") {
    const World world;
    Signer signer("relaxed/relaxed");
    signer.use(world.ring);
    std::string header = head + "Comments: not signed\r\nCc: a@b\r\nCc: c@d\r\nsubject : twice\r\n";
    header += "References: " + std::string(50'000, 'r') + "\r\n";
    header += "X: \xff\xc3\xa9\r\nList-Id: caf\xc3\xa9 <l.example.org>\r\n";
    const auto fields = sign_in_pieces(signer, header, "hello\r\n", 100);
    CHECK(world.verify(fields + header + "\r\nhello\r\n").good == 2);
}

TEST_CASE("what would be signed wrongly is refused") {
    const World world;
    Signer signer("relaxed/relaxed");
    signer.use(world.ring);
    const auto error_of = [&](const std::string& header) {
        auto signing = signer.begin("ann@example.org");
        const auto done = (*signing)->header(header);
        return done ? Errc::unknown : done.error().code;
    };
    CHECK(error_of(head) == Errc::unknown);
    CHECK(error_of("To: bob@example.net\r\n") == Errc::invalid);  // no From
    CHECK(error_of(head + "References: " + std::string(61'000, 'r') + "\r\n") == Errc::invalid);
    CHECK(error_of(head + "Cc: a\0b@c\r\n"s) == Errc::invalid);
    std::string many = head;
    for (int i = 0; i < 101; ++i) many += "Cc: a@b\r\n";
    CHECK(error_of(many) == Errc::invalid);
}

TEST_CASE("who wants no signature gets none, who cannot have one an error") {
    const World world;
    Signer signer("relaxed/relaxed");
    CHECK_FALSE(signer.begin("ann@example.org")->has_value());
    signer.use(nullptr);  // the tables could not be read at the start
    CHECK(signer.begin("ann@example.org").error().code == Errc::unavailable);
    signer.use(KeyRing::load({}).ring);
    CHECK_FALSE(signer.begin("ann@example.org")->has_value());
    signer.use(world.ring);
    signer.use(nullptr);  // a reload whose tables could not be read
    CHECK(signer.begin("ann@example.org")->has_value());
    CHECK_FALSE(signer.begin("ann@example.net")->has_value());
    CHECK_FALSE(signer.begin("")->has_value());
    CHECK(signer.begin("ann@broken.example").error().code == Errc::unavailable);
    CHECK(sign_message(signer, "ann@example.net", head + "\r\nhello\r\n").value().empty());
    CHECK(sign_message(signer, "ann@broken.example", head).error().code == Errc::unavailable);
}

TEST_CASE("one signature of Ed25519 is brief, one of RSA or two are not") {
    const World world;
    Signer signer("relaxed/relaxed");
    signer.use(world.ring);
    CHECK((*signer.begin("ann@quick.example"))->is_brief());
    CHECK_FALSE((*signer.begin("ann@slow.example"))->is_brief());
    CHECK_FALSE((*signer.begin("ann@example.org"))->is_brief());
}

TEST_CASE("a whole message is signed in one call, with a body or without") {
    const World world;
    Signer signer("relaxed/relaxed");
    signer.use(world.ring);
    for (const auto& message : {head + "\r\nhello\r\n", head + "\r\n", head}) {
        const auto fields = sign_message(signer, "ann@example.org", message);
        REQUIRE(fields.has_value());
        CHECK(world.verify(*fields + message).good == 2);
    }
}

TEST_CASE("a signing outlives the ring and the signer it began with") {
    auto world = std::make_unique<World>();
    auto signer = std::make_unique<Signer>("relaxed/relaxed");
    signer->use(world->ring);
    auto signing = signer->begin("ann@example.org");
    signer->use(KeyRing::load({}).ring);
    world->ring.reset();
    signer.reset();
    REQUIRE((*signing)->header(head).has_value());
    REQUIRE((*signing)->body("hello\r\n").has_value());
    CHECK(world->verify((*signing)->finish().value() + head + "\r\nhello\r\n").good == 2);
}

TEST_CASE("a signing that is dropped half-way leaves nothing behind") {
    const World world;
    Signer signer("relaxed/relaxed");
    signer.use(world.ring);
    auto signing = signer.begin("ann@example.org");
    REQUIRE((*signing)->header(head).has_value());
    REQUIRE((*signing)->body("half").has_value());
}

TEST_CASE("threads sign side by side") {
    const World world;
    Signer signer("relaxed/relaxed");
    signer.use(world.ring);
    std::array<std::string, 4> fields;
    std::vector<std::thread> threads;
    for (auto& mine : fields) {
        threads.emplace_back([&signer, &mine] {
            for (int i = 0; i < 50; ++i) {
                mine = sign_message(signer, "ann@example.org", head + "\r\nhello\r\n").value();
            }
        });
    }
    for (auto& thread : threads) thread.join();
    for (const auto& mine : fields) CHECK(world.verify(mine + head + "\r\nhello\r\n").good == 2);
}
