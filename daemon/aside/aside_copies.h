// The queues that were set aside on this node, all of them: listed, adopted from, removed.
//
// Place     <data_dir>/set-aside/ (replication/edge/control_disk.h), driven by aside.h on a worker.
// Contract  Every call opens the copies that it needs and closes them again: between two calls
//           nothing is open, and a page costs an opening.
//           An adoption: the body is appended to the queue, the journal of every copy that has the
//           message names its new id, the message is committed, and then it goes from the copy. A
//           crash in between leaves it listed with `adopted_as`. A commit that may have happened
//           (`unknown`) leaves it there, too.
//           tidy() removes directories in which no message is left, readable or not.
// Owner     One thread, which waits: for the disk, and for the queue behind `Door`.
// Errors    A copy that cannot be opened is named by a Found without an id; others go on.
// Bounds    One chunk of a body, one page of envelopes; an adoption opens every copy.
#pragma once

#include <compare>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/aside/aside_copy.h"
#include "proto/types/envelope.h"
#include "proto/types/result.h"
#include "proto/types/time.h"

namespace posthorse::aside {

// A message that was set aside, or, without an id, a copy that cannot be opened.
struct Found {
    std::string directory;  // its name in <data_dir>/set-aside/
    std::string why;        // it was set aside
    std::string pool_id;    // of its pool; empty: not known
    QueueId id;
    std::optional<Envelope> envelope;
    std::string problem;                // why there is no envelope
    std::optional<QueueId> adopted_as;  // an adoption has begun, and did not get to its end
    std::uint32_t open_attempts = 0;    // whose end the copy does not know
};

// Where a listing goes on: behind this message of this directory.
struct Place {
    std::string directory;
    QueueId after;
    auto operator<=>(const Place&) const = default;
};

struct Page {
    std::vector<Found> found;
    std::optional<Place> next;  // nullopt: this was the last
};

struct Named {
    std::string directory;
    QueueId id;
    auto operator<=>(const Named&) const = default;
};

enum class Deed : std::uint8_t { adopt, remove };

struct Task {
    Named message;
    Deed deed = Deed::adopt;
};

struct Order {
    std::vector<Task> tasks;
    bool dry_run = false;
    // The directory was said: a message of several copies is taken from it.
    bool directory_said = false;
    std::function<bool()> given_up;  // nobody waits for the rest; any thread
};

struct Done {
    Named message;
    std::optional<QueueId> new_id;
    Result<void> result;
};

// The way into the queue. Blocks until the queue has answered, with what it answered.
class Door {
public:
    virtual ~Door() = default;
    virtual Result<QueueId> begin(std::uint64_t size_bytes) = 0;
    virtual Result<void> append(QueueId id, std::uint32_t index, Chunk bytes) = 0;
    virtual Result<void> commit(Envelope envelope, Chunk head) = 0;
    virtual void abort(QueueId id) = 0;
};

class AsideCopies {
public:
    struct Settings {
        std::string data_dir;
        std::uint64_t room_bytes = 0;  // that must be free to open a copy
        NodeId node;
    };

    AsideCopies(Settings settings, const Clock& clock, Door& door);

    // `only`: of this directory; empty: of all.
    Page list(const std::string& only, const Place& from, std::size_t limit) const;
    // One for each directory that has it; none for ids that no copy has.
    std::vector<Found> find(const std::string& only, const std::vector<QueueId>& ids) const;
    // In the order of the tasks.
    std::vector<Done> act(const Order& order);
    // Names of the directories that are left.
    std::vector<std::string> tidy();
    std::vector<std::string> directories() const;

private:
    struct Directory;
    using Opened = std::map<std::string, Result<std::unique_ptr<AsideCopy>>>;  // by directory

    std::vector<Directory> all(const std::string& only) const;
    Result<std::unique_ptr<AsideCopy>> open(const std::string& directory) const;
    void take_page(const Directory& directory, QueueId after, std::size_t limit, Page& page) const;
    Opened open_for(const Order& order) const;
    Result<void> act_on(const Task& task,
                        const Opened& copies,
                        const Order& order,
                        std::optional<QueueId>& new_id);
    static Result<std::vector<std::string>> others_with(const Named& message, const Opened& copies);
    Result<void> adopt(const AsideCopy::Entry& entry,
                       const Named& message,
                       AsideCopy& copy,
                       const std::vector<std::string>& others,
                       std::optional<QueueId>& new_id);
    Result<Chunk> append_body(const Envelope& old, QueueId new_id, AsideCopy& copy);
    Result<void> note_begun(QueueId old_id,
                            QueueId new_id,
                            const std::vector<std::string>& directories) const;
    void note_withdrawn(QueueId old_id, const std::vector<std::string>& directories) const;
    bool holds_nothing(const Directory& directory) const;

    std::string path_of(const std::string& directory) const;

    const Settings settings_;
    const Clock& clock_;
    Door& door_;
};

}  // namespace posthorse::aside
