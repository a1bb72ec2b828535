#include "daemon/aside/aside_copy.h"

#include <algorithm>
#include <map>
#include <system_error>

#include "daemon/aside/await.h"
#include "storage/rocks_store.h"

namespace posthorse::aside {
namespace {

constexpr std::uint64_t write_buffer_bytes = 4 * 1024 * 1024;
constexpr std::uint64_t block_cache_bytes = 2 * 1024 * 1024;

Error unreadable(QueueId id) {
    return {Errc::corrupt, "the record of " + id.to_string() + " cannot be read"};
}

Error not_here(QueueId id) {
    return {Errc::not_found, "no message " + id.to_string() + " in this copy"};
}

// A folder without a database would be opened as an empty queue.
Result<void> check_database(const std::filesystem::path& queue) {
    std::error_code error;
    if (std::filesystem::exists(queue / "CURRENT", error)) return {};
    return Error{Errc::corrupt, queue.string() + ": there is no database in it"};
}

// RocksDB ends the process when a disk is full.
Result<void> check_room(const std::filesystem::path& queue, std::uint64_t room_bytes) {
    std::error_code error;
    const auto space = std::filesystem::space(queue, error);
    if (error || space.available >= room_bytes) return {};
    return Error{Errc::full, queue.string() + ": " + std::to_string(space.available) +
                                 " bytes are free, too few to open it: free some there"};
}

}  // namespace

Result<std::unique_ptr<AsideCopy>> AsideCopy::open(const std::filesystem::path& queue,
                                                   std::uint64_t room_bytes) {
    if (auto there = check_database(queue); !there) return there.error();
    if (auto room = check_room(queue, room_bytes); !room) return room.error();
    std::unique_ptr<AsideCopy> copy(new AsideCopy);
    auto store = storage::open_rocks_store({.path = queue,
                                            .home = &copy->home_,
                                            .write_buffer_bytes = write_buffer_bytes,
                                            .block_cache_bytes = block_cache_bytes,
                                            .disk_floor_bytes = 0,
                                            .report = {}});
    if (!store) return store.error();
    copy->store_ = std::move(*store);
    return copy;
}

Result<std::vector<QueueId>> AsideCopy::damaged(PartitionId partition) {
    // A read that met damage asked the store to set it aside: that is done when the probe is.
    auto probed = await<void>([&](Completion<> done) { store_->probe(std::move(done)); });
    if (!probed) return probed.error();
    return await<std::vector<QueueId>>(
        [&](auto done) { store_->damaged(partition, std::move(done)); });
}

Result<void> AsideCopy::count_open_attempts(PartitionId partition, std::vector<Entry>& entries) {
    const auto intents =
        await<std::vector<Intent>>([&](auto done) { store_->intents(partition, std::move(done)); });
    if (!intents) return intents.error();
    std::map<QueueId, std::uint32_t> open;
    for (const auto& intent : *intents) ++open[intent.id];
    for (auto& entry : entries) {
        if (const auto found = open.find(entry.id); found != open.end())
            entry.open_attempts = found->second;
    }
    return {};
}

Result<std::vector<AsideCopy::Entry>> AsideCopy::list(QueueId after, std::size_t limit) {
    std::vector<Entry> entries;
    for (const auto& partition : store_->partitions()) {
        auto listed = await<std::vector<Envelope>>(
            [&](auto done) { store_->list(partition.id, after, limit, std::move(done)); });
        if (!listed) return listed.error();
        for (auto& envelope : *listed) entries.push_back({envelope.id, std::move(envelope)});
        const auto unread = damaged(partition.id);
        if (!unread) return unread.error();
        for (const auto id : *unread) {
            if (id > after) entries.push_back({id, unreadable(id)});
        }
        if (auto counted = count_open_attempts(partition.id, entries); !counted)
            return counted.error();
    }
    std::ranges::sort(entries, {}, &Entry::id);
    if (entries.size() > limit)
        entries.erase(entries.begin() + static_cast<std::ptrdiff_t>(limit), entries.end());
    return entries;
}

Result<AsideCopy::Entry> AsideCopy::find(QueueId id) {
    auto envelope = await<Envelope>([&](auto done) { store_->envelope(id, std::move(done)); });
    std::vector<Entry> entries{{id, std::move(envelope)}};
    auto& found = entries.front();
    if (!found.envelope) {
        if (found.envelope.error().code == Errc::io) return found.envelope.error();
        const auto unread = damaged(id.partition());
        if (!unread) return unread.error();
        if (std::ranges::find(*unread, id) == unread->end()) return not_here(id);
        found.envelope = unreadable(id);
    }
    if (auto counted = count_open_attempts(id.partition(), entries); !counted)
        return counted.error();
    return std::move(found);
}

Result<Chunk> AsideCopy::chunk(QueueId id, std::uint32_t index) {
    return await<Chunk>([&](auto done) { store_->chunk(id, index, std::move(done)); });
}

Result<void> AsideCopy::forget(QueueId id) {
    const auto partitions = store_->partitions();
    const auto found = std::ranges::find(partitions, id.partition(), &storage::PartitionInfo::id);
    if (found == partitions.end()) return not_here(id);
    storage::Operation operation{.stamp = {found->id, found->fence, Sequence{0}},
                                 .change = storage::Forget{id}};
    auto gone = await<void>(
        [&](Completion<> done) { store_->apply(std::move(operation), std::move(done)); });
    if (!gone) return gone;
    // It is in the log; synced it is with the write behind it.
    return await<void>([&](Completion<> done) { store_->probe(std::move(done)); });
}

}  // namespace posthorse::aside
