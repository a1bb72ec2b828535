// One SMTP or LMTP connection to one destination: drives smtp::ClientSession over a real stream.
//
// Place     Stage 6, a worker's of delivery_pool.h. docs/life-of-a-message.md.
// Contract  open() tries the candidates in turn until one says it is ready; TLS is opportunistic
//           (RFC 7435): a handshake that fails is followed by a connection in clear, unless TLS is
//           required. Then deliver(), one message after another.
//           The intent goes out when an attempt starts. The octets that end a message (its last
//           piece and the final dot) are written together, only when the intent is recorded, the
//           socket's send queue is empty and may_send_dot() says yes (P3, P4). When the lease is
//           lost, what the kernel still holds of a message is dropped with the connection.
//           Each reply has its whole step's deadline, however it dribbles (limits.h, Timeouts).
//           An attempt that outlasts all of them together, timeouts.attempt, is broken off,
//           whatever it waits for.
// Owner     One coroutine of its shard; abort() comes from the same shard.
// Errors    open(): why nobody could be asked. deliver(): an outcome for every recipient, always.
// Bounds    Two chunks of the body: one on its way out, one read ahead.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/deliver/begun.h"
#include "daemon/deliver/resolver.h"
#include "daemon/runtime/stream.h"
#include "proto/smtp/client_session.h"
#include "proto/smtp/data_framing.h"
#include "proto/types/delivery_job.h"
#include "proto/types/time.h"

namespace posthorse::deliver {

// What an attempt asks of the queue. Called on any shard; the completions too may come on any
// thread. (node.cc hops to the queue's executor.)
struct MessagePort {
    std::function<void(QueueId, std::uint32_t index, Completion<Chunk>)> read_chunk;
    std::function<void(Intent, Completion<>)> intend;
    std::function<void(QueueId, std::uint32_t attempt, Completion<bool>)> may_send_dot;
};

class Connection {
public:
    struct Settings {
        std::string helo;
        smtp::TlsUse tls = smtp::TlsUse::when_offered;
        smtp::Limits limits;
        smtp::Timeouts timeouts;
        std::string source_address;  // empty: the system's choice
    };
    struct Attempt {
        JobResult result;
        // The server had closed a connection that was used before: nothing was asked; try again.
        bool stale = false;
    };

    // The references must outlive the connection.
    Connection(runtime::Shard& shard,
               const Settings& settings,
               std::shared_ptr<runtime::asio::ssl::context> tls,
               const MessagePort& messages,
               const Clock& clock);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // nullopt: ready for deliver().
    runtime::asio::awaitable<std::optional<Refusal>> open(std::vector<Candidate> candidates);
    // May take another message, and the server has neither closed nor said anything since.
    bool usable();
    // Requires that it was ready, and takes another message.
    runtime::asio::awaitable<Attempt> deliver(DeliveryJob job);
    // Says goodbye, when there is somebody to say it to.
    runtime::asio::awaitable<void> quit();
    // The node stops: what is under way ends now, and nothing begins.
    void abort();
    // This node may not act any more: octets that have not left it must not leave it later.
    void lease_lost();

    bool secure() const { return stream_ && stream_->secure(); }
    const std::string& remote() const { return remote_; }  // "mx.example.org[192.0.2.1]:25"

private:
    using IoError = runtime::IoError;
    template <class T = void>
    using Task = runtime::asio::awaitable<T>;

    Task<bool> open_one(Candidate candidate, smtp::TlsUse tls);
    Task<std::optional<std::string>> connect(Candidate candidate);
    std::optional<std::string> bind_source(bool v6);
    Task<> converse();
    Task<> carry_out(smtp::ClientEffect effect);
    Task<> send(std::string bytes);
    Task<> start_tls();
    Task<> send_body();
    Task<> end_body();
    Task<bool> wait_until_sent();
    Task<> read_replies(Duration patience);
    void feed(std::string_view bytes);
    void end_session(smtp::ClientEnd why, std::string what);
    void end_session(const IoError& error);
    void close(bool in_order);
    void break_off(std::string why);
    bool idle();
    Duration patience_for(smtp::Step step) const;
    Duration patience_left() const;
    DeliveryStatus status_of(const Reply& reply) const;

    runtime::Shard& shard_;
    const Settings& settings_;
    std::shared_ptr<runtime::asio::ssl::context> tls_context_;
    const MessagePort& messages_;
    const Clock& clock_;

    // of the connection
    std::unique_ptr<runtime::Stream> stream_;
    std::optional<smtp::ClientSession> session_;
    std::deque<smtp::ClientEffect> effects_;
    std::string remote_;
    std::string host_;
    std::string input_;      // octets of replies that the session has not taken
    BootTime step_begun_{};  // when the awaited reply's time began
    bool settled_ = false;   // Ready, JobDone or closed: converse() returns
    bool tls_failed_ = false;
    bool aborted_ = false;
    std::string aborted_why_;
    std::uint32_t jobs_done_ = 0;
    Reply failure_;  // why the candidate of late was no good

    // of the message under way
    DeliveryJob job_;
    std::vector<RecipientOutcome> outcomes_;
    std::optional<Begun<void>> intent_;  // until it is known to be recorded
    std::optional<Begun<Chunk>> chunk_;  // the next one
    std::string tail_;                   // the last piece of the body: goes out with the final dot
    bool heard_ = false;                 // a reply came
    bool replied_ = false;               // a recipient's result is what the server said
    bool closed_by_peer_ = false;
    bool our_fault_ = false;  // ended by this node: says nothing about the destination
    bool stalled_ = false;    // by its watch
};

}  // namespace posthorse::deliver
