#include "daemon/runtime/new_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "tests/unit/support/temporary_directory.h"

using namespace posthorse;
using runtime::write_new_file;

namespace {

std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("a new file has its mode and its content") {
    const tests::TemporaryDirectory directory;
    const auto path = directory.path() + "/key";
    REQUIRE(write_new_file({path, "secret", 0600}).has_value());
    CHECK(read(path) == "secret");
    struct stat status{};
    REQUIRE(stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
}

TEST_CASE("a file that is there stays as it is") {
    const tests::TemporaryDirectory directory;
    const auto path = directory.path() + "/key";
    REQUIRE(write_new_file({path, "first", 0600}).has_value());
    const auto again = write_new_file({path, "second", 0600});
    REQUIRE(again.has_error());
    CHECK(again.error().code == Errc::conflict);
    CHECK(again.error().what.find(path) != std::string::npos);
    CHECK(read(path) == "first");
}

TEST_CASE("what cannot be written is named, and leaves no file") {
    const auto nowhere = write_new_file({"/nonexistent/key", "secret", 0600});
    REQUIRE(nowhere.has_error());
    CHECK(nowhere.error().code == Errc::io);
    CHECK(nowhere.error().what == "cannot write '/nonexistent/key': No such file or directory");
}
