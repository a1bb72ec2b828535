#include "tests/sim/pool/node.h"

#include <utility>

#include "proto/types/assert.h"

namespace posthorse::sim::pool {
namespace {

using namespace std::chrono_literals;

constexpr Duration tick_every = 100ms;
constexpr Duration lifetime = 96h;
constexpr Duration poll_every = 100ms;

}  // namespace

Chunk text_of(const Envelope& envelope, std::uint32_t index) {
    return make_chunk(envelope.message_id + "/" + std::to_string(index));
}

Node::Node(Surroundings& around, Place place)
    : around_(around),
      place_(std::move(place)),
      process_(around.world),
      home_(process_),
      disk_(process_, place_.pace) {
    open_store();
    open_control();
    open_queue();
}

// Nothing that it posted runs any more: its parts go in whatever state they are.
Node::~Node() {
    control_->lose_power_or_not();
    const auto counters = queue_->counters();
    around_.counts.in_doubt += counters.in_doubt;
    around_.counts.mended += counters.mended;
    process_.end();
    around_.history.process_ended(place_.number);
}

void Node::open_store() {
    auto opened = storage::open_memory_store(place_.queue, home_, disk_);
    PH_ASSERT(opened.has_value());
    store_ = *std::move(opened);
}

void Node::open_control() {
    control_ = std::make_unique<SimControl>(
        SimControl::Ports{.process = process_,
                          .clock = place_.clock,
                          .disk = place_.pace,
                          .record = place_.record,
                          .send =
                              [this](replication::Outgoing message) {
                                  around_.network.send(place_.machine, std::move(message));
                              },
                          .look = place_.look,
                          .probe = [this](Completion<> done) { store_->probe(std::move(done)); },
                          .notice =
                              [this](const std::string& what) {
                                  around_.journal.note(place_.name + ": " + what);
                              },
                          .stepped = [this] { around_.overseer.stepped(*control_); },
                          .stranger = place_.stranger},
        place_.control);
    streams_ = std::make_unique<SimStreams>(
        around_.streams, process_,
        SimStreams::Setup{
            .machine = place_.machine,
            .address = place_.control.facts.address,
            .header = [this](NodeId to) { return control_->header(to); },
            .accepts =
                [this](const replication::Header& header) { return control_->accepts(header); }});
}

void Node::open_queue() {
    auto settings = around_.queue;
    settings.random = [this] { return static_cast<std::uint32_t>(around_.world.random()); };
    queue_ = std::make_unique<replication::ReplicatedQueue>(place_.clock, *store_, *control_,
                                                            *streams_, home_, std::move(settings));
    courier_ = std::make_unique<Courier>(
        around_, process_, *queue_,
        Courier::Owner{place_.number, place_.name, place_.clock, *control_});
}

void Node::start() {
    queue_->start([this](const Result<void>& started) {
        up_ = started.has_value();
        around_.journal.note(place_.name + (up_ ? " is up" : ": " + started.error().what));
        if (up_) courier_->start();
    });
    tick();
}

void Node::tick() {
    queue_->tick();
    judge_draining();
    process_.after(tick_every, [this] { tick(); });
}

// What an operator drains finishes what it sends, and sends nothing more until he resumes it.
void Node::judge_draining() {
    const auto* own = control_->core().committed().member(control_->self());
    const bool drains = own != nullptr && own->draining;
    if (leaving_ || !up_ || std::exchange(draining_, drains) == drains) return;
    around_.journal.note(place_.name + (drains ? " drains" : " goes on"));
    drains ? courier_->stop() : courier_->go_on();
}

void Node::receive(const replication::Outgoing& message) {
    process_.run([this, message] { control_->receive(message); });
}

// ------------------------------------------------------------------ accepting

void Node::submit(Envelope envelope, std::uint32_t copies, Heard heard) {
    queue_->begin(100, copies,
                  [this, envelope = std::move(envelope),
                   heard = std::move(heard)](Result<QueueId> id) mutable {
                      if (!id) return heard(false);
                      const auto now = place_.clock.wall();
                      envelope.id = *id;
                      envelope.accepted_at = envelope.due_at = now;
                      const bool soon = envelope.expires_at != WallTime{};
                      envelope.expires_at = now + (soon ? Duration{20s} : lifetime);
                      envelope.warn_at = never;
                      envelope.history.push_back({now, control_->self(), "accepted"});
                      append(envelope, 1, std::make_shared<Heard>(std::move(heard)));
                  });
}

void Node::append(const Envelope& envelope, std::uint32_t index, std::shared_ptr<Heard> heard) {
    if (index > envelope.chunk_count) return commit(envelope, std::move(heard));
    queue_->append(envelope.id, index, text_of(envelope, index),
                   [this, envelope, index, heard](const Result<void>& stored) {
                       if (!stored) {
                           queue_->abort(envelope.id);
                           return (*heard)(false);
                       }
                       const bool slow = around_.world.chance(25);
                       process_.after(around_.world.between(0ms, slow ? 4s : 20ms),
                                      [=, this] { append(envelope, index + 1, heard); });
                   });
}

void Node::commit(const Envelope& envelope, std::shared_ptr<Heard> heard) {
    around_.history.committing(envelope, place_.number, place_.name);
    queue_->commit(envelope, text_of(envelope, 0),
                   [this, envelope, heard](const Result<void>& committed) {
                       if (!committed) {
                           const bool unknown = committed.error().code == Errc::unknown;
                           around_.history.refused(envelope.id, unknown);
                           return (*heard)(false);
                       }
                       accepted(envelope);
                       (*heard)(true);
                   });
}

void Node::accepted(const Envelope& envelope) {
    around_.history.accepted(envelope, around_.overseer.custody(envelope));
    Envelope claimed = envelope;
    claimed.version = 1;
    courier_->offer(std::move(claimed));
}

void Node::act(QueueId id, replication::Action action) {
    constexpr const char* names[] = {"retry", "hold", "resume", "remove"};
    around_.history.tell(id,
                         std::string("an operator: ") + names[static_cast<std::size_t>(action)]);
    const bool removes = action == replication::Action::remove;
    if (removes) around_.history.removing(id);
    queue_->act(id, action, "simulated", [this, id, removes](const Result<Envelope>& acted) {
        if (acted && removes) around_.history.removed(id);
    });
}

// ------------------------------------------------------------------ leaving

void Node::leave(Duration patience, UniqueFunction<void(bool)> gone) {
    leaving_ = true;
    control_->propose(replication::SetDraining{control_->self(), true}, [](Result<void>) {});
    queue_->hurry();
    courier_->stop();
    queue_->stop_accepting();
    go_on_leaving(place_.clock.boot() + patience,
                  std::make_shared<UniqueFunction<void(bool)>>(std::move(gone)));
}

void Node::go_on_leaving(BootTime until, std::shared_ptr<UniqueFunction<void(bool)>> gone) {
    const bool ready = queue_->all_copied() && queue_->idle() && !queue_->will_be_asked();
    if (!ready && place_.clock.boot() < until)
        return process_.after(poll_every, [=, this] { go_on_leaving(until, gone); });
    const bool all = !queue_->is_last_holder();
    control_->leave([this, gone, all](const Result<void>&) {
        (*gone)(all && !queue_->is_last_holder() &&
                !queue_->has_mail_of(control_->core().left_with()));
    });
}

}  // namespace posthorse::sim::pool
