#include "daemon/aside/journal.h"

#include <fstream>

#include "tests/unit/daemon/aside/copies.h"

namespace posthorse::aside {
namespace {

using storage::sample_id;

TEST_CASE("a journal says what has begun, and forgets what was withdrawn") {
    const storage::TemporaryDirectory directory;
    Journal journal(directory.path().string());
    CHECK(journal.read().value().empty());
    REQUIRE(journal.begun(sample_id(1), sample_id(11)));
    REQUIRE(journal.begun(sample_id(2), sample_id(12)));
    REQUIRE(journal.withdrawn(sample_id(1)));
    REQUIRE(journal.begun(sample_id(2), sample_id(13)));
    const auto read = Journal(directory.path().string()).read().value();
    CHECK(read == std::map<QueueId, QueueId>{{sample_id(2), sample_id(13)}});
}

TEST_CASE("a line that a crash tore says nothing, and spoils none that comes after") {
    const storage::TemporaryDirectory directory;
    Journal journal(directory.path().string());
    REQUIRE(journal.begun(sample_id(1), sample_id(11)));
    std::ofstream(directory.path() / "adoptions", std::ios::app)
        << sample_id(2).to_string() << " 01M80";
    REQUIRE(journal.begun(sample_id(3), sample_id(13)));
    const auto read = journal.read().value();
    CHECK(read.size() == 2);
    CHECK(read.contains(sample_id(1)));
    CHECK(read.contains(sample_id(3)));
}

TEST_CASE("a journal that cannot be written is told, with its path") {
    Journal journal("/nowhere");
    const auto begun = journal.begun(sample_id(1), sample_id(11));
    REQUIRE_FALSE(begun);
    CHECK(begun.error().code == Errc::io);
    CHECK(begun.error().what.find("/nowhere/adoptions") != std::string::npos);
}

}  // namespace
}  // namespace posthorse::aside
