// The section [pool.etcd]: where a pool on etcd has its value.
#include <doctest/doctest.h>

#include <fstream>

#include "daemon/config/config.h"
#include "daemon/config/etcd_endpoint.h"
#include "tests/unit/support/temporary_directory.h"

using namespace posthorse;
using namespace posthorse::config;

namespace {

const std::string files = "ca_file = \"/ca\"\ncertificate_file = \"/c\"\nkey_file = \"/k\"\n";

std::vector<std::string> problems_of(const std::string& pool, const std::string& etcd) {
    std::vector<std::string> problems;
    for (const auto& one :
         parse("[pool]\n" + pool + files + "[pool.etcd]\n" + etcd, "e.toml").problems) {
        CHECK(one.fatal);
        problems.push_back(one.what);
    }
    return problems;
}

std::string problem_of(const std::string& pool, const std::string& etcd) {
    const auto problems = problems_of(pool, etcd);
    CAPTURE(etcd);
    REQUIRE(problems.size() == 1);
    return problems[0];
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

const std::string on_etcd = "control = \"etcd\"\n";
const std::string one_endpoint = "endpoints = [\"https://etcd.test:2379\"]\nca_file = \"/ca\"\n";

}  // namespace

TEST_CASE("by default the nodes decide themselves") {
    const auto pool = parse("", "empty").config.pool;
    CHECK(pool.control == "embedded");
    CHECK_FALSE(pool.on_etcd());
    CHECK_FALSE(pool.has_peers());
    CHECK(pool.etcd.endpoints.empty());
    CHECK(pool.etcd.prefix == "/posthorse/pool");
}

TEST_CASE("every setting of etcd is read") {
    const auto loaded = parse("[pool]\nexpect = 3\n" + on_etcd + files + R"([pool.etcd]
endpoints = ["https://etcd-1.test", "https://[2001:db8::1]:2380/"]
prefix = "/mail/pool_1"
ca_file = "/eca"
certificate_file = "/ec"
key_file = "/ek"
)",
                              "e.toml");
    for (const auto& problem : loaded.problems) MESSAGE(problem.to_string());
    REQUIRE(loaded.problems.empty());
    const auto& pool = loaded.config.pool;
    CHECK(pool.on_etcd());
    CHECK(pool.has_peers());
    CHECK(pool.etcd.endpoints.size() == 2);
    CHECK(pool.etcd.prefix == "/mail/pool_1");
    CHECK(pool.etcd.ca_file == "/eca");
    CHECK(pool.etcd.certificate_file == "/ec");
    CHECK(pool.etcd.key_file == "/ek");
}

TEST_CASE("etcd without endpoints is a fault; endpoints before a pool moves to them are none") {
    CHECK(has(problem_of(on_etcd, ""), "pool.etcd.endpoints"));
    CHECK(problems_of(on_etcd, one_endpoint).empty());
    CHECK(problems_of("", one_endpoint).empty());
    CHECK(has(problem_of("control = \"zookeeper\"\n", ""), "\"embedded\" or \"etcd\""));
}

TEST_CASE("nodes on etcd are peers of each other, and need certificates for that") {
    const auto loaded = parse("[pool]\n" + on_etcd + "[pool.etcd]\n" + one_endpoint, "e.toml");
    REQUIRE(loaded.problems.size() == 1);
    CHECK(has(loaded.problems[0].what, "pool.etcd.endpoints needs pool.ca_file"));
    CHECK(has(loaded.problems[0].what, "posthorse pool ca init"));
}

TEST_CASE("endpoints are addresses with or without TLS, and all alike") {
    for (const auto* wrong : {"etcd.test:2379", "tcp://etcd.test", "https://", "https://a:b",
                              "https://2001:db8::1:x", "https://_etcd._tcp.test"}) {
        const auto text = std::string("endpoints = [\"") + wrong + "\"]\n";
        CHECK(has(problem_of(on_etcd, text), "no endpoint of etcd"));
    }
    CHECK(problems_of(on_etcd, "endpoints = [\"http://127.0.0.1:2379\"]\n").empty());
    const auto mixed = "endpoints = [\"http://a.test\", \"https://b.test\"]\n";
    const auto problems = problems_of(on_etcd, mixed);
    REQUIRE(problems.size() == 2);
    CHECK(has(problems[0], "need pool.etcd.ca_file"));
    CHECK(has(problems[1], "partly with TLS"));
}

TEST_CASE("files for TLS belong together, and to endpoints with TLS") {
    CHECK(has(problem_of(on_etcd, one_endpoint + "certificate_file = \"/c\"\n"),
              "needs pool.etcd.key_file too"));
    CHECK(has(problem_of(on_etcd, one_endpoint + "key_file = \"/k\"\n"),
              "needs pool.etcd.certificate_file too"));
    const auto plain = "endpoints = [\"http://a.test\"]\nca_file = \"/a\"\n";
    CHECK(has(problem_of(on_etcd, plain), "write https:// there"));
}

TEST_CASE("a prefix is a path") {
    for (const auto* wrong : {"", "/", "posthorse", "/posthorse/", "/post horse", "/a*"}) {
        const auto text = one_endpoint + "prefix = \"" + wrong + "\"\n";
        CHECK(has(problem_of(on_etcd, text), "is no prefix"));
    }
}

TEST_CASE("loading checks that the files for etcd can be read") {
    const tests::TemporaryDirectory directory;
    const auto path = directory.path() + "/posthorse.toml";
    std::ofstream(path) << "[pool.etcd]\nendpoints = [\"https://etcd.test\"]\n"
                        << "ca_file = \"/nonexistent/ca\"\n";
    auto loaded = load(path);
    std::erase_if(loaded.problems,
                  [](const Problem& one) { return !one.what.starts_with("pool.etcd.ca_file"); });
    REQUIRE(loaded.problems.size() == 1);
    CHECK(has(loaded.problems[0].what, "cannot read"));
}

TEST_CASE("an endpoint is taken apart") {
    CHECK(parse_etcd_endpoint("https://a.test") == EtcdEndpoint{true, "a.test", 2379});
    CHECK(parse_etcd_endpoint("http://192.0.2.1:1") == EtcdEndpoint{false, "192.0.2.1", 1});
    CHECK(parse_etcd_endpoint("https://[::1]:5")->address() == "[::1]:5");
    CHECK(parse_etcd_endpoint("https://a.test/")->address() == "a.test:2379");
    CHECK_FALSE(parse_etcd_endpoint("https://a.test/path"));
}
