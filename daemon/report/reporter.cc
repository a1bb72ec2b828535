#include "daemon/report/reporter.h"

#include "daemon/report/history.h"
#include "daemon/runtime/log.h"

namespace posthorse::report {
namespace {

namespace log = runtime::log;
using mail::DsnKind;

constexpr const char* notices_name = "posthorse_notices_total";
constexpr const char* notices_help = "Notices queued for senders.";

const char* event_of(DsnKind kind) {
    switch (kind) {
        case DsnKind::failed:
            return "bounced";
        case DsnKind::delayed:
            return "delay_warned";
        case DsnKind::delivered:
            return "delivery_told";
        case DsnKind::relayed:
            break;
    }
    return "relay_told";
}

}  // namespace

// One message on its way to be settled: decided, then its notices are written and signed, one after
// the other, then it is stored.
class Reporter::Settling {
public:
    Ended ended;
    Decision decision;
    std::vector<DsnKind> owed;  // notices that are not signed yet, the next one last
    std::vector<NewMessage> notices;
    std::vector<DsnKind> written;  // the kinds of the notices
    std::size_t attempted = 0;     // so many of the outcomes are of attempts
    UniqueFunction<void(Result<void>)> done;
    // A notice cannot be signed. The message is as it was, and claimed.
    UniqueFunction<void(Reporter&, std::shared_ptr<Settling>, const Error&)> when_unsigned;

    static std::shared_ptr<Settling> make(Ended ended, Decision decision) {
        auto made = std::make_shared<Settling>();
        made->attempted = ended.outcomes.size();
        made->ended = std::move(ended);
        made->decision = std::move(decision);
        for (const auto kind :
             {DsnKind::relayed, DsnKind::delivered, DsnKind::delayed, DsnKind::failed}) {
            if (!owed_for(kind, made->decision).empty()) made->owed.push_back(kind);
        }
        return made;
    }

    QueueId id() const { return ended.envelope.id; }

    static void read_head(Reporter& reporter, std::shared_ptr<Settling> self);
    static void sign_next(Reporter& reporter, std::shared_ptr<Settling> self, Chunk head);
    static void store(Reporter& reporter, std::shared_ptr<Settling> self);
    // The failures wait until the sender can be told.
    static void postpone(Reporter& reporter, std::shared_ptr<Settling> self);

private:
    void log_attempts(const Reporter& reporter) const;
    std::vector<HistoryEvent> events(const Reporter& reporter) const;
    void tell(const Reporter& reporter, const Error& error) const;
    void stored(Reporter& reporter, Result<void> result);
};

void Reporter::Settling::read_head(Reporter& reporter, std::shared_ptr<Settling> self) {
    const auto id = self->id();
    reporter.queue_.chunk(
        id, 0, [weak = std::weak_ptr(reporter.alive_), self](Result<Chunk> head) mutable {
            const auto alive = weak.lock();
            if (!alive) return;
            if (!head) {
                log::warning("notice_without_header",
                             {{"id", self->id().to_string()}, {"why", head.error().what}});
            }
            sign_next(**alive, std::move(self), head ? *head : make_chunk({}));
        });
}

void Reporter::Settling::sign_next(Reporter& reporter, std::shared_ptr<Settling> self, Chunk head) {
    if (self->owed.empty()) return store(reporter, std::move(self));
    const auto& settings = reporter.settings_.notices;
    const auto now = reporter.clock_.wall();
    const auto text = make_chunk(
        notice_text(self->owed.back(), self->ended.envelope, self->decision, *head, settings, now));
    reporter.sign_(
        mailer_daemon(settings.host_name), text,
        [weak = std::weak_ptr(reporter.alive_), self, head, text,
         now](Result<std::string> signature) mutable {
            const auto alive = weak.lock();
            if (!alive) return;
            auto& living = **alive;
            if (!signature) {
                self->tell(living, signature.error());
                auto& give_up = self->when_unsigned;
                return give_up(living, self, signature.error());
            }
            auto& notice = self->notices.emplace_back(make_notice(
                self->ended.envelope, std::move(*signature), *text, living.settings_.notices, now));
            notice.envelope.history.push_back(
                {now, living.settings_.node, "notice about " + self->id().to_string()});
            self->written.push_back(self->owed.back());
            self->owed.pop_back();
            sign_next(living, std::move(self), std::move(head));
        });
}

void Reporter::Settling::store(Reporter& reporter, std::shared_ptr<Settling> self) {
    self->log_attempts(reporter);
    replication::Settlement settlement{.id = self->id(),
                                       .outcomes = self->decision.outcomes,
                                       .next_due = self->ended.next_due,
                                       .end = self->ended.end,
                                       .notices = std::move(self->notices),
                                       .warned = self->decision.warned,
                                       .ended_attempts = self->ended.ended_attempts,
                                       .events = self->events(reporter),
                                       .goes_on = self->ended.goes_on,
                                       .hold_why = self->decision.hold_why};
    reporter.queue_.settle(std::move(settlement),
                           [weak = std::weak_ptr(reporter.alive_), self](Result<void> result) {
                               const auto alive = weak.lock();
                               if (alive) self->stored(**alive, std::move(result));
                           });
}

void Reporter::Settling::postpone(Reporter& reporter, std::shared_ptr<Settling> self) {
    auto outcomes = postpone_failures(self->ended.outcomes);
    self->decision = {};
    self->decision.outcomes = std::move(outcomes);
    self->notices.clear();
    self->written.clear();
    self->ended.next_due = reporter.clock_.wall() + reporter.settings_.unsigned_retry;
    store(reporter, std::move(self));
}

void Reporter::Settling::log_attempts(const Reporter& reporter) const {
    for (std::size_t i = 0; i < attempted; ++i) {
        const auto& outcome = decision.outcomes[i];
        reporter.log_line_(delivery_line(ended.envelope, outcome, reporter.settings_.addresses));
        if (!outcome.status.reply_lost) continue;
        log::info("in_doubt", {{"id", id().to_string()}, {"relay", outcome.status.remote}});
    }
}

std::vector<HistoryEvent> Reporter::Settling::events(const Reporter& reporter) const {
    const auto& node = reporter.settings_.node;
    auto events =
        attempt_events(ended.envelope, std::span(decision.outcomes).first(attempted), node);
    const auto told = notice_events(decision, node, reporter.clock_.wall());
    events.insert(events.end(), told.begin(), told.end());
    return events;
}

void Reporter::Settling::tell(const Reporter& reporter, const Error& error) const {
    auto unsigned_notices = reporter.unsigned_;
    unsigned_notices.add();
    log::error("notice_not_signed", {{"id", id().to_string()}, {"why", error.what}});
}

void Reporter::Settling::stored(Reporter& reporter, Result<void> result) {
    if (!result) {
        log::error("settle_failed", {{"id", id().to_string()}, {"why", result.error().what}});
        return done(std::move(result));
    }
    const bool masked = reporter.settings_.addresses == Addresses::masked;
    const auto& sender = ended.envelope.sender;
    for (const auto kind : written) {
        reporter.count(kind);
        log::info(event_of(kind),
                  {{"id", id().to_string()}, {"sender", masked ? mask_addresses(sender) : sender}});
    }
    done({});
}

Reporter::Reporter(const Clock& clock,
                   replication::ReplicatedQueue& queue,
                   runtime::Metrics& metrics,
                   Sign sign,
                   LogLine log_line,
                   Settings settings)
    : clock_(clock),
      queue_(queue),
      sign_(std::move(sign)),
      log_line_(std::move(log_line)),
      settings_(std::move(settings)),
      bounces_(metrics.counter(notices_name, notices_help, {{"kind", "bounce"}})),
      warnings_(metrics.counter(notices_name, notices_help, {{"kind", "delay_warning"}})),
      relays_(metrics.counter(notices_name, notices_help, {{"kind", "relay"}})),
      deliveries_(metrics.counter(notices_name, notices_help, {{"kind", "delivery"}})),
      unsigned_(metrics.counter("posthorse_notices_unsigned_total",
                                "Notices put off because they could not be signed.")),
      alive_(std::make_shared<Reporter*>(this)) {}

Reporter::~Reporter() = default;

void Reporter::count(DsnKind kind) {
    switch (kind) {
        case DsnKind::failed:
            return bounces_.add();
        case DsnKind::delayed:
            return warnings_.add();
        case DsnKind::relayed:
            return relays_.add();
        case DsnKind::delivered:
            return deliveries_.add();
    }
}

void Reporter::run(std::shared_ptr<Settling> settling) {
    if (settling->owed.empty()) return Settling::store(*this, std::move(settling));
    Settling::read_head(*this, std::move(settling));
}

void Reporter::settle(Ended ended, UniqueFunction<void()> done) {
    auto decision = decide(ended, clock_.wall(), settings_.in_doubt);
    auto settling = Settling::make(std::move(ended), std::move(decision));
    settling->done = [done = std::move(done)](Result<void>) mutable { done(); };
    settling->when_unsigned = [](Reporter& reporter, std::shared_ptr<Settling> self, const Error&) {
        Settling::postpone(reporter, std::move(self));
    };
    run(std::move(settling));
}

void Reporter::bounce(QueueId id, std::string why, Completion<> done) {
    queue_.claim_one(id, [weak = std::weak_ptr(alive_), why = std::move(why),
                          done = std::move(done)](Result<Envelope> claimed) mutable {
        const auto alive = weak.lock();
        if (!alive) return done(Error{Errc::cancelled, "the node stops"});
        if (!claimed) return done(claimed.error());
        auto& self = **alive;
        const Reply reason{
            0, {5, 0, 0}, "bounced by operator" + (why.empty() ? "" : ": " + sanitise(why))};
        auto decision = fail_all(*claimed, reason, self.clock_.wall());
        auto settling = Settling::make({.envelope = std::move(*claimed)}, std::move(decision));
        settling->done = std::move(done);
        settling->when_unsigned = [](Reporter& reporter, std::shared_ptr<Settling> unchanged,
                                     const Error& error) {
            reporter.queue_.park(unchanged->id(), unchanged->ended.envelope.due_at);
            unchanged->done(Error{
                Errc::unavailable,
                "the notice to the sender cannot be signed, nothing was changed: " + error.what});
        };
        self.run(std::move(settling));
    });
}

void Reporter::bounce_in_doubt(Envelope claimed) {
    const Reply reason{
        0,
        {5, 4, 2},
        "the end of an attempt is not known; it may have been delivered, and is not tried again"};
    const auto now = clock_.wall();
    auto decision = fail_doubtful(claimed, reason, now);
    std::vector<std::uint32_t> attempts;
    for (const auto& doubt : claimed.doubts) attempts.push_back(doubt.attempt);
    auto settling = Settling::make(
        {.envelope = std::move(claimed), .ended_attempts = std::move(attempts), .next_due = now},
        std::move(decision));
    settling->done = [](Result<void>) {};
    settling->when_unsigned = [](Reporter& reporter, std::shared_ptr<Settling> self, const Error&) {
        reporter.queue_.park(self->id(), self->ended.envelope.due_at);
        reporter.queue_.act(self->id(), replication::Action::hold,
                            "in doubt, and the bounce cannot be signed", [](Result<Envelope>) {});
    };
    run(std::move(settling));
}

}  // namespace posthorse::report
