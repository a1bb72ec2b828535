#include "replication/edge/data_codec.h"

#include <doctest/doctest.h>

#include <functional>
#include <set>

#include "posthorse/v1/exchange.pb.h"
#include "replication/edge/frame_fields.h"
#include "storage/queue_record.h"
#include "tests/unit/replication/edge/frame_samples.h"
#include "tests/unit/replication/edge/same.h"

using namespace posthorse;
using namespace posthorse::replication;
using namespace posthorse::tests;

namespace {

v1::FrameRecord record_of(const Frame& frame) {
    v1::FrameRecord record;
    encode(frame, record);
    return record;
}

// The sample whose record holds this.
v1::FrameRecord sample(
    v1::FrameRecord::FrameCase kind,
    v1::OperationRecord::ChangeCase change = v1::OperationRecord::CHANGE_NOT_SET) {
    for (const auto& frame : every_frame()) {
        auto record = record_of(frame);
        if (record.frame_case() == kind && record.operate().change_case() == change) return record;
    }
    FAIL("no such sample");
    return {};
}

// What the decoder says of it; empty: nothing.
std::string fault(v1::FrameRecord record) {
    const auto decoded = decode(std::move(record));
    if (decoded) return "";
    CHECK(decoded.error().code == Errc::invalid);
    return decoded.error().what;
}

std::string fault(v1::FrameRecord::FrameCase kind,
                  const std::function<void(v1::FrameRecord&)>& damage) {
    auto record = sample(kind);
    damage(record);
    return fault(std::move(record));
}

std::string fault(v1::OperationRecord::ChangeCase kind,
                  const std::function<void(v1::OperationRecord&)>& damage) {
    auto record = sample(v1::FrameRecord::kOperate, kind);
    damage(*record.mutable_operate());
    return fault(std::move(record));
}

bool names(const std::string& what, const std::string& field) {
    CAPTURE(what);
    return what.rfind(field + ": ", 0) == 0;
}

// An id of another partition.
std::string foreign_id() {
    return QueueId::make(WallTime{}, {8}, {1}, 1).to_bytes();
}

std::string foreign_envelope() {
    auto other = envelope();
    other.id = QueueId::from_bytes(foreign_id());
    return storage::encode(other);
}

}  // namespace

TEST_CASE("every frame survives the wire") {
    std::set<std::size_t> kinds;
    for (const auto& frame : every_frame()) {
        CAPTURE(frame.index());
        kinds.insert(frame.index());
        const auto decoded = decode_frame(encode_frame(frame));
        REQUIRE(decoded.has_value());
        CHECK(same(*decoded, frame));
        CHECK(slice_of(*decoded) == slice());
    }
    CHECK(kinds.size() == std::variant_size_v<Frame>);
}

TEST_CASE("every reason and every outcome survives the wire") {
    for (const auto why : {HolderRefusal::not_yet, HolderRefusal::fenced, HolderRefusal::failed,
                           HolderRefusal::gap}) {
        const Frame refused = Refused{slice(), why};
        CHECK(same(decode_frame(encode_frame(refused)).value(), refused));
    }
    for (const auto kind : {OutcomeKind::delivered, OutcomeKind::deferred, OutcomeKind::failed}) {
        const Frame tell = Tell{slice(), {{{message_id(1), 1}, true, {{0, kind, {}}}}}};
        CHECK(same(decode_frame(encode_frame(tell)).value(), tell));
    }
}

TEST_CASE("what a settlement says to its owner's store alone does not travel") {
    storage::Settle settle;
    settle.id = message_id(1);
    settle.claim = storage::ClaimAfter::stays;
    settle.remember = {{message_id(1), 4, {{0, OutcomeKind::delivered, {}}}}};
    const Operate operate{{{slice().partition, slice().epoch, {1}}, settle}};
    const auto decoded = decode_frame(encode_frame(operate)).value();
    const auto& read = std::get<storage::Settle>(std::get<Operate>(decoded).operation.change);
    CHECK(read.claim == storage::ClaimAfter::ends);
    CHECK(read.remember.empty());
}

TEST_CASE("the size of a frame is about what it takes on the wire") {
    for (const auto& frame : every_frame()) {
        CAPTURE(frame.index());
        const auto octets = encode_frame(frame).size();
        CHECK(size_of(frame) >= octets / 2);
        CHECK(size_of(frame) <= 3 * octets + 64);
    }
    const Frame body = Body{slice(), message_id(1), 1, make_chunk(std::string(chunk_bytes, 'x'))};
    CHECK(size_of(body) >= chunk_bytes);
    CHECK(size_of(body) <= chunk_bytes + 100);
}

TEST_CASE("a body may be as large as a chunk, a head larger, and neither more") {
    const auto body = [](std::size_t bytes) {
        return record_of(Body{slice(), message_id(1), 1, make_chunk(std::string(bytes, 'x'))});
    };
    CHECK(fault(body(chunk_bytes)).empty());
    CHECK(names(fault(body(chunk_bytes + 1)), "body.chunk"));
    const auto head = [](std::size_t bytes) {
        return record_of(Record{slice(), envelope(), make_chunk(std::string(bytes, 'x'))});
    };
    CHECK(fault(head(codec::head_bytes_max)).empty());
    CHECK(names(fault(head(codec::head_bytes_max + 1)), "record.head"));
}

TEST_CASE("a malformed id is refused, and the field named") {
    using F = v1::FrameRecord;
    for (const auto& id : {std::string(), std::string("short"), std::string(17, 'x')}) {
        CHECK(names(fault(F::kGone, [&](auto& r) { r.mutable_gone()->set_id(id); }), "gone.id"));
        CHECK(names(fault(F::kBody, [&](auto& r) { r.mutable_body()->set_id(id); }), "body.id"));
        CHECK(names(fault(F::kPage, [&](auto& r) { r.mutable_page()->set_after(id); }),
                    "page.after"));
        CHECK(
            names(fault(F::kPage, [&](auto& r) { r.mutable_page()->set_upto(id); }), "page.upto"));
        CHECK(names(
            fault(F::kAsk, [&](auto& r) { r.mutable_ask()->mutable_attempts(0)->set_id(id); }),
            "ask.attempts.id"));
        CHECK(names(fault(F::kTell,
                          [&](auto& r) {
                              auto& told = *r.mutable_tell()->mutable_attempts(0);
                              told.mutable_attempt()->set_id(id);
                          }),
                    "tell.attempts.id"));
    }
    CHECK(names(fault(F::kWant, [](auto& r) { r.mutable_want()->mutable_ids()->pop_back(); }),
                "want.ids"));
    CHECK(
        names(fault(F::kFetch, [](auto& r) { r.mutable_fetch()->set_ids("short"); }), "fetch.ids"));
    CHECK(names(fault(F::kPage, [](auto& r) { r.mutable_page()->set_unreadable("short"); }),
                "page.unreadable"));
}

TEST_CASE("what is of another partition than its frame is refused, and the field named") {
    using F = v1::FrameRecord;
    using C = v1::OperationRecord;
    const auto id = foreign_id();
    CHECK(names(fault(F::kGone, [&](auto& r) { r.mutable_gone()->set_id(id); }), "gone.id"));
    CHECK(names(fault(F::kWant, [&](auto& r) { r.mutable_want()->set_ids(id); }), "want.ids"));
    CHECK(names(
        fault(F::kRecord, [](auto& r) { r.mutable_record()->set_envelope(foreign_envelope()); }),
        "record.envelope"));
    CHECK(names(fault(F::kListEnd,
                      [&](auto& r) {
                          const Intent intent{.id = QueueId::from_bytes(id)};
                          r.mutable_list_end()->set_intents(1, storage::encode(intent));
                      }),
                "list_end.intents"));
    CHECK(names(fault(C::kAppend, [&](auto& r) { r.mutable_append()->set_id(id); }),
                "operate.append.id"));
    CHECK(names(fault(C::kAbort, [&](auto& r) { r.mutable_abort()->set_id(id); }),
                "operate.abort.id"));
    CHECK(names(fault(C::kSettle, [&](auto& r) { r.mutable_settle()->set_id(id); }),
                "operate.settle.id"));
    CHECK(names(
        fault(C::kCommit, [](auto& r) { r.mutable_commit()->set_envelope(foreign_envelope()); }),
        "operate.commit.envelope"));
    CHECK(names(fault(C::kSettle,
                      [](auto& r) {
                          auto& notice = *r.mutable_settle()->mutable_notices(0);
                          notice.set_envelope(foreign_envelope());
                      }),
                "operate.settle.notices.envelope"));
}

TEST_CASE("a damaged record of the queue is refused by its own checksum") {
    using F = v1::FrameRecord;
    using C = v1::OperationRecord;
    const auto flip = [](std::string* octets) { octets->back() ^= 0x40; };
    CHECK(names(fault(F::kRecord, [&](auto& r) { flip(r.mutable_record()->mutable_envelope()); }),
                "record.envelope"));
    CHECK(
        names(fault(F::kListEnd, [&](auto& r) { flip(r.mutable_list_end()->mutable_intents(0)); }),
              "list_end.intents"));
    CHECK(names(fault(C::kCommit, [&](auto& r) { flip(r.mutable_commit()->mutable_envelope()); }),
                "operate.commit.envelope"));
    CHECK(names(fault(C::kIntend, [&](auto& r) { flip(r.mutable_intend()->mutable_intent()); }),
                "operate.intend.intent"));
    CHECK(names(fault(C::kSettle, [&](auto& r) { flip(r.mutable_settle()->mutable_after()); }),
                "operate.settle.after"));
}

TEST_CASE("a page that is not in order or out of its range is refused") {
    using F = v1::FrameRecord;
    CHECK(names(fault(F::kPage, [](auto& r) { r.mutable_page()->add_versions(1); }),
                "page.versions"));
    CHECK(names(fault(F::kPage,
                      [](auto& r) {
                          r.mutable_page()->set_ids(message_id(5).to_bytes() +
                                                    message_id(2).to_bytes());
                      }),
                "page.ids"));
    CHECK(names(
        fault(F::kPage, [](auto& r) { r.mutable_page()->set_after(message_id(2).to_bytes()); }),
        "page.ids"));
    CHECK(names(fault(F::kPage,
                      [](auto& r) {
                          r.mutable_page()->set_last(false);
                          r.mutable_page()->set_upto(message_id(4).to_bytes());
                      }),
                "page.ids"));
    const Frame empty = Page{.slice = slice(), .last = true};
    CHECK(same(decode_frame(encode_frame(empty)).value(), empty));
}

TEST_CASE("a value that breaks another rule is refused, and the field named") {
    using F = v1::FrameRecord;
    using C = v1::OperationRecord;
    CHECK(names(fault(F::kOpen, [](auto& r) { r.clear_frame(); }), "frame"));
    CHECK(names(fault(F::kRefused, [](auto& r) { r.mutable_refused()->clear_why(); }),
                "refused.why"));
    CHECK(names(fault(F::kBody, [](auto& r) { r.mutable_body()->set_index(0); }), "body.index"));
    CHECK(names(fault(F::kBody, [](auto& r) { r.mutable_body()->set_index(~0u); }), "body.index"));
    CHECK(names(fault(F::kTell,
                      [](auto& r) {
                          auto& told = *r.mutable_tell()->mutable_attempts(0);
                          told.mutable_outcomes(0)->clear_kind();
                      }),
                "tell.attempts.outcomes.kind"));
    CHECK(names(fault(C::kAbort, [](auto& r) { r.clear_change(); }), "operate.change"));
    CHECK(names(fault(C::kAbort, [](auto& r) { r.clear_sequence(); }), "operate.sequence"));
    CHECK(names(fault(C::kAbort, [](auto& r) { r.mutable_abort()->set_chunk_count(~0u); }),
                "operate.abort.chunk_count"));
    CHECK(names(
        fault(C::kSettle, [](auto& r) { r.mutable_settle()->set_id(message_id(3).to_bytes()); }),
        "operate.settle.after"));
    CHECK(names(fault(C::kSettle,
                      [](auto& r) {
                          auto& notice = *r.mutable_settle()->mutable_notices(0);
                          notice.set_envelope(storage::encode(envelope()));
                      }),
                "operate.settle.notices.envelope"));
    CHECK(names(decode_frame("\xFF\xFF").error().what, "frame"));
}

TEST_CASE("more entries than fit are refused") {
    using F = v1::FrameRecord;
    using C = v1::OperationRecord;
    std::string ids;
    for (std::uint32_t i = 0; i <= codec::ids_max; ++i) ids += message_id(i).to_bytes();
    CHECK(names(fault(F::kWant, [&](auto& r) { r.mutable_want()->set_ids(ids); }), "want.ids"));
    CHECK(names(fault(F::kAsk,
                      [](auto& r) {
                          auto& attempts = *r.mutable_ask()->mutable_attempts();
                          while (static_cast<std::size_t>(attempts.size()) <= codec::ids_max)
                              *attempts.Add() = attempts.at(0);
                      }),
                "ask.attempts"));
    CHECK(names(fault(C::kSettle,
                      [](auto& r) {
                          auto& attempts = *r.mutable_settle()->mutable_ended_attempts();
                          while (static_cast<std::size_t>(attempts.size()) <= codec::ids_max)
                              attempts.Add(1);
                      }),
                "operate.settle.ended_attempts"));
}

TEST_CASE("no cut and no changed octet of a frame is more than refused") {
    for (const auto& frame : every_frame()) {
        const auto octets = encode_frame(frame);
        for (std::size_t length = 0; length < octets.size(); ++length) {
            const auto decoded = decode_frame(octets.substr(0, length));
            if (!decoded) CHECK(decoded.error().code == Errc::invalid);
            auto changed = octets;
            changed[length] ^= 0x11;
            const auto other = decode_frame(changed);
            if (!other) CHECK(other.error().what.find(": ") != std::string::npos);
        }
    }
}
