#include "daemon/config/config.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

using namespace posthorse;
using namespace posthorse::config;
using namespace std::chrono_literals;

namespace {

std::string read_example() {
    std::ifstream file(POSTHORSE_EXAMPLE_CONFIG);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// Settings that are commented out stand as "#key = value" and "#[[list]]"; prose as "# Words".
std::string with_commented_settings(const std::string& text) {
    std::istringstream lines(text);
    std::string out;
    for (std::string line; std::getline(lines, line);) {
        const bool setting =
            line.size() > 1 && line[0] == '#' && (line[1] == '[' || std::islower(line[1]));
        (out += setting ? line.substr(1) : line) += '\n';
    }
    return out;
}

// "listener.0.port" and "listener.1.port" are one setting.
std::set<std::string> keys_of(const Config& config) {
    std::set<std::string> keys;
    for (const auto& setting : settings(config)) {
        std::string key;
        for (const char c : setting.key) {
            if (c == '.' && !key.empty() && key.back() == '.') continue;
            if (!std::isdigit(static_cast<unsigned char>(c))) key += c;
        }
        keys.insert(key);
    }
    return keys;
}

// The problems of a text, each as "line: what".
std::vector<std::string> problems_of(std::string_view text) {
    std::vector<std::string> all;
    for (const auto& problem : parse(text, "p.toml").problems) {
        CHECK(problem.file == "p.toml");
        all.push_back(std::to_string(problem.line) + ": " + problem.what);
    }
    return all;
}

bool has(const std::vector<std::string>& problems,
         std::string_view start,
         std::string_view part = {}) {
    return std::any_of(problems.begin(), problems.end(), [&](const std::string& problem) {
        return problem.starts_with(start) && problem.find(part) != std::string::npos;
    });
}

class TemporaryFile {
public:
    explicit TemporaryFile(std::string_view text) {
        std::string pattern = std::filesystem::temp_directory_path() / "posthorse-config-XXXXXX";
        const int descriptor = mkstemp(pattern.data());
        REQUIRE(descriptor >= 0);
        REQUIRE(write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
        close(descriptor);
        path = pattern;
    }
    ~TemporaryFile() { std::filesystem::remove(path); }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    std::string path;
};

}  // namespace

TEST_CASE("the example file holds the defaults and nothing else") {
    const auto example = parse(read_example(), "example");
    for (const auto& problem : example.problems) MESSAGE(problem.to_string());
    REQUIRE(example.problems.empty());
    CHECK(changed_keys(parse("", "empty").config, example.config).empty());
}

TEST_CASE("the example file holds every setting exactly once") {
    const auto text = with_commented_settings(read_example());
    const auto example = parse(text, "example");
    REQUIRE(example.problems.empty());
    CHECK_FALSE(example.config.delivery.routes.empty());
    std::set<std::string> written;
    std::istringstream lines(text);
    std::string section;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with('[')) {
            section = line.substr(line.find_first_not_of('['));
            section = section.substr(0, section.find(']')) + '.';
        } else if (const auto end = line.find(" = "); end != std::string::npos && line[0] != '#') {
            const auto key = section + line.substr(0, end);
            const bool repeatable = key.starts_with("listener.");
            CAPTURE(key);
            CHECK((written.insert(key).second || repeatable));
        }
    }
    CHECK(written == keys_of(example.config));
}

TEST_CASE("an empty file is the defaults") {
    const auto loaded = parse("", "empty");
    CHECK(loaded.usable());
    CHECK(loaded.config.queue.lifetime == 96h);
    REQUIRE(loaded.config.listeners.size() == 2);
    CHECK(loaded.config.listeners[0].port == 587);
    CHECK(loaded.config.listeners[1].kind == ListenerKind::submissions);
}

TEST_CASE("settings of every kind are read") {
    const auto loaded = parse(R"(
host_name = "mail.example.org"
shards = 3
stop_budget = "1m50s"
[[listener]]
name = "in"
kind = "mx"
address = "192.0.2.1"
port = 25
[auth]
exempt_logins = ["master", "robot"]
[delivery]
private_addresses = true
port = 2525
tls = "required"
dns_servers = ["127.0.0.1:5353", "::1", "[::1]:54"]
[[delivery.route]]
domain = ".internal.example"
next_hop = "smtp:[192.0.2.9]:2525"
[queue]
disk_floor_bytes = 1048576
write_buffer_bytes = "16MiB"
[limits]
message_bytes_max = "20MB"
recipients_max = 100
[timeouts]
final_dot = "11m"
)",
                              "p.toml");
    for (const auto& problem : loaded.problems) MESSAGE(problem.to_string());
    REQUIRE(loaded.problems.empty());
    const auto& config = loaded.config;
    CHECK(config.host_name == "mail.example.org");
    CHECK(config.shards == 3);
    CHECK(config.stop_budget == 110s);
    REQUIRE(config.listeners.size() == 1);
    CHECK(config.listeners[0].kind == ListenerKind::mx);
    CHECK(config.listeners[0].address == "192.0.2.1");
    CHECK(config.auth.exempt_logins == std::vector<std::string>{"master", "robot"});
    CHECK(config.delivery.private_addresses);
    CHECK(config.delivery.port == 2525);
    CHECK(config.delivery.tls == "required");
    CHECK(config.delivery.dns_servers.size() == 3);
    REQUIRE(config.delivery.routes.size() == 1);
    CHECK(config.delivery.routes[0].next_hop == "smtp:[192.0.2.9]:2525");
    CHECK(config.queue.disk_floor_bytes == 1'048'576);
    CHECK(config.queue.write_buffer_bytes == 16u << 20);
    CHECK(config.limits.message_bytes_max == 20'000'000);
    CHECK(config.limits.recipients_max == 100);
    CHECK(config.timeouts.final_dot == 11min);
}

TEST_CASE("every fault is reported at once, with its line and its mend") {
    const auto problems = problems_of(R"(hostname = "a"
shards = "three"
stop_budget = "soon"
[queue]
lifetyme = "4d"
delay_warning = 4
disk_floor_bytes = "lots"
[delivery]
tls = "maybe"
port = 70000
private_addresses = "no"
dns_servers = [1]
[log]
level = 3
[limits]
recipients_max = 5
[nonsense]
x = 1
)");
    CHECK(has(problems, "1: hostname", "did you mean 'host_name'?"));
    CHECK(has(problems, "2: shards", "whole number"));
    CHECK(has(problems, "3: stop_budget", "duration"));
    CHECK(has(problems, "5: queue.lifetyme", "did you mean 'lifetime'?"));
    CHECK(has(problems, "6: queue.delay_warning", "duration"));
    CHECK(has(problems, "7: queue.disk_floor_bytes", "size"));
    CHECK(has(problems, "9: delivery.tls", "\"never\", \"when_offered\" or \"required\""));
    CHECK(has(problems, "10: delivery.port", "at most 65535"));
    CHECK(has(problems, "11: delivery.private_addresses", "true or false"));
    CHECK(has(problems, "12: delivery.dns_servers", "strings"));
    CHECK(has(problems, "14: log.level", "string"));
    CHECK(has(problems, "16: limits.recipients_max", "at least 100"));
    CHECK(has(problems, "17: nonsense", "is no setting"));
    CHECK(problems.size() == 13);
}

TEST_CASE("faults between settings name the line of one of them") {
    const auto problems = problems_of(R"([[listener]]
name = "a"
kind = "submission"
address = "localhost"
port = 587
[[listener]]
name = "a"
kind = "mx"
address = "localhost"
port = 587
[[listener]]
name = "bounce"
kind = "mail"
[tls]
key_file = "/k"
[dkim]
signing_table = "/s"
[queue]
lifetime = "1h"
min_retry_age = "2h"
[intake]
trusted_networks = ["10.0.0.0/33"]
relay_domains = ["exa mple"]
[http]
address = "here"
[[delivery.route]]
domain = ".example.org"
next_hop = "mail.example.org"
)");
    CHECK(has(problems, "4: listener.0.address", "no IP address"));
    CHECK(has(problems, "7: listener.1.name", "two listeners"));
    CHECK(has(problems, "10: listener.1.port", "two listeners"));
    CHECK(has(problems, "11: listener.2.address is missing"));
    CHECK(has(problems, "11: listener.2.port is missing"));
    CHECK(has(problems, "12: listener.2.name", "bounce"));
    CHECK(has(problems, "13: listener.2.kind", "\"mx\""));
    CHECK(has(problems, "15: tls.key_file", "tls.certificate_file"));
    CHECK(has(problems, "17: dkim.signing_table", "dkim.key_table"));
    CHECK(has(problems, "20: queue.min_retry_age", "max_retry_age"));
    CHECK(has(problems, "18: queue.delay_warning", "lifetime"));
    CHECK(has(problems, "22: intake.trusted_networks", "10.0.0.0/33"));
    CHECK(has(problems, "23: intake.relay_domains"));
    CHECK(has(problems, "25: http.address"));
    CHECK(has(problems, "28: delivery.route.0.next_hop", "smtp:[host]:port"));
}

TEST_CASE("logins by PAM need a service, and a mechanism that shows the password") {
    const auto problems = problems_of(R"([auth]
backend = "pam"
pam_service = "../login"
mechanisms = ["SCRAM-SHA-256"]
)");
    CHECK(has(problems, "3: auth.pam_service", "/etc/pam.d"));
    CHECK(has(problems, "4: auth.mechanisms", "PLAIN or LOGIN"));
    CHECK(problems.size() == 2);
    CHECK(has(problems_of("[auth]\nmechanisms = [\"PLAIN\", \"CRAM-MD5\"]\n"), "2: auth.mechanisms",
              "is 'CRAM-MD5'; it must be \"SCRAM-SHA-256-PLUS\""));
    CHECK(problems_of("[auth]\nbackend = \"pam\"\n").empty());
}

TEST_CASE("an MX that verifies needs a name to tell it in") {
    const std::string mx =
        "[[listener]]\nname = \"mx\"\nkind = \"mx\"\naddress = \"::\"\n"
        "port = 25\nverify = \"monitor\"\n";
    CHECK(has(problems_of(mx), "6: listener.0.verify", "verify.authserv_id"));
    CHECK(problems_of(mx + "[verify]\nauthserv_id = \"mx.example.org\"\n").empty());
    CHECK(has(problems_of(mx + "[verify]\nauthserv_id = \"mx example\"\n"), "8: verify.authserv_id",
              "no domain name"));
    CHECK(has(problems_of("[[listener]]\nname = \"s\"\nkind = \"submission\"\naddress = \"::\"\n"
                          "port = 587\nverify = \"monitor\"\n[verify]\nauthserv_id = \"a.b\"\n"),
              "6: listener.0.verify", "kind \"mx\""));
}

TEST_CASE("a section in the place of a value, and the reverse, are told") {
    CHECK(has(problems_of("queue = 3\n"), "1: queue", "[queue]"));
    CHECK(has(problems_of("[listener]\nname = \"a\"\n"), "1: listener", "[[listener]]"));
    CHECK(has(problems_of("[host_name]\n"), "1: host_name", "string"));
}

TEST_CASE("broken TOML names its line") {
    const auto problems = problems_of("shards = 1\nhost_name = \"open\nport = 1\n");
    REQUIRE(problems.size() == 1);
    CHECK(has(problems, "2: ", "TOML"));
}

TEST_CASE("a file that is not there is named") {
    const auto loaded = load("/nonexistent/posthorse.toml");
    CHECK_FALSE(loaded.usable());
    REQUIRE(loaded.problems.size() == 1);
    CHECK(
        loaded.problems[0].to_string().starts_with("/nonexistent/posthorse.toml: cannot be read"));
}

TEST_CASE("loading checks the files that settings name") {
    const TemporaryFile there("x");
    const TemporaryFile config("[tls]\ncertificate_file = \"" + there.path +
                               "\"\nkey_file = \"/nonexistent/key.pem\"\n"
                               "[dkim]\nkey_table = \"/nonexistent/KeyTable\"\n"
                               "signing_table = \"refile:" +
                               there.path +
                               "\"\n"
                               "[auth]\npassword_file = \"/nonexistent/passwords\"\n");
    const auto loaded = load(config.path);
    CHECK_FALSE(loaded.usable());
    REQUIRE(loaded.problems.size() == 3);
    CHECK(loaded.problems[0].what.starts_with("tls.key_file"));
    CHECK(loaded.problems[1].what.starts_with("dkim.key_table"));
    CHECK(loaded.problems[2].what.starts_with("auth.password_file"));
    CHECK_FALSE(loaded.problems[2].fatal);
}

TEST_CASE("submission without a certificate is refused, from files or environment") {
    const TemporaryFile config("shards = 1\n");
    unsetenv("TLS_CERT");
    CHECK_FALSE(load(config.path).usable());
    setenv("TLS_CERT", "pem", 1);
    CHECK(load(config.path).usable());
    unsetenv("TLS_CERT");
}

TEST_CASE("changed keys are those that differ or that one side has") {
    const auto before = parse("", "a").config;
    const auto after =
        parse("shards = 2\n[[delivery.route]]\ndomain = \"a.example\"\nnext_hop = \"smtp:b\"\n",
              "b")
            .config;
    CHECK(changed_keys(before, after) == std::vector<std::string>{"shards",
                                                                  "delivery.route.0.domain",
                                                                  "delivery.route.0.next_hop"});
    CHECK(changed_keys(after, before).size() == 3);
    CHECK(changed_keys(after, after).empty());
}
