#include "tests/unit/replication/edge/frame_samples.h"

namespace posthorse::tests {

using namespace replication;
using std::chrono::milliseconds;

namespace {

WallTime at(int minutes) {
    return WallTime{std::chrono::hours{24 * 20'000} + std::chrono::minutes{minutes}};
}

DeliveryStatus status() {
    return {.reply = {.code = 452, .enhanced = {4, 2, 2}, .text = "full\xFF"},
            .remote = "mx1.example.net[192.0.2.1]:25",
            .tls = "TLSv1.3 TLS_AES_256_GCM_SHA384",
            .at = at(3),
            .notices_passed_on = true,
            .tell_relay = true,
            .reply_lost = true};
}

Intent intent() {
    Intent intent;
    intent.id = message_id(1);
    intent.attempt = 4;
    intent.recipients = {0, 1};
    intent.remote = "mx1.example.net[192.0.2.1]:25";
    intent.started = at(2);
    return intent;
}

Frame operate(decltype(storage::Operation::change) change) {
    return Operate{{{slice().partition, slice().epoch, {17}}, std::move(change)}};
}

storage::Settle settle() {
    storage::Settle settle;
    settle.id = message_id(1);
    settle.due_before = at(5);
    settle.chunk_count = 3;
    settle.size_bytes = 700'000;
    settle.after = envelope();
    auto notice = envelope();
    notice.id = message_id(2);
    notice.chunk_count = 0;
    settle.notices = {{notice, make_chunk("Subject: a notice\r\n\r\n")}};
    settle.ended_attempts = {3, 4};
    return settle;
}

}  // namespace

Slice slice() {
    return {{7}, {12}};
}

QueueId message_id(std::uint32_t number) {
    return QueueId::make(at(0), slice().partition, slice().epoch, number);
}

Envelope envelope() {
    Envelope envelope;
    envelope.id = message_id(1);
    envelope.version = 6;
    envelope.sender = "ada@example.org";
    envelope.recipients = {
        {"bob@example.net", RecipientState::pending, 2, status()},
        {"eve@example.net", RecipientState::delivered, 1, DeliveryStatus{.at = at(1)}}};
    envelope.recipients[1].wishes.notify = {.said = true, .success = true};
    envelope.recipients[1].wishes.original = "rfc822;eve+2Bx@example.net";
    envelope.body = BodyKind::eight_bit;
    envelope.wishes = {.utf8 = true, .ret = ReturnContent::full, .envelope_id = "QQ+2B1"};
    envelope.origin = {"submission", "192.0.2.7", "client.example", "ada", "ESMTPSA", "TLSv1.3"};
    envelope.accepted_at = at(0);
    envelope.expires_at = at(5'760);
    envelope.warn_at = at(240);
    envelope.due_at = at(10);
    envelope.held = true;
    envelope.held_why = "by an operator";
    envelope.in_doubt = 1;
    envelope.size_bytes = 600'000;
    envelope.chunk_count = 3;
    envelope.message_id = "<1@example.org>";
    return envelope;
}

std::vector<Frame> every_frame() {
    const auto id = message_id(1);
    const AttemptName attempt{id, 4};
    const RecipientOutcome outcome{1, OutcomeKind::failed, status()};
    const RecipientOutcome delivered{0, OutcomeKind::delivered, {}};
    auto done = settle();
    done.after.reset();
    return {Open{slice()},
            Follow{slice(), {18}, true},
            operate(storage::Append{id, 2, make_chunk("some octets")}),
            operate(storage::Commit{envelope(), make_chunk("Received: x\r\n")}),
            operate(storage::Abort{id, 2}),
            operate(storage::Intend{intent()}),
            operate(settle()),
            operate(done),
            Pull{slice()},
            Fetch{slice(), {id, message_id(2)}},
            Ask{slice(), {attempt, {message_id(2), 1}}},
            Standing{slice(), {{11}, {16}}},
            Refused{slice(), HolderRefusal::gap},
            Ack{slice(), {17}, {15}},
            Tell{slice(), {{attempt, true, {outcome, delivered}}, {{message_id(2), 1}, false, {}}}},
            Page{slice(),
                 id,
                 message_id(9),
                 true,
                 true,
                 {{message_id(2), 3}, {message_id(5), 1}},
                 {message_id(4)}},
            Want{slice(), {message_id(5)}},
            Body{slice(), id, 3, make_chunk("some other octets")},
            Record{slice(), envelope(), make_chunk("Received: y\r\n")},
            Gone{slice(), id},
            ListEnd{slice(), {intent(), intent()}}};
}

Frame ack(std::uint64_t number) {
    return Ack{slice(), {number}, {number}};
}

std::uint64_t number_of(const Frame& frame) {
    return std::get<Ack>(frame).received.value;
}

Frame body(const Chunk& bytes, std::uint32_t index) {
    return Body{slice(), message_id(1), index, bytes};
}

}  // namespace posthorse::tests
