#include "daemon/report/reporter.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "storage/memory_store.h"
#include "tests/unit/daemon/report/samples.h"
#include "tests/unit/replication/fake_pool.h"
#include "tests/unit/support/manual_clock.h"
#include "tests/unit/support/manual_executor.h"

using namespace posthorse;
using namespace posthorse::report;
using namespace posthorse::tests;
using namespace std::chrono_literals;
using replication::InDoubtPolicy;

namespace {

constexpr std::string_view original =
    "From: ann@example.org\r\nSubject: the original\r\n\r\nhello\r\n";

// A reporter over the real queue, on a disk in memory.
struct Stage {
    explicit Stage(InDoubtPolicy in_doubt = InDoubtPolicy::resend) {
        store = storage::open_memory_store(disk, home, home).value();
        replication::ReplicatedQueue::Settings settings;
        settings.random = [] { return 0u; };
        queue = std::make_unique<replication::ReplicatedQueue>(clock, *store, control, peers, home,
                                                               settings);
        queue->start([](Result<void> result) { REQUIRE(result.has_value()); });
        home.run();
        reporter = std::make_unique<Reporter>(
            clock, *queue, metrics,
            [this](std::string from, Chunk message, Completion<std::string> done) {
                sign(std::move(from), std::move(message), std::move(done));
            },
            [this](const std::string& line) { lines.push_back(line); },
            Reporter::Settings{
                .notices = {"mail.example.org", 48h}, .node = test_node(1), .in_doubt = in_doubt});
    }
    ~Stage() { home.run(); }

    void sign(std::string from, Chunk message, Completion<std::string> done) {
        asked_to_sign.push_back(std::move(from));
        Result<std::string> answer =
            std::string("DKIM-Signature: of ") + std::to_string(message->size()) + " bytes\r\n";
        if (!can_sign) answer = Error{Errc::unavailable, "key gone"};
        home.post([done = std::move(done), answer]() mutable { done(std::move(answer)); });
    }

    // A message in the queue, claimed as at birth.
    Envelope accept(std::vector<std::string> recipients, std::string sender = "ann@example.org") {
        auto envelope = sample_envelope(std::move(recipients));
        envelope.sender = std::move(sender);
        envelope.accepted_at = envelope.due_at = clock.wall();
        envelope.expires_at = clock.wall() + 96h;
        envelope.warn_at = clock.wall() + 4h;
        queue->begin(0, 0, [&](Result<QueueId> id) { envelope.id = id.value(); });
        bool committed = false;
        queue->commit(envelope, make_chunk(std::string(original)),
                      [&](Result<void> result) { committed = result.has_value(); });
        home.run();
        REQUIRE(committed);
        envelope.version = 1;
        return envelope;
    }

    void settle(const Envelope& envelope, std::vector<RecipientOutcome> outcomes) {
        int settled = 0;
        reporter->settle({envelope, std::move(outcomes), {1}, clock.wall() + 5min},
                         [&] { ++settled; });
        home.run();
        queue->tick();
        home.run();
        CHECK(settled == 1);
    }

    std::vector<Envelope> all() {
        std::vector<Envelope> found;
        queue->list({}, 100, [&](Result<std::vector<Envelope>> page) { found = page.value(); });
        home.run();
        return found;
    }
    // The notices in the queue, oldest first.
    std::vector<Envelope> notices() {
        auto found = all();
        std::erase_if(found, [](const Envelope& one) { return one.origin.listener != "bounce"; });
        return found;
    }
    std::optional<Envelope> find(QueueId id) {
        std::optional<Envelope> found;
        queue->find(id, [&](Result<Envelope> result) {
            if (result) found = *result;
        });
        home.run();
        return found;
    }
    std::string text(QueueId id) {
        std::string bytes;
        queue->chunk(id, 0, [&](Result<Chunk> chunk) { bytes = *chunk.value(); });
        home.run();
        return bytes;
    }
    Result<void> bounce(QueueId id, std::string why = "by test") {
        std::optional<Result<void>> answer;
        reporter->bounce(id, std::move(why),
                         [&](Result<void> result) { answer = std::move(result); });
        home.run();
        return answer.value();
    }
    std::vector<Envelope> claim() {
        std::vector<Envelope> found;
        queue->claim(100, [&](Result<std::vector<Envelope>> result) { found = result.value(); });
        home.run();
        return found;
    }
    // `id` as claimed with all that is due.
    Envelope claimed(QueueId id) {
        const auto due = claim();
        const auto found =
            std::find_if(due.begin(), due.end(), [&](const Envelope& one) { return one.id == id; });
        REQUIRE(found != due.end());
        return *found;
    }
    Envelope give_back(const Envelope& envelope) {
        queue->park(envelope.id, clock.wall() + 10min);
        home.run();
        return find(envelope.id).value();
    }

    // Later: what was in memory since it was accepted is not any more.
    Envelope claim_again(const Envelope& envelope) {
        give_back(envelope);
        clock.advance(10min);
        std::vector<Envelope> claimed;
        queue->claim(1, [&](Result<std::vector<Envelope>> found) { claimed = found.value(); });
        home.run();
        REQUIRE(claimed.size() == 1);
        return claimed.front();
    }

    // Behind the store's back.
    void lose_all_bodies() {
        std::vector<std::string> keys;
        const auto scanned = disk.scan(storage::Family::body, {}, [&](std::string_view key, auto) {
            keys.emplace_back(key);
            return true;
        });
        REQUIRE(scanned.has_value());
        for (auto& key : keys) disk.damage({storage::Family::body, std::move(key), nullptr});
    }

    ManualExecutor home;
    ManualClock clock;
    storage::MemoryDisk disk;
    LoneControl control{home};
    replication::NoPeers peers;
    std::unique_ptr<storage::QueueStore> store;
    std::unique_ptr<replication::ReplicatedQueue> queue;
    runtime::Metrics metrics;
    bool can_sign = true;
    std::vector<std::string> asked_to_sign;
    std::vector<std::string> lines;
    std::unique_ptr<Reporter> reporter;
};

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("what is delivered goes from the queue with one line a recipient") {
    Stage stage;
    const auto message = stage.accept({"bob@example.net", "carl@example.net"});
    stage.settle(message, {delivered(0), delivered(1)});
    CHECK(stage.all().empty());
    REQUIRE(stage.lines.size() == 2);
    CHECK(has(stage.lines[0], "to=<bob@example.net>"));
    CHECK(has(stage.lines[1], "stat=Sent (250 2.0.0 ok)"));
    CHECK(stage.asked_to_sign.empty());
}

TEST_CASE("what is deferred waits for its next time") {
    Stage stage;
    const auto message = stage.accept({"bob@example.net", "carl@example.net"});
    stage.settle(message, {delivered(0), deferred(1)});
    const auto after = stage.find(message.id);
    REQUIRE(after.has_value());
    CHECK(after->recipients[0].state == RecipientState::delivered);
    CHECK(after->recipients[1].state == RecipientState::pending);
    CHECK(after->recipients[1].last.reply.code == 450);
    CHECK(after->due_at == stage.clock.wall() + 5min);
    CHECK(stage.notices().empty());
}

TEST_CASE("what attempts and notices were stands in the history, also of a notice") {
    Stage stage;
    const auto message = stage.accept({"bob@example.net", "carl@example.net", "dora@example.net"});
    stage.settle(message, {deferred(0), failed(1), deferred(2)});
    const auto after = stage.find(message.id);
    REQUIRE(after.has_value());
    REQUIRE(after->history.size() == 3);
    CHECK(after->history[0].what ==
          "attempt 1 at mx.example.net[192.0.2.1]:25, TLSv1.3 TLS_AES_256_GCM_SHA384: "
          "450 4.2.0 try later (2 recipients)");
    CHECK(has(after->history[1].what, "550 5.1.1 no such user (1 recipient)"));
    CHECK(after->history[2].what == "its sender is told: failed for 1 recipient");
    CHECK(after->history[2].node == test_node(1));
    const auto notices = stage.notices();
    REQUIRE(notices.size() == 1);
    const auto& notice = notices[0];
    REQUIRE(notice.history.size() == 1);
    CHECK(notice.history[0].what == "notice about " + message.id.to_string());
    CHECK(notice.history[0].node == test_node(1));
}

TEST_CASE("a bounce is in the queue when its cause is gone, signed and from nobody") {
    Stage stage;
    const auto message = stage.accept({"bob@example.net", "carl@example.net"});
    stage.settle(message, {failed(0), delivered(1)});
    CHECK_FALSE(stage.find(message.id).has_value());
    const auto notices = stage.notices();
    REQUIRE(notices.size() == 1);
    const auto& notice = notices[0];
    CHECK(notice.sender.empty());
    REQUIRE(notice.recipients.size() == 1);
    CHECK(notice.recipients[0].address == "ann@example.org");
    CHECK(notice.expires_at == stage.clock.wall() + 48h);
    CHECK(notice.warn_at == never);
    CHECK(notice.chunk_count == 0);
    CHECK(stage.asked_to_sign == std::vector<std::string>{"MAILER-DAEMON@mail.example.org"});

    const auto text = stage.text(notice.id);
    CHECK(text.size() == notice.size_bytes);
    CHECK(text.starts_with("DKIM-Signature: of "));
    CHECK(has(text, "Final-Recipient: rfc822; bob@example.net"));
    CHECK_FALSE(has(text, "carl@example.net"));
    CHECK(has(text, "Subject: the original"));
    CHECK(has(text, message.id.to_string()));
    REQUIRE(stage.claim().size() == 1);  // and it is due
    CHECK(has(stage.metrics.text(), "posthorse_notices_total{kind=\"bounce\"} 1"));
}

TEST_CASE("a bounce that fails ends without another") {
    Stage stage;
    const auto message = stage.accept({"bob@example.net"}, "");
    stage.settle(message, {failed(0)});
    CHECK(stage.all().empty());
    CHECK(stage.asked_to_sign.empty());
}

TEST_CASE("the sender is warned once, and told at the end") {
    Stage stage;
    auto message = stage.accept({"bob@example.net"});
    stage.clock.advance(4h);
    stage.settle(message, {deferred(0)});
    REQUIRE(stage.notices().size() == 1);
    const auto warning = stage.notices()[0];
    CHECK(has(stage.text(warning.id), "Action: delayed"));
    CHECK(stage.find(message.id)->warn_at == never);

    stage.clock.advance(1h);
    message = stage.claimed(message.id);
    stage.settle(message, {deferred(0)});
    CHECK(stage.notices().size() == 1);

    stage.clock.advance(96h);
    message = stage.claimed(message.id);
    stage.settle(message, {deferred(0)});
    CHECK_FALSE(stage.find(message.id).has_value());
    REQUIRE(stage.notices().size() == 2);
    CHECK(has(stage.text(stage.notices()[1].id), "Action: failed"));
    CHECK(has(stage.lines.back(), "dsn=5.4.7, stat=Expired (450 4.2.0 try later)"));
    CHECK(has(stage.metrics.text(), "posthorse_notices_total{kind=\"delay_warning\"} 1"));
}

TEST_CASE("a bounce and a warning of one report have texts of their own") {
    Stage stage;
    const auto message = stage.accept({"bob@example.net", "carl@example.net"});
    stage.clock.advance(4h);
    stage.settle(message, {failed(0), deferred(1)});
    const auto notices = stage.notices();
    REQUIRE(notices.size() == 2);
    std::map<std::string, std::string> by_action;
    for (const auto& notice : notices) {
        const auto text = stage.text(notice.id);
        by_action[has(text, "Action: failed") ? "failed" : "delayed"] = text;
    }
    REQUIRE(by_action.size() == 2);
    CHECK(has(by_action["failed"], "bob@example.net"));
    CHECK(has(by_action["delayed"], "carl@example.net"));
    const auto message_id = [](const std::string& text) {
        const auto at = text.find("Message-ID: ");
        return text.substr(at, text.find('\r', at) - at);
    };
    CHECK(message_id(by_action["failed"]) != message_id(by_action["delayed"]));
}

TEST_CASE("a notice that cannot be signed is not sent, and its failures wait with it") {
    Stage stage;
    auto message = stage.accept({"bob@example.net", "carl@example.net", "dora@example.net"});
    stage.can_sign = false;
    stage.settle(message, {failed(0), delivered(1), deferred(2)});
    CHECK(stage.notices().empty());
    const auto after = stage.find(message.id);
    REQUIRE(after.has_value());
    CHECK(after->recipients[0].state == RecipientState::pending);
    CHECK(after->recipients[0].last.reply.code == 550);
    CHECK(after->recipients[1].state == RecipientState::delivered);
    CHECK(after->due_at == stage.clock.wall() + 15min);
    CHECK(has(stage.metrics.text(), "posthorse_notices_unsigned_total 1"));

    stage.can_sign = true;
    stage.clock.advance(15min);
    REQUIRE(stage.claim().size() == 1);
    stage.settle(*after, {failed(0), failed(2)});
    CHECK_FALSE(stage.find(message.id).has_value());
    CHECK(stage.notices().size() == 1);
}

TEST_CASE("an expired message without a signature for its bounce is not lost") {
    Stage stage;
    const auto message = stage.accept({"bob@example.net", "carl@example.net"});
    stage.clock.advance(97h);
    stage.can_sign = false;
    stage.settle(message, {deferred(0)});
    const auto after = stage.find(message.id);
    REQUIRE(after.has_value());
    CHECK(after->recipients[0].state == RecipientState::pending);
    CHECK(after->recipients[1].state == RecipientState::pending);
    CHECK(after->warn_at == message.warn_at);
}

TEST_CASE("a header that cannot be read is left out of the notice") {
    Stage stage;
    const auto message = stage.claim_again(stage.accept({"bob@example.net"}));
    stage.lose_all_bodies();
    bool settled = false;
    stage.reporter->settle({message, {failed(0)}, {1}, {}}, [&] { settled = true; });
    stage.home.run();
    CHECK(settled);
    REQUIRE(stage.notices().size() == 1);
    const auto text = stage.text(stage.notices()[0].id);
    CHECK(has(text, "bob@example.net"));
    CHECK_FALSE(has(text, "the original"));
}

TEST_CASE("an operator's bounce fails what is pending and tells the sender") {
    Stage stage;
    const auto message = stage.give_back(stage.accept({"bob@example.net", "carl@example.net"}));
    REQUIRE(stage.bounce(message.id, "spam\r\nrun").has_value());
    CHECK_FALSE(stage.find(message.id).has_value());
    REQUIRE(stage.notices().size() == 1);
    const auto text = stage.text(stage.notices()[0].id);
    CHECK(has(text, "Status: 5.0.0"));
    CHECK(has(text, "bounced by operator: spam run"));
    CHECK(has(text, "carl@example.net"));
    CHECK(stage.lines.empty());  // no attempt, no line of one
}

TEST_CASE("an operator's bounce that cannot be done changes nothing") {
    Stage stage;
    const auto claimed = stage.accept({"bob@example.net"});
    CHECK(stage.bounce(claimed.id).error().code == Errc::conflict);
    const auto message = stage.give_back(claimed);
    stage.can_sign = false;
    CHECK(stage.bounce(message.id).error().code == Errc::unavailable);
    CHECK(stage.find(message.id) == message);
    CHECK(stage.bounce(QueueId{}).error().code == Errc::not_found);
    stage.can_sign = true;
    CHECK(stage.bounce(message.id).has_value());  // the claim was given back
}

TEST_CASE("an attempt in doubt is held or bounced when the policy says so") {
    Stage hold(InDoubtPolicy::hold);
    const auto held = hold.accept({"bob@example.net"});
    hold.settle(held, {lost(0)});
    CHECK(hold.find(held.id)->held);
    CHECK(has(hold.find(held.id)->held_why, "in doubt"));

    Stage bounce(InDoubtPolicy::bounce);
    const auto gone = bounce.accept({"bob@example.net"});
    bounce.settle(gone, {lost(0)});
    CHECK_FALSE(bounce.find(gone.id).has_value());
    CHECK(bounce.notices().size() == 1);
}

TEST_CASE("what is in doubt at a start is bounced, or held without a signature") {
    Stage stage;
    const auto in_doubt = [&stage] {
        auto message = stage.accept({"bob@example.net"});
        message.doubts = {{.attempt = 1, .recipients = {0}, .remote = "mx"}};
        return message;
    };
    const auto message = in_doubt();
    stage.reporter->bounce_in_doubt(message);
    stage.home.run();
    CHECK_FALSE(stage.find(message.id).has_value());
    REQUIRE(stage.notices().size() == 1);
    CHECK(has(stage.text(stage.notices()[0].id), "may have been delivered"));

    const auto other = in_doubt();
    stage.can_sign = false;
    stage.reporter->bounce_in_doubt(other);
    stage.home.run();
    CHECK(stage.find(other.id)->held);
}

TEST_CASE("a store that fails is told, and the caller goes on") {
    Stage stage;
    const auto message = stage.accept({"bob@example.net"});
    stage.disk.faults.fail_sync = stage.disk.syncs();
    stage.settle(message, {delivered(0)});
    CHECK(stage.lines.size() == 1);
}

TEST_CASE("a reporter that is gone leaves what comes later alone") {
    Stage stage;
    const auto message = stage.accept({"bob@example.net"});
    bool settled = false;
    stage.reporter->settle({message, {failed(0)}, {1}, {}}, [&] { settled = true; });
    stage.reporter.reset();
    stage.home.run();
    CHECK_FALSE(settled);
    CHECK(stage.find(message.id).has_value());
}

TEST_CASE("a relay that its sender wants to hear of is told in the same step") {
    Stage stage;
    auto message = stage.accept({"bob@example.net", "carl@example.net"});
    message.recipients[0].wishes.notify = {.said = true, .success = true};
    stage.settle(message, {delivered(0), deferred(1)});
    const auto notices = stage.notices();
    REQUIRE(notices.size() == 1);
    CHECK(has(stage.text(notices[0].id), "Action: relayed\r\nStatus: 2.0.0\r\n"));
    CHECK(stage.find(message.id)->recipients[0].state == RecipientState::delivered);
    CHECK(has(stage.find(message.id)->history.back().what, "handed on for 1 recipient"));
}

TEST_CASE("relay and delivery are told apart, each by a notice of its own") {
    Stage stage;
    auto message = stage.accept({"bob@example.net", "carol@example.net"});
    for (auto& one : message.recipients) one.wishes.notify = {.said = true, .success = true};
    auto at_home = delivered(1);
    at_home.status.final_delivery = true;
    stage.settle(message, {delivered(0), at_home});
    const auto notices = stage.notices();
    REQUIRE(notices.size() == 2);
    std::string texts;
    for (const auto& notice : notices) texts += stage.text(notice.id);
    CHECK(has(texts, "Final-Recipient: rfc822; bob@example.net\r\nAction: relayed\r\n"));
    CHECK(has(texts, "Final-Recipient: rfc822; carol@example.net\r\nAction: delivered\r\n"));
}

TEST_CASE("who wants no notice gets none, and the message goes all the same") {
    Stage stage;
    auto message = stage.accept({"bob@example.net"});
    message.recipients[0].wishes.notify = {.said = true};
    stage.settle(message, {failed(0)});
    CHECK(stage.all().empty());
    CHECK(stage.asked_to_sign.empty());
}
