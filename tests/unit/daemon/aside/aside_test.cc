// The way from an event loop to the copies and back.
#include "daemon/aside/aside.h"

#include "tests/unit/daemon/aside/copies.h"

namespace posthorse::aside {
namespace {

using storage::sample_id;
using storage::TestLoop;
using test::Mail;

const std::string directory = "20260701T120501Z-aa";

struct Rig {
    test::DataDirectory data;
    test::FixedClock clock;
    test::TestDoor door;
    TestLoop home;
    std::vector<std::vector<std::string>> told;
    // Answers later, as the queue does.
    Aside aside{{.data_dir = data.path(), .room_bytes = 0, .node = {}},
                home,
                clock,
                {.begin = [this](std::uint64_t size,
                                 Completion<QueueId> done) { later(door.begin(size), done); },
                 .append =
                     [this](QueueId id, std::uint32_t index, Chunk bytes, Completion<> done) {
                         later(door.append(id, index, bytes), done);
                     },
                 .commit = [this](const Envelope& envelope,
                                  const Chunk& head,
                                  Completion<> done) { later(door.commit(envelope, head), done); },
                 .abort = [this](QueueId id) { door.abort(id); }},
                [this](std::vector<std::string> left) { told.push_back(std::move(left)); }};

    template <class T>
    void later(Result<T> result, Completion<T>& done) {
        home.post([result = std::move(result), done = std::move(done)]() mutable {
            done(std::move(result));
        });
    }
};

TEST_CASE("a listing, an adoption and the end of a directory, with home going on meanwhile") {
    Rig rig;
    rig.data.make(directory);
    rig.data.add(directory, Mail(sample_id(1), {"head ", "body"}));
    const auto page =
        rig.home.await<Page>([&](auto done) { rig.aside.list("", {}, 100, std::move(done)); });
    REQUIRE(page->found.size() == 1);
    CHECK(rig.told == std::vector<std::vector<std::string>>{{directory}});

    const auto done = rig.home.await<std::vector<Done>>([&](auto ended) {
        rig.aside.act({.tasks = {{{directory, sample_id(1)}, Deed::adopt}}}, std::move(ended));
    });
    REQUIRE(done->size() == 1);
    CHECK(done->front().result);
    REQUIRE(rig.door.taken.size() == 1);
    CHECK(rig.door.taken[0].body == "head body");

    REQUIRE(rig.home.await([&](auto ended) { rig.aside.tidy(std::move(ended)); }));
    CHECK(rig.told.back().empty());
    const auto found = rig.home.await<std::vector<Found>>(
        [&](auto ended) { rig.aside.find("", {sample_id(1)}, std::move(ended)); });
    CHECK(found->empty());
}

}  // namespace
}  // namespace posthorse::aside
