// Copies that were set aside, for the event loops: a worker opens and reads them.
//
// Place     daemon/admin/aside_calls.h asks; node.cc joins it to the queue.
// Contract  As aside_copies.h, one call after another. Completions run on home, where the ports are
//           called too. After every call that acts, and every listing from the beginning, `left`
//           is told which directories there are.
// Owner     node.cc. Every call is made on home, which must run until none is under way.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/aside/aside_copies.h"
#include "proto/types/executor.h"
#include "storage/worker.h"

namespace posthorse::aside {

// As the functions of ReplicatedQueue with these names. A message that `commit` took is handed on:
// it is delivered when it is due.
struct QueuePorts {
    std::function<void(std::uint64_t size_bytes, Completion<QueueId>)> begin;
    std::function<void(QueueId, std::uint32_t index, Chunk, Completion<>)> append;
    std::function<void(Envelope, Chunk head, Completion<>)> commit;
    std::function<void(QueueId)> abort;
};

class Aside {
public:
    using Left = std::function<void(std::vector<std::string> directories)>;

    Aside(AsideCopies::Settings settings,
          Executor& home,
          const Clock& clock,
          QueuePorts queue,
          Left left);

    void list(std::string only, Place from, std::size_t limit, Completion<Page> done);
    void find(std::string only, std::vector<QueueId> ids, Completion<std::vector<Found>> done);
    void act(Order order, Completion<std::vector<Done>> done);
    // Removes the directories in which nothing is left.
    void tidy(Completion<> done);

private:
    class HomeDoor;

    // Completes with what `work` gives, which runs on the worker.
    template <class T, class Work>
    void ask(Work work, Completion<T> done);
    void tell(std::vector<std::string> directories);

    Executor& home_;
    const Left left_;
    std::shared_ptr<Door> door_;
    AsideCopies copies_;
    storage::ThreadWorker worker_{"set-aside"};  // last: it ends before what it works with
};

}  // namespace posthorse::aside
