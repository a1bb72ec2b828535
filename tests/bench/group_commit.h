// One file into which bodies are written, with one fdatasync for all that wait: the floor under
// every queue that keeps what it acknowledges. Written over and over again, a file that was made
// beforehand has syncs of bodies alone; one that grows, as a log does, has the file system's, too.
//
// Contract  `add` from the thread that receives; a second thread writes and syncs. When it has
//           synced some, `ready` is readable and `take_done` returns whose they were.
// Owner     One process; joined by the destructor.
// Errors    A write or sync that fails ends the process: its figures would be false.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/poll.h"

namespace posthorse::bench {

class SinkSession;

class GroupCommit {
public:
    enum class File : std::uint8_t { made, grows };

    GroupCommit(const std::string& file, File kind);
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
    const File kind_;
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
