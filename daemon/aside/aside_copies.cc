#include "daemon/aside/aside_copies.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "daemon/aside/adoption.h"
#include "daemon/aside/journal.h"
#include "replication/edge/control_disk.h"
#include "storage/durable_file.h"

namespace posthorse::aside {
namespace {

namespace fs = std::filesystem;

constexpr const char* queue_name = "queue";
// What a queue is called while it is deleted: no crash leaves half of one under the old name.
constexpr const char* emptied_name = "emptied";

Error not_tried() {
    return {Errc::cancelled, "not tried: whoever asked left"};
}

Error not_there(const Named& message) {
    return {Errc::not_found, "no copy " + message.directory + " with a queue is set aside here"};
}

Error wrong_size(std::uint64_t read, std::uint64_t recorded) {
    return {Errc::corrupt, "its body has " + std::to_string(read) + " octets, its record says " +
                               std::to_string(recorded)};
}

// Of a copy that could not be opened: a listing goes on behind it.
QueueId behind_all() {
    return QueueId::from_bytes(std::string(QueueId::byte_length, '\xFF'));
}

}  // namespace

struct AsideCopies::Directory {
    std::string name;
    std::string path;
    std::string why;
    std::string pool_id;

    std::string queue() const { return path + "/" + queue_name; }
    bool has_queue() const {
        std::error_code error;
        return fs::exists(queue(), error) || error;
    }
    Found found(QueueId id) const {
        return {.directory = name,
                .why = why,
                .pool_id = pool_id,
                .id = id,
                .envelope = {},
                .problem = {},
                .adopted_as = {}};
    }
    Found failed(const Error& error) const {
        auto problem = found(QueueId{});
        problem.problem = error.what;
        return problem;
    }
    Found found(AsideCopy::Entry entry, const std::map<QueueId, QueueId>& adoptions) const {
        auto one = found(entry.id);
        one.open_attempts = entry.open_attempts;
        if (const auto begun = adoptions.find(entry.id); begun != adoptions.end())
            one.adopted_as = begun->second;
        if (entry.envelope)
            one.envelope = std::move(*entry.envelope);
        else
            one.problem = entry.envelope.error().what;
        return one;
    }
};

AsideCopies::AsideCopies(Settings settings, const Clock& clock, Door& door)
    : settings_(std::move(settings)), clock_(clock), door_(door) {}

std::string AsideCopies::path_of(const std::string& directory) const {
    return settings_.data_dir + "/set-aside/" + directory;
}

std::vector<AsideCopies::Directory> AsideCopies::all(const std::string& only) const {
    std::vector<Directory> directories;
    const auto copies = replication::list_set_aside(settings_.data_dir);
    if (!copies) return directories;
    for (const auto& copy : *copies) {
        const auto name = fs::path(copy.path).filename().string();
        if (!only.empty() && name != only) continue;
        const auto record = replication::read_record(copy.path + "/control");
        directories.push_back({name, copy.path, copy.why, record ? record->pool_id : ""});
    }
    return directories;
}

std::vector<std::string> AsideCopies::directories() const {
    std::vector<std::string> names;
    for (const auto& directory : all("")) names.push_back(directory.name);
    return names;
}

Result<std::unique_ptr<AsideCopy>> AsideCopies::open(const std::string& directory) const {
    return AsideCopy::open(path_of(directory) + "/" + queue_name, settings_.room_bytes);
}

// ------------------------------------------------------------------ see

Page AsideCopies::list(const std::string& only, const Place& from, std::size_t limit) const {
    Page page;
    for (const auto& directory : all(only)) {
        if (directory.name < from.directory || !directory.has_queue()) continue;
        const bool goes_on = directory.name == from.directory;
        if (goes_on && from.after == behind_all()) continue;
        take_page(directory, goes_on ? from.after : QueueId{}, limit - page.found.size(), page);
        if (page.found.size() < limit) continue;
        const auto& last = page.found.back();
        page.next = Place{directory.name, last.id == QueueId{} ? behind_all() : last.id};
        break;
    }
    return page;
}

void AsideCopies::take_page(const Directory& directory,
                            QueueId after,
                            std::size_t limit,
                            Page& page) const {
    const auto fail = [&](const Error& error) { page.found.push_back(directory.failed(error)); };
    auto copy = open(directory.name);
    if (!copy) return fail(copy.error());
    const auto adoptions = Journal(directory.path).read();
    if (!adoptions) return fail(adoptions.error());
    auto entries = (*copy)->list(after, limit);
    if (!entries) return fail(entries.error());
    for (auto& entry : *entries)
        page.found.push_back(directory.found(std::move(entry), *adoptions));
}

std::vector<Found> AsideCopies::find(const std::string& only,
                                     const std::vector<QueueId>& ids) const {
    std::vector<Found> found;
    for (const auto& directory : all(only)) {
        if (!directory.has_queue()) continue;
        auto copy = open(directory.name);
        const auto adoptions = Journal(directory.path).read();
        if (!copy || !adoptions) {
            found.push_back(directory.failed(copy ? adoptions.error() : copy.error()));
            continue;
        }
        for (const auto id : ids) {
            auto entry = (*copy)->find(id);
            if (entry)
                found.push_back(directory.found(std::move(*entry), *adoptions));
            else if (entry.error().code != Errc::not_found)
                found.push_back(directory.failed(entry.error()));
        }
    }
    return found;
}

// ------------------------------------------------------------------ act

std::vector<Done> AsideCopies::act(const Order& order) {
    const auto copies = open_for(order);
    std::vector<Done> done;
    for (const auto& task : order.tasks) {
        done.push_back({task.message, {}, {}});
        done.back().result = act_on(task, copies, order, done.back().new_id);
    }
    return done;
}

// An adoption looks whether other copies have the message, too.
AsideCopies::Opened AsideCopies::open_for(const Order& order) const {
    std::set<std::string> wanted;
    for (const auto& task : order.tasks) wanted.insert(task.message.directory);
    const bool adopts = std::ranges::count(order.tasks, Deed::adopt, &Task::deed) > 0;
    Opened opened;
    for (const auto& directory : all("")) {
        const bool needed = adopts || wanted.contains(directory.name);
        if (needed && directory.has_queue()) opened.emplace(directory.name, open(directory.name));
    }
    return opened;
}

Result<void> AsideCopies::act_on(const Task& task,
                                 const Opened& copies,
                                 const Order& order,
                                 std::optional<QueueId>& new_id) {
    if (order.given_up && order.given_up()) return not_tried();
    const auto& message = task.message;
    const auto opened = copies.find(message.directory);
    if (opened == copies.end()) return not_there(message);
    if (!opened->second) return opened->second.error();
    auto& copy = **opened->second;
    const auto entry = copy.find(message.id);
    if (!entry) return entry.error();
    if (task.deed == Deed::remove) return order.dry_run ? Result<void>{} : copy.forget(message.id);
    if (!entry->envelope) return entry->envelope.error();
    const auto others = others_with(message, copies);
    if (!others) return others.error();
    if (!others->empty() && !order.directory_said)
        return Error{Errc::conflict, fmt::format("it is in {} too: say from which, with --from",
                                                 fmt::join(*others, ", "))};
    if (order.dry_run) return {};
    return adopt(*entry, message, copy, *others, new_id);
}

// One that is damaged as a whole has nothing that could be adopted.
Result<std::vector<std::string>> AsideCopies::others_with(const Named& message,
                                                          const Opened& copies) {
    std::vector<std::string> others;
    for (const auto& [name, copy] : copies) {
        if (name == message.directory) continue;
        if (!copy && copy.error().code != Errc::corrupt) return copy.error();
        if (copy && (*copy)->find(message.id)) others.push_back(name);
    }
    return others;
}

Result<void> AsideCopies::adopt(const AsideCopy::Entry& entry,
                                const Named& message,
                                AsideCopy& copy,
                                const std::vector<std::string>& others,
                                std::optional<QueueId>& new_id) {
    const auto& old = *entry.envelope;
    const auto id = door_.begin(old.size_bytes);
    if (!id) return id.error();
    auto head = append_body(old, *id, copy);
    if (!head) {
        door_.abort(*id);
        return head.error();
    }
    auto noted_in = others;
    noted_in.push_back(message.directory);
    if (auto noted = note_begun(old.id, *id, noted_in); !noted) {
        door_.abort(*id);
        return noted;
    }
    auto committed = door_.commit(adopted(old, {.new_id = *id,
                                                .directory = message.directory,
                                                .open_attempts = entry.open_attempts,
                                                .node = settings_.node,
                                                .now = clock_.wall()}),
                                  std::move(*head));
    const bool may_be_there = committed || committed.error().code == Errc::unknown;
    if (may_be_there) new_id = *id;
    if (!may_be_there) note_withdrawn(old.id, noted_in);
    if (!committed) return committed;
    return copy.forget(old.id);
}

// Returns the head, which comes with the commit.
Result<Chunk> AsideCopies::append_body(const Envelope& old, QueueId new_id, AsideCopy& copy) {
    auto head = copy.chunk(old.id, 0);
    if (!head) return head;
    std::uint64_t size_bytes = (*head)->size();
    for (std::uint32_t index = 1; index <= old.chunk_count; ++index) {
        auto chunk = copy.chunk(old.id, index);
        if (!chunk) return chunk;
        size_bytes += (*chunk)->size();
        auto appended = door_.append(new_id, index, std::move(*chunk));
        if (!appended) return appended.error();
    }
    if (size_bytes != old.size_bytes) return wrong_size(size_bytes, old.size_bytes);
    return head;
}

Result<void> AsideCopies::note_begun(QueueId old_id,
                                     QueueId new_id,
                                     const std::vector<std::string>& directories) const {
    for (const auto& directory : directories) {
        auto noted = Journal(path_of(directory)).begun(old_id, new_id);
        if (!noted) return noted;
    }
    return {};
}

// What cannot be noted is asked about when the message is met again: then the new id is not found.
void AsideCopies::note_withdrawn(QueueId old_id,
                                 const std::vector<std::string>& directories) const {
    for (const auto& directory : directories)
        static_cast<void>(Journal(path_of(directory)).withdrawn(old_id));
}

// ------------------------------------------------------------------ directories

std::vector<std::string> AsideCopies::tidy() {
    for (const auto& directory : all("")) {
        if (!holds_nothing(directory)) continue;
        std::error_code error;
        fs::rename(directory.queue(), directory.path + "/" + emptied_name, error);
        // A name that stays though it should not is found by the next tidy().
        static_cast<void>(storage::sync_directory(directory.path));
        fs::remove_all(directory.path, error);
        static_cast<void>(storage::sync_directory(settings_.data_dir + "/set-aside"));
    }
    return directories();
}

// What cannot be opened is kept for whoever can make something of it.
bool AsideCopies::holds_nothing(const Directory& directory) const {
    if (!directory.has_queue()) return true;
    const auto copy = open(directory.name);
    if (!copy) return false;
    const auto left = (*copy)->list(QueueId{}, 1);
    return left && left->empty();
}

}  // namespace posthorse::aside
