#include "daemon/admin/queue_filter.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/admin/envelopes.h"

namespace posthorse::admin {
namespace {

using namespace std::chrono_literals;
using test::message;
using test::noon;

Envelope sample() {
    return message(1, 10min, "Anna@Example.org", {"bob@example.net", "carol@EXAMPLE.com"});
}

bool matches(const QueueFilter& filter, const Envelope& envelope, bool delivering = false) {
    return filter.matches(envelope, delivering, noon);
}

QueueFilter by_sender(const char* pattern) {
    QueueFilter filter;
    filter.sender = AddressPattern::parse(pattern);
    REQUIRE(filter.sender);
    return filter;
}

TEST_CASE("an empty filter matches every message") {
    CHECK(QueueFilter{}.empty());
    CHECK(matches({}, sample()));
    CHECK(matches({}, Envelope{}));
}

TEST_CASE("any part that is set makes a filter not empty") {
    CHECK_FALSE(by_sender("a@b").empty());
    CHECK_FALSE(QueueFilter{.domain = "example.org"}.empty());
    CHECK_FALSE(QueueFilter{.state = MessageState::held}.empty());
    CHECK_FALSE(QueueFilter{.older_than = 0ms}.empty());
    CHECK_FALSE(QueueFilter{.newer_than = 1ms}.empty());
    CHECK_FALSE(QueueFilter{.id_prefix = "0"}.empty());
    CHECK_FALSE(QueueFilter{.in_doubt = true}.empty());
    CHECK_FALSE(QueueFilter{.message_id = "a@b"}.empty());
    CHECK_FALSE(QueueFilter{.reply = "full"}.empty());
    CHECK_FALSE(QueueFilter{.text = "x"}.empty());
}

TEST_CASE("address patterns: what is one and what is not") {
    CHECK(AddressPattern::parse("a@b"));
    CHECK(AddressPattern::parse("postmaster"));
    CHECK(AddressPattern::parse("*@example.org"));
    CHECK(AddressPattern::parse("<>"));
    CHECK_FALSE(AddressPattern::parse(""));
    CHECK_FALSE(AddressPattern::parse("*"));
    CHECK_FALSE(AddressPattern::parse("*@"));
    CHECK_FALSE(AddressPattern::parse("a*@example.org"));
    CHECK_FALSE(AddressPattern::parse("*@*.example.org"));
}

TEST_CASE("a sender is matched whole, by domain, or as the null sender") {
    CHECK(matches(by_sender("anna@example.org"), sample()));
    CHECK(matches(by_sender("ANNA@EXAMPLE.ORG"), sample()));
    CHECK_FALSE(matches(by_sender("nna@example.org"), sample()));
    CHECK(matches(by_sender("*@example.org"), sample()));
    CHECK_FALSE(matches(by_sender("*@ample.org"), sample()));
    CHECK_FALSE(matches(by_sender("*@org"), sample()));
    CHECK_FALSE(matches(by_sender("<>"), sample()));

    auto bounce = sample();
    bounce.sender = "";
    CHECK(matches(by_sender("<>"), bounce));
    CHECK_FALSE(matches(by_sender("*@example.org"), bounce));
}

TEST_CASE("the domain is behind the last @, also of a quoted local part") {
    auto quoted = sample();
    quoted.sender = "\"a@b\"@example.org";
    CHECK(matches(by_sender("*@example.org"), quoted));
}

TEST_CASE("one recipient of several is enough, whatever its state") {
    QueueFilter filter;
    filter.recipient = AddressPattern::parse("*@example.com");
    auto envelope = sample();
    CHECK(matches(filter, envelope));
    envelope.recipients[1].state = RecipientState::delivered;
    CHECK(matches(filter, envelope));
    envelope.recipients.pop_back();
    CHECK_FALSE(matches(filter, envelope));
}

TEST_CASE("a destination domain counts only while a recipient there is pending") {
    const QueueFilter filter{.domain = "example.com"};
    auto envelope = sample();
    CHECK(matches(filter, envelope));
    envelope.recipients[1].state = RecipientState::failed;
    CHECK_FALSE(matches(filter, envelope));
}

TEST_CASE("the state shown: held before active before in doubt before deferred") {
    auto envelope = sample();
    CHECK(state_of(envelope, false) == MessageState::deferred);
    CHECK(state_of(envelope, true) == MessageState::active);
    envelope.in_doubt = 1;
    CHECK(state_of(envelope, false) == MessageState::in_doubt);
    CHECK(state_of(envelope, true) == MessageState::active);
    envelope.held = true;
    CHECK(state_of(envelope, true) == MessageState::held);
}

TEST_CASE("in_doubt finds every message with such an attempt, the other states are exclusive") {
    auto envelope = sample();
    envelope.in_doubt = 2;
    envelope.held = true;
    CHECK(matches({.state = MessageState::in_doubt}, envelope));
    CHECK(matches({.state = MessageState::held}, envelope));
    CHECK_FALSE(matches({.state = MessageState::deferred}, envelope));
    CHECK_FALSE(matches({.state = MessageState::active}, envelope, true));
}

TEST_CASE("ages are open intervals") {
    CHECK(matches({.older_than = 9min}, sample()));
    CHECK_FALSE(matches({.older_than = 10min}, sample()));
    CHECK(matches({.newer_than = 11min}, sample()));
    CHECK_FALSE(matches({.newer_than = 10min}, sample()));
}

TEST_CASE("an id prefix, from nothing to the whole") {
    const auto text = sample().id.to_string();
    for (std::size_t length = 1; length <= text.size(); ++length) {
        CHECK(matches({.id_prefix = text.substr(0, length)}, sample()));
    }
    auto other = text;
    other.back() = other.back() == '0' ? '1' : '0';
    CHECK_FALSE(matches({.id_prefix = other}, sample()));
}

TEST_CASE("attempts in doubt are found in every state") {
    auto envelope = sample();
    CHECK_FALSE(matches({.in_doubt = true}, envelope));
    envelope.in_doubt = 1;
    CHECK(matches({.in_doubt = true}, envelope));
    envelope.held = true;
    CHECK(matches({.in_doubt = true}, envelope));
    CHECK(matches({.state = MessageState::held, .in_doubt = true}, envelope));
    CHECK_FALSE(matches({.state = MessageState::active, .in_doubt = true}, envelope));
}

TEST_CASE("a message-id is matched whole, with or without its brackets") {
    auto envelope = sample();
    CHECK_FALSE(matches({.message_id = "abc@example.org"}, envelope));
    envelope.message_id = "<Abc@Example.org>";
    CHECK(matches({.message_id = "abc@example.org"}, envelope));
    CHECK_FALSE(matches({.message_id = "bc@example.org"}, envelope));
    envelope.message_id = "abc@example.org";
    CHECK(matches({.message_id = "abc@example.org"}, envelope));
}

TEST_CASE("a reply is found by what occurs in it, codes too; before an attempt there is none") {
    auto envelope = sample();
    envelope.recipients[1].last.reply = {450, {4, 2, 2}, "Mailbox is FULL"};
    CHECK_FALSE(matches({.reply = "full"}, envelope));
    envelope.recipients[1].last.at = noon;
    CHECK(matches({.reply = "full"}, envelope));
    CHECK(matches({.reply = "450 4.2.2 mailbox"}, envelope));
    CHECK_FALSE(matches({.reply = "empty"}, envelope));
}

TEST_CASE("a text is found in the sender, a recipient, the message-id or a reply") {
    auto envelope = sample();
    envelope.message_id = "<77@mid.test>";
    envelope.recipients[0].last = {.reply = {451, {}, "Greylisted"}, .at = noon};
    for (const auto* text : {"anna", "example.org", "carol@", "77@mid", "greylist"}) {
        CHECK_MESSAGE(matches({.text = text}, envelope), text);
    }
    CHECK_FALSE(matches({.text = "dave"}, envelope));
}

TEST_CASE("all parts must match") {
    auto filter = by_sender("*@example.org");
    filter.domain = "example.net";
    filter.older_than = 5min;
    CHECK(matches(filter, sample()));
    filter.domain = "example.invalid";
    CHECK_FALSE(matches(filter, sample()));
}

}  // namespace
}  // namespace posthorse::admin
