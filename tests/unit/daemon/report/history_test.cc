#include "daemon/report/history.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/report/samples.h"
#include "tests/unit/replication/core/test_pool.h"

using namespace posthorse;
using namespace posthorse::report;
using tests::test_node;

namespace {

std::vector<std::string> texts(const std::vector<HistoryEvent>& events) {
    std::vector<std::string> what;
    for (const auto& event : events) what.push_back(event.what);
    return what;
}

using Texts = std::vector<std::string>;

TEST_CASE("an attempt is one line for each reply of a server, with how many recipients got it") {
    auto envelope = sample_envelope({"a@x", "b@x", "c@x"});
    for (auto& recipient : envelope.recipients) recipient.attempts = 2;
    const std::vector outcomes{delivered(0), failed(1), delivered(2)};
    const auto events = attempt_events(envelope, outcomes, test_node(3));
    const std::string at =
        "attempt 3 at mx.example.net[192.0.2.1]:25, TLSv1.3 TLS_AES_256_GCM_SHA384: ";
    CHECK(texts(events) ==
          Texts{at + "250 2.0.0 ok (2 recipients)", at + "550 5.1.1 no such user (1 recipient)"});
    CHECK(events[0].node == test_node(3));
    CHECK(events[0].at == outcomes[0].status.at);
}

TEST_CASE("servers, encryption and counts of attempts are told apart") {
    auto envelope = sample_envelope({"a@x", "b@x", "c@x", "d@x"});
    envelope.recipients[3].attempts = 1;
    std::vector outcomes{deferred(0), deferred(1), deferred(2), deferred(3)};
    outcomes[1].status.remote = "mx2.example.net[192.0.2.2]:25";
    outcomes[2].status.tls = "";
    const auto events = texts(attempt_events(envelope, outcomes, test_node(1)));
    REQUIRE(events.size() == 4);
    CHECK(events[1].starts_with("attempt 1 at mx2.example.net[192.0.2.2]:25, TLSv1.3"));
    CHECK(events[2] ==
          "attempt 1 at mx.example.net[192.0.2.1]:25, in clear: 450 4.2.0 try later (1 recipient)");
    CHECK(events[3].starts_with("attempt 2 at "));
}

TEST_CASE("an attempt that reached no server says so") {
    auto outcome = lost(0);
    outcome.status.remote = outcome.status.tls = "";
    const std::vector outcomes{outcome};
    CHECK(texts(attempt_events(sample_envelope(), outcomes, test_node(1))) ==
          Texts{"attempt 1, no server was asked: 4.4.2 connection lost (1 recipient)"});
}

TEST_CASE("a line is printable and of bounded length, and ends with the count") {
    auto outcome = deferred(0);
    outcome.status.reply.text = "\x1b[31m" + std::string(5000, 'x');
    outcome.status.remote = std::string(300, 'm') + "[192.0.2.1]:25";
    outcome.status.tls = std::string(300, 't');
    const std::vector outcomes{outcome};
    const auto events = texts(attempt_events(sample_envelope(), outcomes, test_node(1)));
    REQUIRE(events.size() == 1);
    CHECK(events[0].size() <= history_text_max);
    CHECK(events[0].ends_with(" (1 recipient)"));
    CHECK(events[0].find('\x1b') == std::string::npos);
}

TEST_CASE("very many replies are cut, and the last line says how many are left out") {
    const std::size_t many = 20;
    auto envelope = sample_envelope(std::vector<std::string>(many, "a@x"));
    std::vector<RecipientOutcome> outcomes;
    for (std::uint32_t i = 0; i < many; ++i) {
        outcomes.push_back(deferred(i));
        outcomes.back().status.reply.text = std::string(300, 'x') + std::to_string(i);
        outcomes.back().status.reply.enhanced.detail = static_cast<int>(i);
    }
    const auto events = texts(attempt_events(envelope, outcomes, test_node(1)));
    REQUIRE(events.size() == attempt_events_max);
    CHECK(events.back().ends_with("; other replies to 12 recipients"));
    CHECK(events.back().size() <= history_text_max);
}

TEST_CASE("no attempt and no notice leave no line") {
    CHECK(attempt_events(sample_envelope(), {}, test_node(1)).empty());
    CHECK(notice_events({}, test_node(1), accepted).empty());
}

TEST_CASE("notices leave a line each") {
    Decision decision;
    decision.bounced = {0};
    decision.delayed = {1, 2};
    const auto events = notice_events(decision, test_node(1), accepted);
    CHECK(texts(events) == Texts{"its sender is told: failed for 1 recipient",
                                 "its sender is told: delayed for 2 recipients"});
    CHECK(events[0].at == accepted);
}

}  // namespace
