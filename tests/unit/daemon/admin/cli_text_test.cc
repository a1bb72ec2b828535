#include "daemon/admin/cli_text.h"

#include <doctest/doctest.h>

#include "daemon/admin/admin_messages.h"
#include "daemon/admin/cli_json.h"
#include "tests/unit/daemon/admin/envelopes.h"

namespace posthorse::admin {
namespace {

using namespace std::chrono_literals;
using test::noon;

v1::Message sample() {
    auto envelope = test::message(1, 17min, "anna@example.org", {"bob@example.net", "eve@x.test"});
    envelope.recipients[0].attempts = 2;
    envelope.recipients[0].last = {.reply = {450, {4, 2, 0}, "try later"},
                                   .remote = "mx1.example.net[192.0.2.1]:25",
                                   .tls = "",
                                   .at = noon - 2min};
    envelope.size_bytes = 4200;
    envelope.origin.client_address = "192.0.2.7";
    return to_message(envelope, false, {});
}

TEST_CASE("times are UTC in ISO 8601") {
    CHECK(format_time(to_timestamp(noon)) == "2024-10-04T12:00:00Z");
    CHECK(format_time(to_timestamp(noon + 999ms)) == "2024-10-04T12:00:00Z");
    CHECK(format_time(to_timestamp(WallTime{})) == "1970-01-01T00:00:00Z");
    CHECK(format_time(to_timestamp(WallTime{-1ms})) == "1969-12-31T23:59:59Z");
}

TEST_CASE("ages in two units at most") {
    CHECK(format_age(-5s) == "0s");
    CHECK(format_age(59s) == "59s");
    CHECK(format_age(60s) == "1m");
    CHECK(format_age(3h + 5min) == "3h05m");
    CHECK(format_age(24h) == "1d00h");
    CHECK(format_age(100h + 59min) == "4d04h");
}

TEST_CASE("sizes take at most four characters") {
    CHECK(format_size(0) == "0");
    CHECK(format_size(999) == "999");
    CHECK(format_size(1000) == "1.0K");
    CHECK(format_size(4200) == "4.1K");
    CHECK(format_size(10'189) == "10K");
    CHECK(format_size(1'023'999) == "1.0M");
    CHECK(format_size(52'428'800) == "50M");
    CHECK(format_size(UINT64_MAX) == "16E");
}

TEST_CASE("short names of enumerators") {
    CHECK(short_name(*v1::MessageState_descriptor()->FindValueByNumber(4)) == "in_doubt");
    CHECK(short_name(*v1::ActResult::Outcome_descriptor()->FindValueByNumber(2)) == "would_act");
    CHECK(short_name(*v1::Action_descriptor()->FindValueByNumber(1)) == "retry");
}

TEST_CASE("the queue table: columns, further recipients and errors below each other, totals") {
    QueueTable table(noon);
    const auto message = sample();
    const std::string expected =
        "QUEUE ID                      AGE  SIZE STATE    SENDER                         "
        "RECIPIENT (LAST ERROR)\n" +
        message.id() + "    17m  4.1K deferred anna@example.org               bob@example.net\n" +
        std::string(80, ' ') + "  (450 4.2.0 try later; mx1.example.net[192.0.2.1]:25)\n" +
        std::string(80, ' ') + "eve@x.test\n" + "-- 1 message, 4.1K: 1 deferred\n";
    const auto header = table.header();
    CHECK(header + table.row(message) + table.footer(false) == expected);
}

TEST_CASE("the queue table: an empty queue and an empty answer are told apart") {
    const QueueTable table(noon);
    CHECK(table.empty());
    CHECK(table.footer(false) == "The queue is empty.\n");
    CHECK(table.footer(true) == "No message matches.\n");
}

TEST_CASE("the queue table: done recipients are left out, very many are cut") {
    QueueTable table(noon);
    auto message = sample();
    message.mutable_recipients(0)->set_state(v1::RECIPIENT_STATE_DELIVERED);
    CHECK(table.row(message).find("bob@") == std::string::npos);
    for (int i = 0; i < 20; ++i) *message.add_recipients() = message.recipients(1);
    const auto row = table.row(message);
    CHECK(row.find("(and 11 more") != std::string::npos);
    CHECK(std::count(row.begin(), row.end(), '\n') == 11);
}

TEST_CASE("the queue table: null senders, holds and totals by state") {
    QueueTable table(noon);
    auto message = sample();
    table.row(message);
    message.set_sender("");
    message.set_state(v1::MESSAGE_STATE_HELD);
    message.set_held_reason("poison");
    const auto row = table.row(message);
    CHECK(row.find(" held     <> ") != std::string::npos);
    CHECK(row.find("held: poison\n") != std::string::npos);
    CHECK(table.footer(false) == "-- 2 messages, 8.2K: 1 deferred, 1 held\n");
}

TEST_CASE("one message in full") {
    auto message = sample();
    const auto text = message_text(message);
    const auto has = [&](const char* line) {
        CHECK_MESSAGE(text.find(line) != std::string::npos, line, " in\n", text);
    };
    has("state        deferred\n");
    has("sender       anna@example.org\n");
    has("accepted     2024-10-04T11:43:00Z\n");
    has("next attempt 2024-10-04T12:00:00Z\n");
    has("client       192.0.2.7\n");
    has("recipient    bob@example.net  pending, 2 attempts\n");
    has("             2024-10-04T11:58:00Z  450 4.2.0 try later; mx1.example.net[192.0.2.1]:25\n");
    has("recipient    eve@x.test  pending, 0 attempts\n");
    CHECK(text.find("held") == std::string::npos);
    CHECK(text.find("login") == std::string::npos);
    CHECK(text.find("asks") == std::string::npos);
}

TEST_CASE("what a message asks of every server is shown as it was said") {
    Envelope envelope;
    envelope.wishes = {.utf8 = true,
                       .require_tls = true,
                       .ret = ReturnContent::headers,
                       .envelope_id = "QQ314159"};
    envelope.recipients = {{.address = "bob@example.net"}, {.address = "eve@example.net"}};
    envelope.recipients[0].wishes = {.notify = {.said = true, .success = true, .delay = true},
                                     .original = "rfc822;bob+2Bx@example.org"};
    envelope.recipients[1].wishes.notify.said = true;
    const auto message = to_message(envelope, false, {});
    REQUIRE(message.parameters_size() == 4);
    const auto text = message_text(message);
    const auto has = [&](const char* line) {
        CHECK_MESSAGE(text.find(line) != std::string::npos, line, " in\n", text);
    };
    has("asks         SMTPUTF8 REQUIRETLS RET=HDRS ENVID=QQ314159\n");
    has("             NOTIFY=SUCCESS,DELAY ORCPT=rfc822;bob+2Bx@example.org\n");
    has("             NOTIFY=NEVER\n");
}

TEST_CASE("a message for later says when it goes, as long as it waits") {
    Envelope envelope;
    envelope.wishes.release.after = std::chrono::hours{1};
    envelope.release_at = envelope.due_at = noon + std::chrono::hours{1};
    envelope.recipients = {{.address = "bob@example.net"}};
    const auto message = to_message(envelope, false, {});
    CHECK(message_text(message).find("asks         HOLDFOR=3600\n") != std::string::npos);
    const auto release = format_time(message.release_time());
    CHECK(message_text(message).find("release      " + release + '\n') != std::string::npos);
    CHECK(QueueTable(noon).row(message).ends_with("waits for its release: " + release + '\n'));
    QueueTable afterwards(noon + std::chrono::hours{1});
    CHECK(afterwards.row(message).find("release") == std::string::npos);
}

TEST_CASE("the summary: a column for each age, the total first") {
    storage::QueueSummary summary;
    summary.add(test::message(1, 7min, "a@b", {"x@example.org", "y@example.org"}), noon);
    summary.add(test::message(2, 100h, "a@b", {"x@z.test"}), noon);
    CHECK(summary_text(to_summary(summary, 1)) ==
          "     DOMAIN    MSGS   RCPTS    <5m   <10m   <20m   <40m   <80m  <160m  <320m  <640m "
          "<1280m <2560m  older\n"
          "      TOTAL       2       3      0      1      0      0      0      0      0      0 "
          "     0      0      1\n"
          "example.org       1       2      0      1      0      0      0      0      0      0 "
          "     0      0      0\n"
          "-- 1 domain more: raise --top\n");
}

TEST_CASE("JSON: every field, numbers as numbers, null for what is absent") {
    v1::GetMessageResponse response;
    CHECK(to_json(response) == R"({"message":null})");
    auto& message = *response.mutable_message();
    message.set_size_bytes(UINT64_MAX);
    message.set_state(v1::MESSAGE_STATE_IN_DOUBT);
    *message.mutable_accept_time() = to_timestamp(noon);
    auto& recipient = *message.add_recipients();
    recipient.set_address(R"("a\b"@test)");
    recipient.set_last_reply("one\ntwo");
    CHECK(to_json(message) ==
          R"({"id":"","state":"in_doubt","sender":"","size_bytes":18446744073709551615,)"
          R"("accept_time":"2024-10-04T12:00:00Z","due_time":null,"expire_time":null,)"
          R"("held_reason":"","attempts_in_doubt":0,"message_id":"","origin":null,)"
          R"("recipients":[{"address":"\"a\\b\"@test","state":"unspecified","attempts":0,)"
          R"("last_reply":"one\u000atwo","last_remote":"","last_tls":"",)"
          R"("last_attempt_time":null,"parameters":[]}],"undecided":[],"history":[],)"
          R"("parameters":[],"release_time":null})");
}

TEST_CASE("JSON: repeated numbers, durations and booleans") {
    storage::QueueSummary summary;
    summary.add(test::message(1, 7min, "a@b", {"x@example.org"}), noon);
    const auto json = to_json(to_summary(summary, 0));
    CHECK(json.find(R"("age_bounds":["300s","600s",)") != std::string::npos);
    CHECK(json.find(R"("messages_by_age":[0,1,0,0,0,0,0,0,0,0,0])") != std::string::npos);
    CHECK(json.find(R"("domains":[],"domains_left_out":1,"missing":[]})") != std::string::npos);
    v1::GetStatusResponse status;
    status.set_ready(true);
    CHECK(to_json(status).find(R"("ready":true)") != std::string::npos);
}

}  // namespace
}  // namespace posthorse::admin
