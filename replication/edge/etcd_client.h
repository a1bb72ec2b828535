// The way to etcd: its v3 API over gRPC, for one pool's prefix.
//
// Place     Under etcd_control.h. Built of peer_channel.h, etcd_codec.h and etcd's own schema,
//           proto/etcd.
// Contract  One endpoint is used for everything. When a call of it fails, does not end within
//           `deadline`, or its watch ends, all that it has is given up, and the next endpoint is
//           used, after a pause when all of them failed in a row: 100 ms, then twice as long, at
//           most a second; what is asked meanwhile waits for its end. While it watches it asks
//           the endpoint four times in `deadline` whether it lives and knows a leader: one that is
//           dead, hangs, is cut off, or lost its quorum, is left within `deadline` or little more.
//           read() is linearizable. transact() is one round trip, refused ones with all items.
//           watch() tells every revision in which something below the prefix changed, from the one
//           that is named, until `ended`, which comes once, with the reason: the endpoint is given
//           up, or etcd has forgotten that revision (it was compacted). Then it is over.
// Owner     EtcdControl; every call and callback on home, none inside the call that asks. gRPC's
//           threads post to home and touch nothing else. Nothing blocks but open() and reload(),
//           which read files. The destructor requires that stop() has completed.
// Errors    open(): an endpoint or a file that is not good, and the mend. Calls: unavailable, of a
//           transaction EtcdAnswer::Outcome::unknown; both name the endpoint and what to look at.
// Bounds    One connection, one watch, the calls that its user makes; answers of 8 MiB.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proto/types/executor.h"
#include "proto/types/result.h"
#include "proto/types/time.h"
#include "replication/core/etcd_port.h"
#include "replication/edge/certificate_check.h"
#include "replication/edge/etcd_codec.h"

namespace grpc {
class ChannelCredentials;
class Status;
}  // namespace grpc

namespace posthorse::replication {

struct EtcdFigures {
    std::uint64_t calls = 0;   // that were answered
    std::uint64_t failed = 0;  // that were not
    std::uint64_t moves = 0;   // from one endpoint to the next
    std::string endpoint;      // in use
    std::string problem;       // why the last one was given up; empty: this one answers
};

class EtcdClient {
public:
    struct Settings {
        // "https://host:port", "http://host:port"; "host:port": with TLS when there is a ca_file.
        // One for each member: behind a name of several the next one is not found.
        std::vector<std::string> endpoints;
        std::string prefix;
        PeerFiles files;  // ca_file for TLS; the other two when etcd asks for certificates
        Duration deadline = std::chrono::seconds{2};
    };
    static Result<std::unique_ptr<EtcdClient>> open(Settings settings, Executor& home);
    ~EtcdClient();
    EtcdClient(const EtcdClient&) = delete;
    EtcdClient& operator=(const EtcdClient&) = delete;

    // Everything under the prefix.
    void read(Completion<EtcdSnapshot> done);
    void transact(const EtcdTransaction& transaction, UniqueFunction<void(EtcdAnswer)> done);
    // Instead of any watch before, of which nothing more is heard.
    struct Watcher {
        UniqueFunction<void(EtcdChanges)> changed;
        UniqueFunction<void(std::string why)> ended;
    };
    void watch(Revision from, Watcher watcher);
    // Every 50 ms or so.
    void tick(BootTime now);
    // What connects after it uses the files as they are now, or, when one is not good, as before.
    Result<void> reload();
    EtcdFigures figures() const;
    // Gives up what is on its way, which is answered; nothing is watched any more. `done` runs on
    // home, nothing after it.
    void stop(UniqueFunction<void()> done);

private:
    struct Endpoint {
        std::string name;     // as it was given, for people
        std::string address;  // "host:port"
        bool tls = false;
    };
    struct Call;
    struct Connection;
    class Stream;

    EtcdClient(Settings settings, std::vector<Endpoint> endpoints, Executor& home);
    static Result<Endpoint> endpoint_of(const std::string& text, bool tls_by_default);

    bool pausing() const { return now_ < paused_until_; }
    Connection& connection();
    void send(std::unique_ptr<Call> call);
    void launch(std::unique_ptr<Call> call);
    void ended(std::uint64_t number, const grpc::Status& status);
    void answers();
    void give_up(const std::string& why);
    void ask_whether_it_lives();
    void open_stream();
    void streamed(std::uint64_t number, bool well);
    void stream_done(std::uint64_t number, const grpc::Status& status);
    void end_watch(const std::string& why);
    void hand_on(Stream& stream);
    std::string told(const std::string& problem) const;
    std::string describe(const grpc::Status& status) const;
    EtcdSnapshot snapshot_of(const Call& call) const;
    EtcdAnswer answer_of(const Call& call, const std::string& why) const;
    void finish_stopping();

    const Settings settings_;
    const EtcdPlace place_;
    const std::vector<Endpoint> endpoints_;
    Executor& home_;
    PeerIdentity identity_;  // what was read of settings_.files
    // --- the endpoint in use
    std::size_t current_ = 0;
    std::uint64_t turn_ = 1;  // grows when an endpoint is given up
    std::unique_ptr<Connection> connection_;
    std::size_t failures_ = 0;  // in a row
    Duration pause_{};
    BootTime now_{};  // of the last tick
    BootTime paused_until_{};
    BootTime next_question_{};
    // --- what is asked
    std::map<std::uint64_t, std::unique_ptr<Call>> calls_;
    std::deque<std::unique_ptr<Call>> waiting_;  // for the pause to end
    std::uint64_t last_number_ = 0;              // of calls and streams
    // --- the watch
    bool watching_ = false;
    Revision watch_from_;
    std::shared_ptr<Watcher> watcher_;  // may be replaced while it is called
    std::uint64_t stream_ = 0;          // 0: not opened yet
    std::map<std::uint64_t, std::unique_ptr<Stream>> streams_;  // those that end, too
    EtcdFigures figures_;
    bool stopping_ = false;
    UniqueFunction<void()> stopped_;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace posthorse::replication
