#include "daemon/runtime/read_file.h"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "tests/unit/support/temporary_directory.h"

using namespace posthorse;
using namespace posthorse::tests;

TEST_CASE("a file is read whole, octet for octet") {
    const TemporaryDirectory folder;
    const auto path = folder.path() + "/file";
    const std::string text("a\r\n\0b", 5);
    std::ofstream(path, std::ios::binary) << text;
    CHECK(runtime::read_file(path).value() == text);
    std::ofstream(path, std::ios::trunc).close();
    CHECK(runtime::read_file(path).value().empty());
}

TEST_CASE("what cannot be read says why") {
    const TemporaryDirectory folder;
    const auto missing = runtime::read_file(folder.path() + "/none");
    REQUIRE(missing.has_error());
    CHECK(missing.error().code == Errc::io);
    CHECK(missing.error().what == "No such file or directory");
    const auto directory = runtime::read_file(folder.path());
    REQUIRE(directory.has_error());
    CHECK(directory.error().what == "Is a directory");
}
