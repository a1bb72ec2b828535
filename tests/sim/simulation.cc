#include "tests/sim/simulation.h"

#include <memory>
#include <utility>
#include <vector>

#include "proto/types/assert.h"
#include "storage/queue_record.h"
#include "tests/sim/node.h"

namespace posthorse::sim {
namespace {

using namespace std::chrono_literals;

constexpr Duration trouble_time = 300s;
constexpr Duration patience = 4h;  // for everything to arrive after the trouble
constexpr int messages = 30;

class Simulation {
public:
    Simulation(std::uint64_t seed, Mutant mutant)
        : world_(seed),
          mutant_(mutant),
          remote_(world_),
          history_(world_),
          control_(world_, sim_node(1), with_holder()),
          holder_(world_,
                  sim_node(2),
                  mutant == Mutant::early_ack ? AckHabit::at_once : AckHabit::when_durable) {
        disk_.faults.syncs_lie = mutant == Mutant::no_sync;
    }

    Outcome run() {
        start_node();
        plan();
        world_.run_until(BootTime{trouble_time});
        heal();
        for (Duration waited{}; waited < patience && !finished(); waited += 60s) {
            resume_all();
            world_.run_until(world_.boot() + 60s);
        }
        history_.check_end();
        if (unheard_ > 0) history_.fail(QueueId{}, "a client never got its 250");
        return {history_.violation(), history_.counts()};
    }

private:
    std::optional<NodeId> with_holder() {
        if (mutant_ == Mutant::early_ack || world_.chance(50)) return sim_node(2);
        return std::nullopt;
    }
    bool finished() const { return unheard_ == 0 && history_.all_ended(); }
    bool troubled() const { return !healed_; }
    BootTime some_time() { return BootTime{world_.between(0s, trouble_time - 20s)}; }

    // --- what happens
    void plan() {
        for (int number = 0; number < messages; ++number) {
            unheard_ += 1;
            world_.at(some_time(), [this, number] { send(number); });
        }
        plan_some(6, [this] { kill(); });
        plan_some(12, [this] { change_mood(); });
        plan_some(8, [this] { operate(); });
        plan_some(2, [this] { control_.lose_lease_for(world_.between(100ms, 8s)); });
        plan_some(2, [this] { world_.jump_wall(world_.between(-20s, 20s)); });
        plan_some(1, [this] { holder_.fall_silent(); });
        plan_some(1, [this] { fail_next_sync(); });
        watch_health();
    }
    template <class Event>
    void plan_some(std::uint64_t most, Event event) {
        for (std::uint64_t left = world_.below(most + 1); left > 0; --left)
            world_.at(some_time(), event);
    }

    void heal() {
        healed_ = true;
        remote_.heal();
        disk_.faults.fail_sync.reset();
        if (!node_) start_node();
    }

    // --- clients
    Envelope message(int number) {
        Envelope envelope;
        envelope.sender = "sender" + std::to_string(number) + "@d.example";
        envelope.message_id = "message " + std::to_string(number);
        envelope.chunk_count = static_cast<std::uint32_t>(world_.below(3));
        for (std::uint64_t left = 1 + world_.below(4); left > 0; --left) {
            const std::string name = world_.chance(15) ? "bad" : "user";
            const char domain = static_cast<char>('a' + world_.below(4));
            envelope.recipients.push_back(
                {.address = name + std::to_string(left) + "@" + domain + ".example", .last = {}});
        }
        return envelope;
    }
    // A client without a 250 tries again (RFC 5321 section 4.5.4.1); so does one that heard
    // nothing, which is why it may be sent twice as two messages.
    void send(int number) {
        auto heard = std::make_shared<bool>(false);
        if (node_ && node_->up()) {
            node_->submit(message(number), [this, number, heard](bool accepted) {
                *heard = true;
                if (accepted)
                    unheard_ -= 1;
                else
                    send_later(number);
            });
        }
        world_.after(90s, [this, number, heard] {
            if (!*heard) send(number);
        });
    }
    void send_later(int number) {
        world_.after(world_.between(1s, 10s), [this, number] { send(number); });
    }

    // --- trouble
    void start_node() {
        node_ = std::make_unique<Node>(
            Surroundings{world_, disk_, control_, holder_, remote_, history_},
            mutant_ == Mutant::no_intents ? IntentHabit::forgotten : IntentHabit::recorded);
    }
    void kill() {
        const bool power = mutant_ != Mutant::no_intents && world_.chance(50);
        die(power ? History::Death::power : History::Death::process);
    }
    void fail_next_sync() {
        if (node_ && node_->up()) disk_.faults.fail_sync = disk_.syncs();
    }
    void die(History::Death how) {
        if (!node_) return;
        if (!node_->healthy()) how = History::Death::power;
        node_.reset();
        disk_.faults.fail_sync.reset();
        if (how == History::Death::power) disk_.crash(world_.below(disk_.unsynced_writes() + 1));
        history_.node_died(how);
        world_.after(world_.between(500ms, 5s), [this] {
            if (!node_) start_node();
        });
    }
    // After a failed sync nobody knows what the disk holds: the process ends, the disk may have
    // lost what was not synced.
    void watch_health() {
        if (node_ && !node_->healthy()) die(History::Death::power);
        world_.after(1s, [this] { watch_health(); });
    }
    void change_mood() {
        if (!troubled()) return;
        const std::string destination =
            std::string("mx:") + static_cast<char>('a' + world_.below(4)) + ".example";
        constexpr Mood moods[] = {Mood::well, Mood::deferring, Mood::unreachable};
        remote_.set_mood(destination, moods[world_.below(3)]);
    }

    // --- operators
    // Notices are not removed: that would take the last word on another message away.
    void operate() {
        using replication::Action;
        const std::vector<Envelope> known = listed();
        if (!node_ || !node_->up() || known.empty()) return;
        const Envelope& chosen = known[world_.below(known.size())];
        constexpr Action actions[] = {Action::hold, Action::resume, Action::retry, Action::remove};
        node_->act(chosen.id, actions[world_.below(chosen.sender.empty() ? 3 : 4)]);
    }
    void resume_all() {
        if (!node_ || !node_->up()) return;
        for (const Envelope& envelope : listed())
            if (envelope.held) node_->act(envelope.id, replication::Action::resume);
    }
    // As `queue ls` would show them.
    std::vector<Envelope> listed() const {
        std::vector<Envelope> envelopes;
        const auto scanned = disk_.scan(storage::Family::envelope, {},
                                        [&](std::string_view, std::string_view record) {
                                            if (auto envelope = storage::decode_envelope(record))
                                                envelopes.push_back(*std::move(envelope));
                                            return true;
                                        });
        PH_ASSERT(scanned.has_value());
        return envelopes;
    }

    World world_;
    const Mutant mutant_;
    storage::MemoryDisk disk_;
    Remote remote_;
    History history_;
    SimControl control_;
    SimHolder holder_;
    bool healed_ = false;
    int unheard_ = 0;  // messages whose client waits for its 250
    std::unique_ptr<Node> node_;
};

}  // namespace

std::optional<Mutant> parse_mutant(std::string_view name) {
    if (name == "none") return Mutant::none;
    if (name == "no_sync") return Mutant::no_sync;
    if (name == "early_ack") return Mutant::early_ack;
    if (name == "no_intents") return Mutant::no_intents;
    return std::nullopt;
}

Outcome run(std::uint64_t seed, Mutant mutant) {
    return Simulation(seed, mutant).run();
}

}  // namespace posthorse::sim
