// Directories as a stranger's start leaves them, and a queue that takes what is adopted.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/aside/aside_copies.h"
#include "storage/rocks_store.h"
#include "tests/unit/storage/samples.h"
#include "tests/unit/storage/store_rigs.h"
#include "tests/unit/storage/test_loop.h"

namespace posthorse::aside::test {

inline constexpr WallTime now{std::chrono::hours{24 * 20'000}};

class FixedClock final : public Clock {
public:
    WallTime wall() const override { return now; }
    BootTime boot() const override { return BootTime{}; }
};

// A message with pieces behind its head, and the size that it has.
struct Mail {
    Envelope envelope;
    std::vector<std::string> pieces;

    Mail(QueueId id, std::vector<std::string> parts) : pieces(std::move(parts)) {
        envelope = storage::sample_envelope(id);
        envelope.chunk_count = static_cast<std::uint32_t>(pieces.size() - 1);
        envelope.size_bytes = 0;
        for (const auto& piece : pieces) envelope.size_bytes += piece.size();
    }
};

class DataDirectory {
public:
    std::string path() const { return root_.path().string(); }
    std::filesystem::path aside(const std::string& name) const {
        return root_.path() / "set-aside" / name;
    }
    // With an empty queue.
    void make(const std::string& name) {
        std::filesystem::create_directories(aside(name));
        std::ofstream(aside(name) / "why") << "its disk went back\n";
        fill(name, {});
    }
    void fill(const std::string& name, const std::vector<storage::Operation>& operations) {
        storage::TestLoop loop;
        auto store =
            storage::open_rocks_store({.path = aside(name) / "queue", .home = &loop}).value();
        for (const auto& operation : operations) {
            REQUIRE(
                loop.await([&](Completion<> done) { store->apply(operation, std::move(done)); }));
        }
        store.reset();
        loop.run_all();
    }
    void add(const std::string& name, const Mail& mail) {
        std::vector<storage::Operation> operations;
        for (std::uint32_t index = 1; index < mail.pieces.size(); ++index)
            operations.push_back(
                stamped(storage::Append{mail.envelope.id, index, make_chunk(mail.pieces[index])},
                        mail.envelope.id));
        operations.push_back(stamped(
            storage::Commit{mail.envelope, make_chunk(mail.pieces.front())}, mail.envelope.id));
        fill(name, operations);
    }
    template <class Change>
    storage::Operation stamped(Change change, QueueId id) {
        return {.stamp = {id.partition(), Epoch{1}, Sequence{++sequence_}},
                .change = std::move(change)};
    }

private:
    storage::TemporaryDirectory root_;
    std::uint64_t sequence_ = 0;
};

// Takes everything, or answers a commit as the test says.
class TestDoor final : public Door {
public:
    struct Taken {
        Envelope envelope;
        std::string body;
    };
    Result<QueueId> begin(std::uint64_t) override {
        return QueueId::make(now, PartitionId{99}, Epoch{1}, ++count_);
    }
    Result<void> append(QueueId id, std::uint32_t, Chunk bytes) override {
        bodies_[id] += *bytes;
        return {};
    }
    Result<void> commit(Envelope envelope, Chunk head) override {
        const auto id = envelope.id;
        if (answer) taken.push_back({std::move(envelope), *head + bodies_[id]});
        return answer;
    }
    void abort(QueueId id) override { aborted.push_back(id); }

    Result<void> answer;  // to a commit
    std::vector<Taken> taken;
    std::vector<QueueId> aborted;

private:
    std::uint32_t count_ = 0;
    std::map<QueueId, std::string> bodies_;
};

}  // namespace posthorse::aside::test
