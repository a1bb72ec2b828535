// The receiving end of a listing: what comes in which order, so that it may break off anywhere.
#include "replication/listing_target.h"

#include <doctest/doctest.h>

#include "tests/unit/replication/cluster.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;
using namespace std::chrono_literals;

namespace {

// A holder of partition 1, which is told what the owner's copy is now.
struct Holder {
    Holder() {
        for (auto* id : {&changed, &unlisted, &fresh}) *id = pool[1].waiting();
        records = pool[1].stored();
        pool[1].act(fresh, Action::remove).value();
        pool.run();
        target->begin();
        pool.run();
    }
    Envelope& record(QueueId id) {
        for (auto& envelope : records)
            if (envelope.id == id) return envelope;
        FAIL("there is no such record");
        return records.front();
    }
    // The whole copy in one page.
    void page(const std::vector<QueueId>& ids) {
        Page page{.slice = slice, .after = {}, .last = true};
        for (const auto id : ids) page.entries.push_back({id, storage::digest(record(id))});
        page.upto = ids.back();
        target->on(page);
        pool.run();
    }
    void send(QueueId id) {
        target->on(Record{slice, record(id), make_chunk(std::string(QueueNode::head))});
        pool.run();
    }
    void end() {
        target->on(ListEnd{slice, {}});
        pool.run();
    }
    bool has(QueueId id) { return pool[1].find(id).has_value(); }

    Cluster pool{1, {{1}}};
    const Slice slice{PartitionId{1}, Epoch{1}};
    QueueId changed;
    QueueId unlisted;
    QueueId fresh;
    std::vector<Envelope> records;
    std::vector<std::vector<QueueId>> wants;
    std::optional<Result<void>> done;
    std::shared_ptr<ListingTarget> target = std::make_shared<ListingTarget>(
        slice,
        storage::Position{Epoch{1}, Sequence{9}},
        *pool[1].store,
        [this](Frame frame) { wants.push_back(std::get<Want>(frame).ids); },
        [this](Result<void> result) { done = result; });
};

}  // namespace

TEST_CASE("what is new comes first, then what differs; what is not listed goes last") {
    Holder holder;
    holder.record(holder.changed).version += 1;
    holder.page({holder.changed, holder.fresh});
    CHECK(holder.wants.back() == std::vector{holder.fresh});
    holder.send(holder.fresh);
    CHECK(holder.has(holder.fresh));
    CHECK(holder.has(holder.unlisted));
    holder.end();
    CHECK(holder.wants.back() == std::vector{holder.changed});
    CHECK(holder.has(holder.unlisted));
    holder.send(holder.changed);
    CHECK(holder.pool[1].find(holder.changed)->version == holder.record(holder.changed).version);
    CHECK_FALSE(holder.done.has_value());
    holder.end();
    CHECK_FALSE(holder.has(holder.unlisted));
    REQUIRE(holder.done.has_value());
    CHECK(holder.done->has_value());
}

TEST_CASE("many that differ are wanted a page at a time") {
    Holder holder;
    constexpr std::size_t many = 1500;
    std::vector<QueueId> ids;
    while (ids.size() < many) ids.push_back(holder.pool[1].waiting());
    holder.records = holder.pool[1].stored();
    for (const auto id : ids) holder.record(id).version += 1;
    holder.page(ids);
    CHECK(holder.wants.back().empty());
    std::size_t wanted = 0;
    while (!holder.done) {
        REQUIRE(holder.wants.size() < 5);
        holder.end();
        if (holder.done) break;
        CHECK(holder.wants.back().size() <= 1000);
        wanted += holder.wants.back().size();
        for (const auto id : holder.wants.back()) holder.send(id);
    }
    CHECK(wanted == many);
}

TEST_CASE("a copy that has no room for a record is not whole, though the end came with it") {
    Holder holder;
    holder.page({holder.changed, holder.fresh});
    holder.pool[1].disk.faults.free_bytes = 0;
    holder.target->on(Record{holder.slice, holder.record(holder.fresh),
                             make_chunk(std::string(QueueNode::head))});
    holder.end();
    REQUIRE(holder.done.has_value());
    CHECK(holder.done->error().code == Errc::full);
    std::optional<storage::CopyState> copy;
    holder.pool[1].store->fence(holder.slice.partition, holder.slice.epoch,
                                [&](Result<storage::CopyState> found) { copy = found.value(); });
    holder.pool.run();
    REQUIRE(copy.has_value());
    CHECK_FALSE(copy->whole);
    CHECK(copy->at < storage::Position{Epoch{1}, Sequence{9}});
}

TEST_CASE("a record whose body had no room does not come without it") {
    Holder holder;
    holder.page({holder.changed, holder.fresh});
    auto record = holder.record(holder.fresh);
    record.chunk_count = 1;
    holder.pool[1].disk.faults.free_bytes = 2000;
    holder.target->on(Body{holder.slice, record.id, 1, make_chunk(std::string(3000, 'x'))});
    holder.target->on(Record{holder.slice, record, make_chunk(std::string(QueueNode::head))});
    holder.end();
    REQUIRE(holder.done.has_value());
    CHECK_FALSE(holder.done->has_value());
    CHECK_FALSE(holder.has(holder.fresh));
}
