// An SMTP server that does as little as one can: the floor under accepting, and a fast receiver.
//
// Place     Run by tests/bench and tests/system/proofs/speed.py.
// Contract  `floor_sink --help` lists the options. With --file it keeps what it takes: bodies go
//           into one file, with one fdatasync for all that wait, and 250 comes after it; with
//           --append to its end, else over those before.
//           Without, it counts. --counts FILE shows numbers while it runs (SinkCounts). SIGTERM
//           ends it with one line of JSON: messages, recipients, deferred (recipients), bytes,
//           connections, seconds of CPU of its own, syncs, and sync_p50_ms, sync_p99_ms,
//           sync_max_ms of fdatasync.
// Bounds    Holds one message a session in memory; for measurements, not for the open internet.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <new>
#include <unordered_map>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "tests/bench/group_commit.h"
#include "tests/bench/sink_session.h"

namespace posthorse::bench {
namespace {

constexpr std::chrono::milliseconds look_around{200};
constexpr std::size_t buffer_bytes = 256 * 1024;

struct Options {
    std::string host = "127.0.0.1";
    std::uint16_t port = 2525;
    std::string file;
    bool append = false;
    std::string counts;
    std::vector<std::string> defer;
    SinkOptions sink;
};

// Memory that is a file, when one is named.
class SharedCounts {
public:
    explicit SharedCounts(const std::string& path) {
        int flags = MAP_SHARED | MAP_ANONYMOUS;
        if (!path.empty()) {
            flags = MAP_SHARED;
            file_ = Descriptor(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
            if (!file_.open() || ftruncate(file_.get(), sizeof(SinkCounts)) != 0) throw_errno(path);
        }
        void* const mapped =
            mmap(nullptr, sizeof(SinkCounts), PROT_READ | PROT_WRITE, flags, file_.get(), 0);
        if (mapped == MAP_FAILED) throw_errno("mmap");
        counts_ = new (mapped) SinkCounts;
    }
    ~SharedCounts() { munmap(counts_, sizeof(SinkCounts)); }
    SharedCounts(const SharedCounts&) = delete;
    SharedCounts& operator=(const SharedCounts&) = delete;

    SinkCounts& get() { return *counts_; }

private:
    Descriptor file_;
    SinkCounts* counts_ = nullptr;
};

class Sink {
public:
    explicit Sink(const Options& options)
        : disk_(open_disk(options)),
          listener_(Address(options.host, options.port).listen()),
          counts_(options.counts),
          shared_{options.sink, counts_.get(), disk_.get(), buffer_} {
        poll_.add(listener_, Poll::readable, &listener_);
        if (disk_) poll_.add(disk_->ready(), Poll::readable, disk_.get());
    }

    std::string run() {
        while (!stopping) {
            for (const epoll_event& event : poll_.wait(look_around)) on_ready(event.data.ptr);
            for (SinkSession* session : ended_) sessions_.erase(session);
            ended_.clear();
        }
        return report();
    }

private:
    static std::unique_ptr<GroupCommit> open_disk(const Options& options) {
        using File = GroupCommit::File;
        if (options.file.empty()) return nullptr;
        return std::make_unique<GroupCommit>(options.file,
                                             options.append ? File::grows : File::made);
    }

    void on_ready(void* owner) {
        if (owner == &listener_) return accept_all();
        if (owner == disk_.get()) return on_committed();
        auto* const session = static_cast<SinkSession*>(owner);
        if (session->closed()) return;
        session->receive();
        if (session->closed()) end(session);
    }

    void accept_all() {
        while (true) {
            Descriptor socket(
                accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (!socket.open()) return;
            const int on = 1;
            setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            auto made = std::make_unique<SinkSession>(shared_, std::move(socket));
            SinkSession* const session = made.get();
            poll_.add(session->socket(), Poll::readable, session);
            sessions_.emplace(session, std::move(made));
        }
    }

    void on_committed() {
        for (SinkSession* session : disk_->take_done()) {
            const bool was_closed = session->closed();
            session->committed();
            if (was_closed)
                ended_.push_back(session);
            else if (session->closed())
                end(session);
        }
    }

    // One that waits for the disk ends after it, and is not to be told of any more.
    void end(SinkSession* session) {
        if (session->waits_for_disk())
            poll_.remove(session->socket());
        else
            ended_.push_back(session);
    }

    std::string report() {
        const SinkCounts& counts = counts_.get();
        const std::vector<float> syncs = disk_ ? disk_->sync_times() : std::vector<float>{};
        return fmt::format(
            R"({{"messages": {}, "recipients": {}, "deferred": {}, "bytes": {}, )"
            R"("connections": {}, "cpu_seconds": {:.3f}, "syncs": {}, "sync_p50_ms": {:.3f}, )"
            R"("sync_p99_ms": {:.3f}, "sync_max_ms": {:.3f}}})",
            counts.messages, counts.recipients, counts.deferred, counts.bytes, counts.connections,
            cpu_seconds(), syncs.size(), percentile(syncs, 0.5), percentile(syncs, 0.99),
            percentile(syncs, 1));
    }

    std::unique_ptr<GroupCommit> disk_;  // ready before anyone may come
    Descriptor listener_;
    SharedCounts counts_;
    std::vector<char> buffer_ = std::vector<char>(buffer_bytes);
    Poll poll_;
    std::unordered_map<SinkSession*, std::unique_ptr<SinkSession>> sessions_;
    std::vector<SinkSession*> ended_;
    SinkShared shared_;
};

int run(int argc, char** argv) {
    Options options;
    CLI::App app{"Takes mail, and does as little as one can"};
    app.add_option("--host", options.host, "Where to listen");
    app.add_option("--port", options.port, "Where to listen");
    app.add_option("--file", options.file, "Keep what is taken in this file, synced before 250");
    app.add_flag("--append", options.append, "... whose end they go to, as in a log");
    app.add_option("--counts", options.counts, "A file that shows counts all the time");
    app.add_option("--defer", options.defer, "A domain whose recipients are answered 450");
    app.add_flag("--defer-all", options.sink.defer_all, "Answer 450 to every recipient");
    app.add_option("--defer-every", options.sink.defer_every, "... to each so manieth recipient");
    CLI11_PARSE(app, argc, argv);
    options.sink.defer = {options.defer.begin(), options.defer.end()};
    stop_at_signals();
    fmt::print("{}\n", Sink(options).run());
    return 0;
}

}  // namespace
}  // namespace posthorse::bench

int main(int argc, char** argv) {
    return posthorse::bench::guarded("floor_sink", posthorse::bench::run, argc, argv);
}
