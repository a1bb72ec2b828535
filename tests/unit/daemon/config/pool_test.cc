// The section [pool]: what its settings say about each other, and what the machine adds.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "daemon/config/config.h"
#include "tests/unit/support/temporary_directory.h"

using namespace posthorse;
using namespace posthorse::config;
using namespace std::chrono_literals;

namespace {

const std::string files = "ca_file = \"/ca\"\ncertificate_file = \"/c\"\nkey_file = \"/k\"\n";

Loaded parsed(const std::string& settings) {
    return parse("[pool]\n" + settings, "p.toml");
}

// The one problem that the settings have.
std::string problem_of(const std::string& settings) {
    const auto loaded = parsed(settings);
    CAPTURE(settings);
    REQUIRE(loaded.problems.size() == 1);
    CHECK(loaded.problems[0].fatal);
    return loaded.problems[0].what;
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

// Loads a file of these settings, with the other faults of an empty configuration left aside.
Loaded loaded_from_file(const std::string& settings) {
    const tests::TemporaryDirectory directory;
    const auto path = directory.path() + "/posthorse.toml";
    std::ofstream(path) << "[pool]\n" << settings;
    auto loaded = load(path);
    std::erase_if(loaded.problems, [](const Problem& one) { return one.what.starts_with("tls:"); });
    return loaded;
}

}  // namespace

TEST_CASE("by default a node is a pool of itself") {
    const auto pool = parse("", "empty").config.pool;
    CHECK(pool.join.empty());
    CHECK(pool.expect == 0);
    CHECK(pool.port == 9626);
    CHECK(pool.copies == 2);
    CHECK(pool.lease_ttl == 10s);
    CHECK(pool.certificates == "pool");
}

TEST_CASE("every setting of the pool is read") {
    const auto loaded = parsed(R"(join = ["_posthorse._tcp.mail.internal", "192.0.2.1"]
expect = 3
address = "::"
port = 9000
advertise = "[2001:db8::1]:9001"
name = "node-1"
zone = "eu-central-1a"
copies = 3
lease_ttl = "2s"
certificates = "node"
)" + files);
    for (const auto& problem : loaded.problems) MESSAGE(problem.to_string());
    REQUIRE(loaded.problems.empty());
    const auto& pool = loaded.config.pool;
    CHECK(pool.join == std::vector<std::string>{"_posthorse._tcp.mail.internal", "192.0.2.1"});
    CHECK(pool.expect == 3);
    CHECK(pool.address == "::");
    CHECK(pool.port == 9000);
    CHECK(pool.advertise == "[2001:db8::1]:9001");
    CHECK(pool.name == "node-1");
    CHECK(pool.zone == "eu-central-1a");
    CHECK(pool.copies == 3);
    CHECK(pool.lease_ttl == 2s);
    CHECK(pool.ca_file == "/ca");
    CHECK(pool.certificate_file == "/c");
    CHECK(pool.key_file == "/k");
    CHECK(pool.certificates == "node");
}

TEST_CASE("what lies outside its bounds is refused") {
    CHECK(has(problem_of("join = [\"mail\"]\nexpect = 65\n" + files), "at most 64"));
    CHECK(has(problem_of("copies = 0\n"), "at least 1"));
    CHECK(has(problem_of("copies = 8\n"), "at most 7"));
    CHECK(has(problem_of("lease_ttl = \"1s\"\n"), "at least 2s"));
    CHECK(has(problem_of("lease_ttl = \"6m\"\n"), "at most 5m"));
    CHECK(has(problem_of("certificates = \"none\"\n"), "\"pool\" or \"node\""));
}

TEST_CASE("values of a wrong form are refused, with the right one") {
    CHECK(has(problem_of("join = [\"mail\", \"mail:x\"]\n" + files), "'mail:x'"));
    CHECK(has(problem_of("address = \"eth0\"\n"), "no IP address"));
    CHECK(has(problem_of("address = \"\"\n"), "no IP address"));
    CHECK(has(problem_of("name = \"node 1\"\n"), "pool.name"));
    CHECK(has(problem_of("zone = \"zone a\"\n"), "eu-central-1a"));
    CHECK(has(problem_of("advertise = \"2001:db8::1:x\"\n"), "in brackets"));
    CHECK(has(problem_of("advertise = \"_posthorse._tcp.mail\"\n"), "host:port"));
}

TEST_CASE("a pool needs certificates, and the fault names what makes them") {
    const auto none = problem_of("join = [\"mail\"]\n");
    CHECK(has(none, "pool.ca_file, pool.certificate_file, pool.key_file"));
    CHECK(has(none, "`posthorse pool ca init`"));
    CHECK(has(none, "`posthorse pool ca issue`"));
    const auto no_key =
        problem_of("join = [\"mail\"]\nca_file = \"/a\"\ncertificate_file = \"/c\"\n");
    CHECK(has(no_key, "needs pool.key_file too"));
}

TEST_CASE("a number of expected nodes without a way to find them is a fault") {
    CHECK(has(problem_of("expect = 2\n"), "pool.join"));
    CHECK(parsed("expect = 0\n").usable());
}

TEST_CASE("loading checks that the pool's files can be read") {
    const auto loaded = loaded_from_file(
        "join = [\"mail\"]\nca_file = \"/nonexistent/ca\"\n"
        "certificate_file = \"/nonexistent/c\"\nkey_file = \"/nonexistent/k\"\n");
    REQUIRE(loaded.problems.size() == 3);
    CHECK(loaded.problems[0].what.starts_with("pool.ca_file: cannot read"));
    CHECK(loaded.problems[1].what.starts_with("pool.certificate_file"));
    CHECK(loaded.problems[2].what.starts_with("pool.key_file"));
    CHECK_FALSE(loaded.usable());
}

TEST_CASE("a zone from the environment is judged as one from the file") {
    setenv("POSTHORSE_ZONE", "zone a", 1);
    const auto loaded = loaded_from_file("");
    CHECK(loaded_from_file("zone = \"a\"\n").usable());
    unsetenv("POSTHORSE_ZONE");
    REQUIRE(loaded.problems.size() == 1);
    CHECK(loaded.problems[0].what.starts_with("POSTHORSE_ZONE: 'zone a'"));
    CHECK_FALSE(loaded.usable());
}

TEST_CASE("name and zone come from the machine unless the file has them") {
    setenv("POSTHORSE_ZONE", "b", 1);
    char machine[256] = {};
    REQUIRE(gethostname(machine, sizeof machine - 1) == 0);
    const auto from_machine = loaded_from_file("").config.pool;
    CHECK(from_machine.name == machine);
    CHECK(from_machine.zone == "b");
    const auto from_file = loaded_from_file("name = \"n1\"\nzone = \"a\"\n").config.pool;
    CHECK(from_file.name == "n1");
    CHECK(from_file.zone == "a");
    unsetenv("POSTHORSE_ZONE");
    CHECK(loaded_from_file("").config.pool.zone.empty());
}
