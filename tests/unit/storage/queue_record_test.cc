#include "storage/queue_record.h"

#include <doctest/doctest.h>

#include "storage/big_endian.h"
#include "storage/crc32c.h"
#include "tests/unit/storage/print_result.h"
#include "tests/unit/storage/samples.h"

using namespace posthorse;
using namespace posthorse::storage;

namespace {

Envelope full_envelope() {
    Envelope envelope = sample_envelope(sample_id(7), at_ms(123), 4);
    envelope.version = 1ull << 40;
    envelope.recipients[0].state = RecipientState::failed;
    envelope.recipients[0].attempts = 3;
    envelope.recipients[0].last = {
        .reply = {.code = 550, .enhanced = {5, 1, 1}, .text = std::string("\xFFno\0one", 7)},
        .remote = "mx1.example.net[192.0.2.1]:25",
        .tls = "TLSv1.3 TLS_AES_256_GCM_SHA384",
        .at = at_ms(-5),
    };
    envelope.recipients[1].state = RecipientState::delivered;
    envelope.body = BodyKind::eight_bit;
    envelope.origin = {"submission", "2001:db8::7", "host.example.org",
                       "alice",      "ESMTPSA",     "TLSv1.3"};
    envelope.warn_at = never;
    envelope.held = true;
    envelope.held_why = "poison";
    envelope.in_doubt = 2;
    envelope.size_bytes = 1ull << 33;
    envelope.message_id = "<1@example.org>";
    envelope.doubts = {{3, {0, 1}, "mx1.example.net[192.0.2.1]:25", at_ms(44), sample_node(1)},
                       {4, {}, "\xFF", at_ms(-1), {}}};
    envelope.history = {{at_ms(500), sample_node(1), "accepted"}, {at_ms(900), {}, "\xFEheld"}};
    return envelope;
}

}  // namespace

TEST_CASE("records come back as they went") {
    CHECK(*decode_envelope(encode(full_envelope())) == full_envelope());
    CHECK(*decode_envelope(encode(Envelope{})) == Envelope{});
    const Intent intent{sample_id(1),       9,         {0, 5, 4000},
                        "mx[192.0.2.1]:25", at_ms(77), sample_node(2)};
    CHECK(*decode_intent(encode(intent)) == intent);
    PartitionMark mark{Epoch{1ull << 50}, {Epoch{1ull << 49}, Sequence{42}}, std::nullopt};
    CHECK(*decode_mark(encode(mark)) == mark);
    mark.before = Position{Epoch{3}, Sequence{7}};
    CHECK(*decode_mark(encode(mark)) == mark);
}

namespace {

Envelope envelope_with_wishes() {
    Envelope envelope = full_envelope();
    envelope.wishes = {.utf8 = true,
                       .require_tls = true,
                       .tls_optional = true,
                       .ret = ReturnContent::headers,
                       .envelope_id = "QQ+2B1"};
    envelope.utf8_header = true;
    envelope.recipients[0].wishes.notify = {.said = true};
    envelope.recipients[1].wishes.notify = {
        .said = true, .success = true, .failure = true, .delay = true};
    envelope.recipients[1].wishes.original = "rfc822;carol+2Bx@example.com";
    envelope.recipients[1].last.notices_passed_on = true;
    return envelope;
}

}  // namespace

TEST_CASE("wishes come back as they went, and raise the record's format") {
    const auto record = encode(envelope_with_wishes());
    CHECK(*decode_envelope(record) == envelope_with_wishes());
    CHECK(record.front() == record_format_with_wishes);
    CHECK(encode(full_envelope()).front() == record_format);
}

TEST_CASE("each wish alone raises the format: an older release must not forget it") {
    std::vector<Envelope> each(7, full_envelope());
    each[0].wishes.utf8 = true;
    each[1].wishes.require_tls = true;
    each[2].wishes.envelope_id = "x";
    each[3].utf8_header = true;
    each[4].recipients[1].wishes.notify.said = true;
    each[5].recipients[1].wishes.original = "rfc822;a@b";
    each[6].recipients[1].last.notices_passed_on = true;
    for (const auto& envelope : each) {
        CHECK(encode(envelope).front() == record_format_with_wishes);
        CHECK(*decode_envelope(encode(envelope)) == envelope);
    }
}

TEST_CASE("each time alone raises the format once more, and older records are read") {
    std::vector<Envelope> each(5, envelope_with_wishes());
    each[0].wishes.release.after = std::chrono::hours{1};
    each[1].wishes.release.at = at_ms(1'800'000'000'000);
    each[2].release_at = at_ms(1'800'000'000'000);
    each[3].wishes.deliver_by = {.otherwise = DeliverBy::Otherwise::give_back,
                                 .trace = true,
                                 .left = std::chrono::seconds{-7},
                                 .at = at_ms(1'800'000'000'000)};
    each[4].recipients[0].last.tell_relay = true;
    for (const auto& envelope : each) {
        CHECK(encode(envelope).front() == record_format_with_times);
        CHECK(*decode_envelope(encode(envelope)) == envelope);
    }
    CHECK(decode_envelope(encode(envelope_with_wishes()))->release_at == WallTime{});
    CHECK_FALSE(decode_envelope(encode(full_envelope()))->wishes.release.asked());
}

TEST_CASE("what an older release may forget does not raise the record's format") {
    Envelope envelope = full_envelope();
    envelope.cut_off = 2;
    envelope.recipients[1].last.final_delivery = true;
    envelope.recipients[1].last.reply_lost = true;
    envelope.wishes.priority = -9;
    CHECK(encode(envelope).front() == record_format);
    CHECK(*decode_envelope(encode(envelope)) == envelope);
}

TEST_CASE("an outcome comes back as it went") {
    AttemptOutcome outcome{.id = sample_id(3), .attempt = 12, .outcomes = {}};
    CHECK(*decode_outcome(encode(outcome)) == outcome);
    outcome.outcomes = {{0, OutcomeKind::delivered, {}},
                        {1, OutcomeKind::deferred, full_envelope().recipients[0].last},
                        {7, OutcomeKind::failed, {}}};
    CHECK(*decode_outcome(encode(outcome)) == outcome);
    CHECK(encode(outcome).front() == record_format);
    outcome.outcomes[0].status.notices_passed_on = true;
    CHECK(encode(outcome).front() == record_format_with_wishes);
    CHECK(*decode_outcome(encode(outcome)) == outcome);
    outcome.outcomes[2].status.tell_relay = true;
    CHECK(encode(outcome).front() == record_format_with_times);
    CHECK(*decode_outcome(encode(outcome)) == outcome);
}

TEST_CASE("a mark of the first format stands in the epoch of its fence") {
    // Format, CRC-32C of the rest, fence 5, last sequence 9.
    const std::string payload("\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\x9", 16);
    std::string record("\1", 1);
    append_big_endian(record, crc32c(payload));
    const Result<PartitionMark> mark = decode_mark(record + payload);
    REQUIRE(mark);
    CHECK(mark->fence == Epoch{5});
    CHECK(mark->position() == Position{Epoch{5}, Sequence{9}});
    CHECK_FALSE(mark->before);
}

TEST_CASE("a mark stands where it stood before its copy began, until that is whole") {
    const Position at{Epoch{3}, Sequence{9}};
    const Position before{Epoch{2}, Sequence{4}};
    CHECK(PartitionMark{Epoch{3}, at, std::nullopt}.position() == at);
    CHECK(PartitionMark{Epoch{3}, at, before}.position() == before);
}

TEST_CASE("an envelope without doubts and history takes less than 400 bytes") {
    Envelope envelope = full_envelope();
    envelope.doubts.clear();
    envelope.history.clear();
    CHECK(encode(envelope).size() < 400);
}

TEST_CASE("a due key tells since when its message waits, and for which domains") {
    Envelope envelope = sample_envelope(sample_id(1));
    envelope.recipients.push_back(sample_recipient("dan@EXAMPLE.net"));
    const std::string value = encode_due(envelope);
    CHECK(size_in_due(value) == envelope.size_bytes);
    Waiting waiting;
    REQUIRE(read_waiting(value, waiting));
    CHECK(waiting.accepted_at == envelope.accepted_at);
    CHECK(waiting.domains == std::vector<PendingDomain>{{"example.com", 1}, {"example.net", 2}});

    for (auto& recipient : envelope.recipients) recipient.state = RecipientState::delivered;
    REQUIRE(read_waiting(encode_due(envelope), waiting));
    CHECK(waiting.domains.empty());
    for (std::size_t length = 8; length < value.size(); ++length) {
        CHECK(size_in_due(value.substr(0, length)) == envelope.size_bytes);
        const bool between_domains = length == 16 || length == 16 + 5 + 11;
        CHECK(read_waiting(value.substr(0, length), waiting) == between_domains);
    }
    CHECK(size_in_due(value.substr(0, 7)) == std::nullopt);
}

TEST_CASE("of many domains, and of names too long, a due key tells the size alone") {
    Envelope many = sample_envelope(sample_id(1));
    many.recipients.clear();
    for (std::size_t i = 0; i < indexed_domains_max; ++i)
        many.recipients.push_back(sample_recipient("x@" + std::to_string(i)));
    Waiting waiting;
    CHECK(read_waiting(encode_due(many), waiting));
    many.recipients.push_back(sample_recipient("x@one.more"));
    Envelope longest = sample_envelope(sample_id(1));
    longest.recipients = {sample_recipient("x@" + std::string(255, 'd'))};
    CHECK(read_waiting(encode_due(longest), waiting));
    longest.recipients = {sample_recipient("x@" + std::string(256, 'd'))};
    for (const Envelope& envelope : {many, longest}) {
        CHECK_FALSE(read_waiting(encode_due(envelope), waiting));
        CHECK(size_in_due(encode_due(envelope)) == envelope.size_bytes);
    }
}

TEST_CASE("every flipped bit is seen") {
    const std::string good = encode(full_envelope());
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::string bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        const Result<Envelope> decoded = decode_envelope(bad);
        REQUIRE_FALSE(decoded);
        REQUIRE(decoded.error().code == Errc::corrupt);
    }
}

TEST_CASE("every cut is seen") {
    const std::string good = encode(full_envelope());
    for (std::size_t length = 0; length < good.size(); ++length)
        REQUIRE_FALSE(decode_envelope(good.substr(0, length)));
    CHECK_FALSE(decode_envelope(good + '\0'));
}

TEST_CASE("a record of another release is refused by its format") {
    std::string other = encode(full_envelope());
    other[0] = static_cast<char>(record_format_with_times + 1);
    CHECK(decode_envelope(other).error().what.find("format 5") != std::string::npos);
}

TEST_CASE("a record of one kind is none of another") {
    const Intent intent{sample_id(1), 9, {0}, "mx", at_ms(77), {}};
    CHECK_FALSE(decode_mark(encode(intent)));
    CHECK_FALSE(decode_outcome(encode(PartitionMark{})));
    CHECK_FALSE(decode_intent(encode(PartitionMark{})));
}
