#include "daemon/sign/keygen_command.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <sstream>

#include "tests/unit/daemon/sign/key_files.h"

using namespace posthorse::sign;

TEST_CASE("a made key is private, and its printed rows make a ring that signs") {
    for (const auto kind : {KeyKind::rsa, KeyKind::ed25519}) {
        const KeyFiles files;
        const KeygenCommand command{"example.org", "s1", kind, files.file("")};
        std::ostringstream out;
        std::ostringstream err;
        REQUIRE(keygen(command, out, err) == 0);
        const auto path = files.file("s1._domainkey.example.org.pem");
        struct stat status{};
        REQUIRE(stat(path.c_str(), &status) == 0);
        CHECK((status.st_mode & 07777) == 0600);

        const auto row = [&](std::string_view start) {
            const auto text = out.str();
            const auto at = text.find("\n" + std::string(start)) + 1;
            return text.substr(at, text.find('\n', at) - at);
        };
        const auto loaded =
            files.load(row("s1._domainkey.example.org example.org:"), row("*@example.org "));
        CHECK(loaded.problems.empty());
        const auto chosen = loaded.ring->select("ann@example.org");
        REQUIRE(chosen->size() == 1);
        CHECK((*chosen)[0].key->kind() == kind);
        CHECK(out.str().find(dns_record(command, *(*chosen)[0].key)) != std::string::npos);

        CHECK(keygen(command, out, err) == 1);  // never over an existing key
        CHECK(err.str().find("there already") != std::string::npos);
    }
}

TEST_CASE("the record's strings fit into DNS and hold the whole key") {
    const auto key = PrivateKey::generate(KeyKind::rsa);
    const auto record = dns_record({"example.org", "s1", KeyKind::rsa, "."}, *key);
    CHECK(record.starts_with("s1._domainkey.example.org. IN TXT ("));
    std::string joined;
    std::size_t at = 0;
    while ((at = record.find('"', at)) != std::string::npos) {
        const auto end = record.find('"', at + 1);
        CHECK(end - at - 1 <= 255);
        joined += record.substr(at + 1, end - at - 1);
        at = end + 1;
    }
    CHECK(joined == "v=DKIM1; h=sha256; k=rsa; p=" + key->public_key_base64());
}

TEST_CASE("nonsense is refused before anything is written") {
    std::ostringstream out;
    std::ostringstream err;
    CHECK(keygen({"exa mple", "s1", KeyKind::rsa, "/tmp"}, out, err) == 1);
    CHECK(keygen({"example.org", "../x", KeyKind::rsa, "/tmp"}, out, err) == 1);
    CHECK(keygen({"example.org", "s1", KeyKind::ed25519, "/nonexistent"}, out, err) == 1);
    CHECK(out.str().empty());
}
