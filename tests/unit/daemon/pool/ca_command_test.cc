#include "daemon/pool/ca_command.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "daemon/config/config.h"
#include "tests/unit/daemon/pool/certificates.h"
#include "tests/unit/support/temporary_directory.h"

using namespace posthorse;
using namespace posthorse::pool;
using namespace std::chrono_literals;

namespace {

constexpr WallTime now{1'795'000'000s};  // 2026-11-18

std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

mode_t mode_of(const std::string& path) {
    struct stat status{};
    REQUIRE_MESSAGE(stat(path.c_str(), &status) == 0, path);
    return status.st_mode & 07777;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// A directory for an authority, and what the commands said.
class Ca {
public:
    int init(unsigned days = certificate_days_default) {
        return run([&] { return ca_init({directory, days}, now, out_, err_); });
    }
    int issue(CaIssueCommand command = {}) {
        if (command.directory.empty()) command.directory = directory;
        return run([&] { return ca_issue(command, now, out_, err_); });
    }
    tests::Certificate certificate(const std::string& name) const {
        return tests::parse_certificate(read(file(name)));
    }
    std::string file(const std::string& name) const { return directory + '/' + name; }
    // The section [pool] that issue() printed, as a node reads it.
    config::Pool printed_settings() const {
        const auto section = out.substr(out.find("[pool]"));
        const auto loaded = config::parse(section + "join = [\"nodes.example\"]\n", "printed");
        for (const auto& problem : loaded.problems) MESSAGE(problem.to_string());
        CHECK(loaded.problems.empty());
        return loaded.config.pool;
    }

    tests::TemporaryDirectory root;
    std::string directory = root.path() + "/ca";
    std::string out;  // of the last command
    std::string err;

private:
    template <class Command>
    int run(Command command) {
        out_.str({});
        err_.str({});
        const int code = command();
        out = out_.str();
        err = err_.str();
        return code;
    }
    std::ostringstream out_;
    std::ostringstream err_;
};

}  // namespace

TEST_CASE("init makes an authority, and says what comes next") {
    Ca ca;
    REQUIRE(ca.init(30) == 0);
    CHECK(mode_of(ca.file("ca.key")) == 0600);
    const auto certificate = ca.certificate("ca.pem");
    CHECK(tests::belongs_to(read(ca.file("ca.key")), certificate));
    CHECK(tests::verify(certificate, certificate, now, X509_PURPOSE_ANY) == X509_V_OK);
    CHECK(has(ca.out, "until 2026-12-18"));
    CHECK(has(ca.out, "posthorse pool ca issue --dir " + ca.directory));
}

TEST_CASE("an authority that is there stays") {
    Ca ca;
    REQUIRE(ca.init() == 0);
    const auto key = read(ca.file("ca.key"));
    CHECK(ca.init() == 1);
    CHECK(has(ca.err, "posthorse pool ca init: '" + ca.file("ca.key") + "' is there already"));
    CHECK(has(ca.err, "choose another --dir"));
    CHECK(ca.out.empty());
    CHECK(read(ca.file("ca.key")) == key);
}

TEST_CASE("half an authority is not made whole with another's half") {
    Ca ca;
    REQUIRE(ca.init() == 0);
    std::filesystem::remove(ca.file("ca.key"));
    CHECK(ca.init() == 1);
    CHECK_FALSE(std::filesystem::exists(ca.file("ca.key")));
}

TEST_CASE("without a name there is one certificate for the pool") {
    Ca ca;
    REQUIRE(ca.init() == 0);
    REQUIRE(ca.issue() == 0);
    CHECK(mode_of(ca.file("pool.key")) == 0600);
    const auto node = ca.certificate("pool.pem");
    CHECK(tests::belongs_to(read(ca.file("pool.key")), node));
    CHECK(tests::verify(node, ca.certificate("ca.pem"), now) == X509_V_OK);
    CHECK(tests::names(node, "posthorse-pool"));
    const auto settings = ca.printed_settings();
    CHECK(settings.ca_file == ca.file("ca.pem"));
    CHECK(settings.certificate_file == ca.file("pool.pem"));
    CHECK(settings.key_file == ca.file("pool.key"));
    CHECK(settings.certificates == "pool");
}

TEST_CASE("with names there is one for a node") {
    Ca ca;
    REQUIRE(ca.init() == 0);
    REQUIRE(ca.issue({.names = {"192.0.2.1", "n1.example"}, .prefix = ca.file("first")}) == 0);
    const auto node = ca.certificate("first.pem");
    CHECK(tests::names(node, "n1.example"));
    CHECK(tests::names(node, "192.0.2.1"));
    CHECK_FALSE(tests::names(node, "posthorse-pool"));
    const auto settings = ca.printed_settings();
    CHECK(settings.certificates == "node");
    CHECK(settings.name == "n1.example");
    CHECK(settings.key_file == ca.file("first.key"));
    REQUIRE(ca.issue({.names = {"n2.example"}}) == 0);
    CHECK(tests::names(ca.certificate("n2.example.pem"), "n2.example"));
}

TEST_CASE("addresses alone name no node") {
    Ca ca;
    REQUIRE(ca.init() == 0);
    REQUIRE(ca.issue({.names = {"2001:db8::1"}}) == 0);
    const auto settings = ca.printed_settings();
    CHECK(settings.certificates == "pool");
    CHECK(settings.name.empty());
}

TEST_CASE("a certificate that is there stays, and no half of another beside it") {
    Ca ca;
    REQUIRE(ca.init() == 0);
    REQUIRE(ca.issue() == 0);
    const auto before = read(ca.file("pool.pem"));
    std::filesystem::remove(ca.file("pool.key"));
    CHECK(ca.issue() == 1);
    CHECK(has(ca.err, "'" + ca.file("pool.pem") + "' is there already"));
    CHECK(has(ca.err, "choose another --out"));
    CHECK(read(ca.file("pool.pem")) == before);
    CHECK_FALSE(std::filesystem::exists(ca.file("pool.key")));
    CHECK(ca.issue({.names = {"ca"}}) == 1);  // nor the authority's own files
}

TEST_CASE("a new certificate is good for machines whose clock is behind") {
    Ca ca;
    REQUIRE(ca.init() == 0);
    REQUIRE(ca.issue({.days = 1}) == 0);
    const auto node = ca.certificate("pool.pem");
    const auto root = ca.certificate("ca.pem");
    CHECK(tests::verify(node, root, now - 4min) == X509_V_OK);
    CHECK(tests::verify(node, root, now - 6min) != X509_V_OK);
    CHECK(tests::verify(node, root, now + 25h) == X509_V_ERR_CERT_HAS_EXPIRED);
}

TEST_CASE("faults name what, where and the mend") {
    Ca ca;
    CHECK(ca.issue() == 1);
    CHECK(has(ca.err, "posthorse pool ca issue: cannot read '" + ca.file("ca.pem") + "'"));
    CHECK(has(ca.err, "`posthorse pool ca init`"));
    REQUIRE(ca.init() == 0);
    for (const auto* name : {"", "node 1", "n1:9626", "[2001:db8::1]", "../n1", "_p._tcp.n1", "n1.",
                             "n1,DNS:evil.example"}) {
        CAPTURE(name);
        CHECK(ca.issue({.names = {"good", name}}) == 1);
        CHECK(has(ca.err, "'" + std::string(name) + "' names no node"));
    }
    CHECK(ca.issue({.prefix = "/nonexistent/n1"}) == 1);
    CHECK(has(ca.err, "cannot write '/nonexistent/n1.key'"));
    std::ofstream(ca.file("ca.key")) << "nonsense";
    CHECK(ca.issue() == 1);
    CHECK(has(ca.err, "the authority '" + ca.file("ca.pem") + "' cannot be used: its key"));
    CHECK_FALSE(std::filesystem::exists(ca.file("pool.pem")));
    ca.directory = "/nonexistent/ca";
    CHECK(ca.init() == 1);
    CHECK(has(ca.err, "cannot make directory '/nonexistent/ca'"));
}
