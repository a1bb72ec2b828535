// Copies that were set aside, in RocksDB as they lie on a disk.
#include "daemon/aside/aside_copies.h"

#include <algorithm>

#include "daemon/aside/journal.h"
#include "tests/unit/daemon/aside/copies.h"

namespace posthorse::aside {
namespace {

using storage::partition_b;
using storage::sample_id;
using test::Mail;

const std::string older = "20260701T120501Z-aa";
const std::string newer = "20260702T120501Z-bb";

struct Rig {
    test::DataDirectory data;
    test::FixedClock clock;
    test::TestDoor door;
    AsideCopies copies{{.data_dir = data.path(), .room_bytes = 0, .node = {}}, clock, door};

    std::vector<QueueId> listed(const std::string& only = "") {
        std::vector<QueueId> ids;
        for (const auto& one : copies.list(only, {}, 100).found) ids.push_back(one.id);
        return ids;
    }
    Done act(Deed deed, const Named& message, bool directory_said = false) {
        const auto done =
            copies.act({.tasks = {{message, deed}}, .directory_said = directory_said});
        REQUIRE(done.size() == 1);
        return done.front();
    }
};

TEST_CASE("a node that never set anything aside has nothing to list") {
    Rig rig;
    const auto page = rig.copies.list("", {}, 100);
    CHECK(page.found.empty());
    CHECK_FALSE(page.next);
    CHECK(rig.copies.directories().empty());
    CHECK(rig.copies.tidy().empty());
}

TEST_CASE("pages of any size hold every message of every copy once, by directory and id") {
    Rig rig;
    rig.data.make(older);
    rig.data.make(newer);
    for (const std::uint32_t counter : {1, 3}) rig.data.add(older, Mail(sample_id(counter), {"h"}));
    rig.data.add(older, Mail(sample_id(2, partition_b), {"h"}));
    for (const std::uint32_t counter : {1, 5}) rig.data.add(newer, Mail(sample_id(counter), {"h"}));
    for (const std::size_t size : {1, 2, 3, 4, 5, 100}) {
        std::vector<Named> seen;
        Place from;
        for (bool more = true; more;) {
            const auto page = rig.copies.list("", from, size);
            CHECK(page.found.size() <= size);
            for (const auto& one : page.found) {
                seen.push_back({one.directory, one.id});
                CHECK(one.why == "its disk went back");
                CHECK(one.envelope.has_value());
            }
            more = page.next.has_value();
            if (more) from = *page.next;
        }
        std::vector<Named> all{{older, sample_id(1)},
                               {older, sample_id(3)},
                               {older, sample_id(2, partition_b)},
                               {newer, sample_id(1)},
                               {newer, sample_id(5)}};
        std::ranges::sort(all);
        CHECK_MESSAGE(seen == all, "page size ", size);
    }
    CHECK(rig.listed(newer) == std::vector{sample_id(1), sample_id(5)});
}

TEST_CASE("a copy without a database is named at any page size, and the others go on") {
    Rig rig;
    std::filesystem::create_directories(rig.data.aside(older) / "queue");
    rig.data.make(newer);
    rig.data.add(newer, Mail(sample_id(1), {"h"}));
    for (const std::size_t size : {1, 2}) {
        std::vector<Found> seen;
        Place from;
        for (bool more = true; more;) {
            const auto page = rig.copies.list("", from, size);
            seen.insert(seen.end(), page.found.begin(), page.found.end());
            more = page.next.has_value();
            if (more) from = *page.next;
        }
        REQUIRE(seen.size() == 2);
        CHECK(seen[0].id == QueueId{});
        CHECK(seen[0].directory == older);
        CHECK(seen[0].problem.find("no database") != std::string::npos);
        CHECK(seen[1].id == sample_id(1));
    }
    CHECK(rig.copies.tidy() == std::vector{older, newer});
    CHECK_FALSE(std::filesystem::exists(rig.data.aside(older) / "queue" / "CURRENT"));
}

TEST_CASE("a damaged copy is named, and nothing of it is lost") {
    Rig rig;
    rig.data.make(older);
    rig.data.add(older, Mail(sample_id(1), {"h"}));
    std::filesystem::resize_file(rig.data.aside(older) / "queue" / "CURRENT", 0);
    const auto page = rig.copies.list("", {}, 100);
    REQUIRE(page.found.size() == 1);
    CHECK(page.found[0].id == QueueId{});
    CHECK_FALSE(page.found[0].problem.empty());
    CHECK_FALSE(rig.act(Deed::adopt, {older, sample_id(1)}).result);
    CHECK(rig.copies.tidy() == std::vector{older});
}

TEST_CASE("an adopted message is in the queue whole, and goes from the copy") {
    Rig rig;
    rig.data.make(older);
    const Mail mail(sample_id(1), {"head ", "one ", "two"});
    rig.data.add(older, mail);
    rig.data.add(older, Mail(sample_id(2), {"h"}));
    rig.data.fill(older, {rig.data.stamped(storage::Intend{{.id = sample_id(1), .attempt = 1}},
                                           sample_id(1))});
    const auto done = rig.act(Deed::adopt, {older, sample_id(1)});
    REQUIRE(done.result);
    REQUIRE(rig.door.taken.size() == 1);
    const auto& taken = rig.door.taken.front();
    CHECK(taken.body == "head one two");
    CHECK(done.new_id == taken.envelope.id);
    CHECK(taken.envelope.chunk_count == 2);
    CHECK(taken.envelope.recipients == mail.envelope.recipients);
    CHECK(taken.envelope.in_doubt == 1);
    CHECK(rig.listed() == std::vector{sample_id(2)});
    CHECK(rig.copies.tidy() == std::vector{older});

    REQUIRE(rig.act(Deed::adopt, {older, sample_id(2)}).result);
    CHECK(rig.listed().empty());
    CHECK(rig.copies.tidy().empty());
    CHECK_FALSE(std::filesystem::exists(rig.data.aside(older)));
    const auto again = rig.act(Deed::adopt, {older, sample_id(2)});
    REQUIRE_FALSE(again.result);
    CHECK(again.result.error().code == Errc::not_found);
}

TEST_CASE("what the queue refuses stays, as if nobody had tried") {
    Rig rig;
    rig.data.make(older);
    rig.data.add(older, Mail(sample_id(1), {"h"}));
    rig.door.answer = Error{Errc::unavailable, "no live lease"};
    const auto done = rig.act(Deed::adopt, {older, sample_id(1)});
    REQUIRE_FALSE(done.result);
    CHECK(done.result.error().code == Errc::unavailable);
    CHECK_FALSE(done.new_id);
    const auto page = rig.copies.list("", {}, 100);
    REQUIRE(page.found.size() == 1);
    CHECK_FALSE(page.found[0].adopted_as);
}

TEST_CASE("what may have been adopted stays, and says as what") {
    Rig rig;
    rig.data.make(older);
    rig.data.add(older, Mail(sample_id(1), {"h"}));
    rig.door.answer = Error{Errc::unknown, "no holder answered"};
    const auto done = rig.act(Deed::adopt, {older, sample_id(1)});
    REQUIRE_FALSE(done.result);
    REQUIRE(done.new_id);
    const auto found = rig.copies.find("", {sample_id(1), sample_id(9)});
    REQUIRE(found.size() == 1);
    CHECK(found[0].adopted_as == done.new_id);
    CHECK(rig.copies.tidy() == std::vector{older});
}

TEST_CASE("a message with a body that cannot be read whole is not adopted") {
    Rig rig;
    rig.data.make(older);
    Mail short_one(sample_id(1), {"head", "one"});
    short_one.envelope.chunk_count = 2;
    rig.data.add(older, short_one);
    Mail wrong_one(sample_id(2), {"head"});
    wrong_one.envelope.size_bytes += 1;
    rig.data.add(older, wrong_one);
    for (const auto id : {sample_id(1), sample_id(2)}) {
        const auto done = rig.act(Deed::adopt, {older, id});
        REQUIRE_FALSE(done.result);
        CHECK_FALSE(done.new_id);
    }
    CHECK(rig.door.taken.empty());
    CHECK(rig.door.aborted.size() == 2);
    CHECK(rig.listed().size() == 2);
}

TEST_CASE("a record that cannot be read is named, not adopted, and can be removed") {
    Rig rig;
    rig.data.make(older);
    rig.data.add(older, Mail(sample_id(1), {"h"}));
    rig.data.add(older, Mail(sample_id(2), {"h"}));
    storage::damage_envelope_in(rig.data.aside(older) / "queue", sample_id(1));
    for (int again = 0; again < 2; ++again) {
        const auto page = rig.copies.list("", {}, 100);
        REQUIRE(page.found.size() == 2);
        CHECK(page.found[0].id == sample_id(1));
        CHECK_FALSE(page.found[0].envelope);
        CHECK(page.found[0].problem.find("cannot be read") != std::string::npos);
        CHECK(page.found[1].envelope.has_value());
    }
    CHECK_FALSE(rig.act(Deed::adopt, {older, sample_id(1)}).result);
    REQUIRE(rig.act(Deed::adopt, {older, sample_id(2)}).result);
    CHECK(rig.copies.tidy() == std::vector{older});
    REQUIRE(rig.act(Deed::remove, {older, sample_id(1)}).result);
    CHECK(rig.copies.tidy().empty());
}

TEST_CASE("a message of two copies is adopted from the one that was said, and once") {
    Rig rig;
    for (const auto& name : {older, newer}) {
        rig.data.make(name);
        rig.data.add(name, Mail(sample_id(1), {"h"}));
    }
    const auto refused = rig.act(Deed::adopt, {older, sample_id(1)});
    REQUIRE_FALSE(refused.result);
    CHECK(refused.result.error().what.find(newer) != std::string::npos);
    const auto done = rig.act(Deed::adopt, {newer, sample_id(1)}, true);
    REQUIRE(done.result);
    CHECK(rig.copies.tidy() == std::vector{older});
    const auto left = rig.copies.list("", {}, 100);
    REQUIRE(left.found.size() == 1);
    CHECK(left.found[0].adopted_as == done.new_id);
}

TEST_CASE("a dry run changes nothing, and what nobody waits for is not tried") {
    Rig rig;
    rig.data.make(older);
    rig.data.add(older, Mail(sample_id(1), {"h"}));
    for (const auto deed : {Deed::adopt, Deed::remove}) {
        const Task task{{older, sample_id(1)}, deed};
        const auto dry = rig.copies.act({.tasks = {task}, .dry_run = true});
        CHECK(dry.front().result);
        const auto left = rig.copies.act({.tasks = {task}, .given_up = [] { return true; }});
        REQUIRE_FALSE(left.front().result);
        CHECK(left.front().result.error().code == Errc::cancelled);
    }
    CHECK(rig.door.taken.empty());
    CHECK(rig.listed() == std::vector{sample_id(1)});
}

TEST_CASE("removed messages stay away, and an emptied directory goes") {
    Rig rig;
    rig.data.make(older);
    rig.data.add(older, Mail(sample_id(1), {"h", "c"}));
    rig.data.add(older, Mail(sample_id(2), {"h"}));
    REQUIRE(rig.act(Deed::remove, {older, sample_id(1)}).result);
    CHECK(rig.listed() == std::vector{sample_id(2)});
    REQUIRE(rig.act(Deed::remove, {older, sample_id(2)}).result);
    CHECK(rig.copies.tidy().empty());
    CHECK(rig.door.taken.empty());
}

TEST_CASE("a directory that a crash left half deleted goes") {
    Rig rig;
    std::filesystem::create_directories(rig.data.aside(older) / "emptied");
    CHECK(rig.copies.directories() == std::vector{older});
    CHECK(rig.listed().empty());
    CHECK(rig.copies.tidy().empty());
}

TEST_CASE("a disk without room for it does not open a copy") {
    Rig rig;
    rig.data.make(older);
    AsideCopies careful({.data_dir = rig.data.path(), .room_bytes = UINT64_MAX, .node = {}},
                        rig.clock, rig.door);
    const auto page = careful.list("", {}, 100);
    REQUIRE(page.found.size() == 1);
    CHECK(page.found[0].problem.find("too few") != std::string::npos);
    CHECK(careful.tidy() == std::vector{older});
}

}  // namespace
}  // namespace posthorse::aside
