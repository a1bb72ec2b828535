// Stage 7: settles what the attempts at a message came to, and tells its sender and the log.
//
// Place     Fed by the scheduler (node.cc joins them) and by operators; writes through
//           replication/replicated_queue.h. docs/life-of-a-message.md.
// Contract  A notice is written in the same step of the queue as the settlement that causes it:
//           neither is there without the other.
//           Notices are signed as other mail of their sender is. One that must be signed and cannot
//           be is not sent, and the failures that it would tell of are not final yet: they are
//           tried again `unsigned_retry` later. What was delivered is settled all the same, and
//           a notice of its relay is then left out. A
//           header that cannot be read is left out of the notice; the notice is not left out.
//           What the attempts met goes into the message's history with the settlement.
// Owner     node.cc. Everything it refers to must outlive it; completions that come after its end
//           do nothing. Home executor only.
// Errors    A settlement that fails is logged: the queue's store has failed or the lease is gone,
//           and the message is settled by its next owner.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "daemon/report/delivery_log.h"
#include "daemon/report/notice.h"
#include "daemon/report/settle_decision.h"
#include "daemon/runtime/metrics.h"
#include "proto/types/function.h"
#include "proto/types/result.h"
#include "proto/types/time.h"
#include "replication/replicated_queue.h"

namespace posthorse::report {

class Reporter {
public:
    // Answers with the DKIM-Signature fields for `message` from `from`, empty when none are wanted;
    // never on the caller's stack, always on the home executor.
    using Sign = std::function<void(std::string from, Chunk message, Completion<std::string> done)>;
    using LogLine = std::function<void(const std::string& line)>;

    struct Settings {
        NoticeSettings notices;
        NodeId node;  // this one, in what is noted in a message's history
        Duration unsigned_retry = std::chrono::minutes{15};
        replication::InDoubtPolicy in_doubt = replication::InDoubtPolicy::resend;
        Addresses addresses = Addresses::shown;
    };

    Reporter(const Clock& clock,
             replication::ReplicatedQueue& queue,
             runtime::Metrics& metrics,
             Sign sign,
             LogLine log_line,
             Settings settings);
    ~Reporter();
    Reporter(const Reporter&) = delete;
    Reporter& operator=(const Reporter&) = delete;

    // `done` is called when the message is settled, whatever came of it.
    void settle(Ended ended, UniqueFunction<void()> done);

    // `queue bounce`: fails the pending recipients for good and tells the sender. conflict: it is
    // being delivered. unavailable: the notice cannot be signed; nothing was changed.
    void bounce(QueueId id, std::string why, Completion<> done);

    // InDoubtPolicy::bounce: `claimed` has attempts whose end nobody knows. Those recipients that
    // they may have reached fail. Without a signature it is held.
    void bounce_in_doubt(Envelope claimed);

private:
    class Settling;
    friend class Settling;

    void run(std::shared_ptr<Settling> settling);
    void count(mail::DsnKind kind);

    const Clock& clock_;
    replication::ReplicatedQueue& queue_;
    Sign sign_;
    LogLine log_line_;
    Settings settings_;
    runtime::Counter bounces_;
    runtime::Counter warnings_;
    runtime::Counter relays_;
    runtime::Counter deliveries_;
    runtime::Counter unsigned_;
    std::shared_ptr<Reporter*> alive_;  // the completions' weak way back
};

}  // namespace posthorse::report
