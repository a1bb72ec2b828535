// The scheduler of one simulated node and its deliveries: the production core and settlement
// decision; connections to remote servers are played.
//
// Place     Under node.h, for what scheduler.cc, deliver/ and reporter.cc do in the daemon.
// Owner     Node.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/report/settle_decision.h"
#include "daemon/schedule/schedule_core.h"
#include "replication/replicated_queue.h"
#include "tests/sim/pool/process.h"
#include "tests/sim/pool/sim_control.h"
#include "tests/sim/pool/surroundings.h"

namespace posthorse::sim::pool {

class Courier {
public:
    struct Owner {
        ProcessNumber process = 0;
        std::string name;
        const Clock& clock;
        const SimControl& control;
    };
    Courier(Surroundings& around,
            Process& process,
            replication::ReplicatedQueue& queue,
            Owner owner);

    void start();
    // A claimed message.
    void offer(Envelope envelope);
    void acted(QueueId id, replication::Action action);
    // No new attempts.
    void stop();
    void go_on();

private:
    struct Attempt {
        WorkerId worker;
        DeliveryJob job;
        Envelope claimed;
        AttemptNumber number = 0;
        BootTime intended{};
        bool unevictable = false;  // while it was being recorded
        std::uint32_t next_chunk = 0;
        std::vector<Answer> answers;  // what the remote decided, when it had the message
    };
    using AttemptRef = std::shared_ptr<Attempt>;

    schedule::Now now() const { return {owner_.clock.wall(), owner_.clock.boot()}; }
    void pump();
    void wake_by(WallTime due);
    void carry_out(schedule::Effects effects);
    void carry_out_one(schedule::Effect effect);
    void record_in_time();
    void assign(const schedule::Assign& assign);
    void report(Ended ended);
    void settle(Ended ended, const report::Decision& decision);
    void told(Envelope claimed, std::uint32_t attempt, std::vector<RecipientOutcome> outcomes);
    NewMessage bounce(const Envelope& cause, const std::vector<std::uint32_t>& recipients) const;

    void connect(const AttemptRef& attempt);
    void read_body(const AttemptRef& attempt);
    void send_dot(const AttemptRef& attempt);
    // Needs no node: the remote has the message.
    static void decide(Surroundings& around, Attempt& attempt, bool lost);
    void reply_after(Duration delay, const AttemptRef& attempt, bool lost);
    void reply(const AttemptRef& attempt, bool lost);
    void defer(const AttemptRef& attempt, const std::string& why, DestinationHealth health);
    void end(const AttemptRef& attempt, JobResult result, WorkerAfter after);
    JobResult result_of(const Attempt& attempt) const;

    Surroundings& around_;
    Process& process_;
    replication::ReplicatedQueue& queue_;
    const Owner owner_;
    schedule::ScheduleCore core_;
    schedule::Effects effects_;
    bool carrying_out_ = false;
    bool started_ = false;
    bool claiming_ = false;
    bool claim_again_ = false;
    std::optional<BootTime> wake_at_;
    std::optional<BootTime> record_at_;
    std::map<QueueId, Envelope> active_;
    std::multiset<QueueId> again_;  // claimed anew while an attempt under an earlier claim runs
    std::map<QueueId, std::map<std::uint32_t, AttemptNumber>> sent_;  // by attempt of the message
};

}  // namespace posthorse::sim::pool
