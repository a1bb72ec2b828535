// The section [admin]: what operators from afar need.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "daemon/config/config.h"
#include "tests/unit/support/temporary_directory.h"

using namespace posthorse;
using namespace posthorse::config;

namespace {

const std::string files = "ca_file = \"/ca\"\ncertificate_file = \"/c\"\nkey_file = \"/k\"\n";

std::vector<std::string> problems_of(const std::string& text) {
    std::vector<std::string> problems;
    for (const auto& one : parse(text, "a.toml").problems) {
        CHECK(one.fatal);
        problems.push_back(one.what);
    }
    return problems;
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("by default operators have the socket alone") {
    const auto admin = parse("", "empty").config.admin;
    CHECK(admin.socket == "/run/posthorse/admin.sock");
    CHECK(admin.address.empty());
    CHECK(admin.port == 9627);
    CHECK(admin.readers.empty());
}

TEST_CASE("what operators from afar need is asked for") {
    CHECK(problems_of("[admin]\naddress = \"::\"\nadmins = [\"ann\"]\n" + files).empty());

    const auto bare = problems_of("[admin]\naddress = \"::\"\n");
    REQUIRE(bare.size() == 2);
    CHECK(has(bare[0], "admin.ca_file, admin.certificate_file, admin.key_file"));
    CHECK(has(bare[1], "admin.readers"));

    const auto name = problems_of("[admin]\naddress = \"host\"\nreaders = [\"ann\"]\n" + files);
    REQUIRE(name.size() == 1);
    CHECK(has(name[0], "'host' is no IP address"));
}

TEST_CASE("names of operators are plain") {
    for (const auto& wrong : {std::string("\"\""), std::string("\"a\\nb\""),
                              std::string("\"\xC3\xA4\""), '"' + std::string(201, 'x') + '"'}) {
        CAPTURE(wrong);
        const auto problems = problems_of("[admin]\noperators = [" + wrong + "]\n");
        REQUIRE(problems.size() == 1);
        CHECK(has(problems[0], "no name of an operator"));
    }
    CHECK(problems_of("[admin]\noperators = [\"Ann Lee\", \"ann@example.org\"]\n").empty());
}

TEST_CASE("operators and nodes have two authorities, by path and by content") {
    const auto pool = "[pool]\n" + files;
    const auto same = problems_of(pool + "[admin]\nca_file = \"/ca\"\n");
    REQUIRE(same.size() == 1);
    CHECK(has(same[0], "a node of the pool"));

    const tests::TemporaryDirectory directory;
    const auto at = [&](const char* name) { return directory.path() + "/" + name; };
    const auto refused = [&] {
        std::ofstream(at("posthorse.toml")) << "[pool]\nca_file = \"" << at("pool.pem") << "\"\n"
                                            << "[admin]\nca_file = \"" << at("admin.pem") << "\"\n";
        for (const auto& one : load(at("posthorse.toml")).problems) {
            if (has(one.what, "a node of the pool")) return one.fatal;
        }
        return false;
    };
    std::ofstream(at("pool.pem")) << "one";
    std::ofstream(at("admin.pem")) << "two";
    CHECK_FALSE(refused());
    std::ofstream(at("admin.pem")) << "one";
    CHECK(refused());
    std::filesystem::remove(at("admin.pem"));
    std::filesystem::create_symlink(at("pool.pem"), at("admin.pem"));
    CHECK(refused());
}
