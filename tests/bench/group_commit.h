// One file into which bodies are written, with one fdatasync for all that wait: the floor under
// every queue that keeps what it acknowledges. The file is made beforehand and written over and
// over again, so that a sync writes the bodies and nothing of the file system's own.
//
// Contract  `add` from the thread that receives; a second thread writes and syncs. When it has
//           synced some, `ready` is readable and `take_done` returns whose they were.
// Owner     One process; joined by the destructor.
// Errors    A write or sync that fails ends the process: its figures would be false.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/poll.h"

namespace posthorse::bench {

class SinkSession;

class GroupCommit {
public:
    explicit GroupCommit(const std::string& file);
    ~GroupCommit();
    GroupCommit(const GroupCommit&) = delete;
    GroupCommit& operator=(const GroupCommit&) = delete;

    const Descriptor& ready() const { return ready_; }
    void add(SinkSession* session, const std::string& body);
    std::vector<SinkSession*> take_done();

    // Of each sync so far, in milliseconds, sorted.
    std::vector<float> sync_times();

private:
    struct Batch {
        std::string octets;
        std::vector<SinkSession*> sessions;
    };

    void run();
    void keep(const std::string& octets);
    void commit(const Batch& batch);

    Descriptor file_;
    std::size_t at_ = 0;
    Descriptor ready_;
    std::mutex mutex_;
    std::condition_variable changed_;
    Batch waiting_;
    std::vector<SinkSession*> done_;
    std::vector<float> sync_ms_;
    bool ending_ = false;
    std::thread thread_;
};

}  // namespace posthorse::bench
