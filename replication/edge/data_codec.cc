#include "replication/edge/data_codec.h"

#include <algorithm>

#include "posthorse/v1/exchange.pb.h"
#include "proto/types/assert.h"
#include "replication/edge/frame_fields.h"
#include "storage/queue_record.h"

namespace posthorse::replication {
namespace {

using Frames = v1::FrameRecord;
using Changes = v1::OperationRecord;

std::int64_t to_ms(WallTime time) {
    return time.time_since_epoch().count();
}

WallTime from_ms(std::int64_t ms) {
    return WallTime{std::chrono::milliseconds{ms}};
}

// ------------------------------------------------------------------ attempts

void put_attempt(const AttemptName& attempt, v1::AttemptRecord& to) {
    to.set_id(attempt.id.to_bytes());
    to.set_attempt(attempt.attempt);
}

AttemptName attempt_from(const v1::AttemptRecord& record,
                         std::string_view field,
                         const FrameScope& scope) {
    return {id_from(record.id(), field, scope), record.attempt()};
}

v1::ToldOutcomeRecord::Kind kind_of(OutcomeKind kind) {
    switch (kind) {
        case OutcomeKind::delivered:
            return v1::ToldOutcomeRecord::KIND_DELIVERED;
        case OutcomeKind::deferred:
            return v1::ToldOutcomeRecord::KIND_DEFERRED;
        case OutcomeKind::failed:
            return v1::ToldOutcomeRecord::KIND_FAILED;
    }
    return v1::ToldOutcomeRecord::KIND_UNSPECIFIED;
}

OutcomeKind kind_from(v1::ToldOutcomeRecord::Kind kind, const FrameScope& scope) {
    for (const auto known : {OutcomeKind::delivered, OutcomeKind::deferred, OutcomeKind::failed}) {
        if (kind_of(known) == kind) return known;
    }
    scope.faults.add("tell.attempts.outcomes.kind", "must be one that this release knows");
    return OutcomeKind::deferred;
}

void put_outcome(const RecipientOutcome& outcome, v1::ToldOutcomeRecord& to) {
    to.set_recipient(outcome.recipient);
    to.set_kind(kind_of(outcome.kind));
    auto& status = *to.mutable_status();
    auto& reply = *status.mutable_reply();
    const auto& said = outcome.status.reply;
    reply.set_code(static_cast<std::uint32_t>(said.code));
    reply.set_enhanced_class(static_cast<std::uint32_t>(said.enhanced.klass));
    reply.set_enhanced_subject(static_cast<std::uint32_t>(said.enhanced.subject));
    reply.set_enhanced_detail(static_cast<std::uint32_t>(said.enhanced.detail));
    reply.set_text(said.text);
    status.set_remote(outcome.status.remote);
    status.set_tls(outcome.status.tls);
    status.set_at_ms(to_ms(outcome.status.at));
    status.set_notices_passed_on(outcome.status.notices_passed_on);
    status.set_final_delivery(outcome.status.final_delivery);
    status.set_tell_relay(outcome.status.tell_relay);
    status.set_reply_lost(outcome.status.reply_lost);
}

RecipientOutcome outcome_from(const v1::ToldOutcomeRecord& record, const FrameScope& scope) {
    const auto& status = record.status();
    const auto& reply = status.reply();
    return {.recipient = record.recipient(),
            .kind = kind_from(record.kind(), scope),
            .status = {.reply = {.code = static_cast<int>(reply.code()),
                                 .enhanced = {.klass = static_cast<int>(reply.enhanced_class()),
                                              .subject = static_cast<int>(reply.enhanced_subject()),
                                              .detail = static_cast<int>(reply.enhanced_detail())},
                                 .text = reply.text()},
                       .remote = status.remote(),
                       .tls = status.tls(),
                       .at = from_ms(status.at_ms()),
                       .notices_passed_on = status.notices_passed_on(),
                       .final_delivery = status.final_delivery(),
                       .tell_relay = status.tell_relay(),
                       .reply_lost = status.reply_lost()}};
}

// ------------------------------------------------------------------ changes

void put_change(const storage::Append& append, Changes& to) {
    auto& record = *to.mutable_append();
    record.set_id(append.id.to_bytes());
    record.set_index(append.index);
    put_chunk(append.bytes, *record.mutable_chunk());
}

storage::Append append_from(Changes::Append& record, const FrameScope& scope) {
    return {id_from(record.id(), "operate.append.id", scope),
            index_from(record.index(), "operate.append.index", scope),
            chunk_from(std::move(*record.mutable_chunk()), "operate.append.chunk", scope)};
}

void put_commit(const Envelope& envelope, const Chunk& head, Changes::Commit& to) {
    to.set_envelope(storage::encode(envelope));
    put_chunk(head, *to.mutable_head());
}

void put_change(const storage::Commit& commit, Changes& to) {
    put_commit(commit.envelope, commit.head, *to.mutable_commit());
}

storage::Commit commit_from(Changes::Commit& record, const FrameScope& scope) {
    return {envelope_from(record.envelope(), "operate.commit.envelope", scope),
            head_from(std::move(*record.mutable_head()), "operate.commit.head", scope)};
}

void put_change(const storage::Abort& abort, Changes& to) {
    to.mutable_abort()->set_id(abort.id.to_bytes());
    to.mutable_abort()->set_chunk_count(abort.chunk_count);
}

storage::Abort abort_from(const Changes::Abort& record, const FrameScope& scope) {
    return {id_from(record.id(), "operate.abort.id", scope),
            chunk_count_from(record.chunk_count(), "operate.abort.chunk_count", scope)};
}

void put_change(const storage::Intend& intend, Changes& to) {
    to.mutable_intend()->set_intent(storage::encode(intend.intent));
}

void put_change(const storage::Settle& settle, Changes& to) {
    auto& record = *to.mutable_settle();
    record.set_id(settle.id.to_bytes());
    record.set_due_before_ms(to_ms(settle.due_before));
    record.set_chunk_count(settle.chunk_count);
    record.set_size_bytes(settle.size_bytes);
    record.set_patient(settle.patient);
    if (settle.after) record.set_after(storage::encode(*settle.after));
    for (const auto& notice : settle.notices)
        put_commit(notice.envelope, notice.head, *record.add_notices());
    record.mutable_ended_attempts()->Add(settle.ended_attempts.begin(),
                                         settle.ended_attempts.end());
}

std::vector<NewMessage> notices_from(Changes::Settle& record, const FrameScope& scope) {
    std::vector<NewMessage> notices;
    for (auto& notice : *record.mutable_notices()) {
        notices.push_back(
            {envelope_from(notice.envelope(), "operate.settle.notices.envelope", scope),
             head_from(std::move(*notice.mutable_head()), "operate.settle.notices.head", scope)});
        scope.faults.require(notices.back().envelope.chunk_count == 0,
                             "operate.settle.notices.envelope", "must have no chunks");
    }
    return notices;
}

storage::Settle settle_from(Changes::Settle& record, const FrameScope& scope) {
    storage::Settle settle{
        .id = id_from(record.id(), "operate.settle.id", scope),
        .due_before = from_ms(record.due_before_ms()),
        .chunk_count = chunk_count_from(record.chunk_count(), "operate.settle.chunk_count", scope),
        .size_bytes = record.size_bytes()};
    settle.patient = record.patient();
    if (!record.after().empty()) {
        settle.after = envelope_from(record.after(), "operate.settle.after", scope);
        scope.faults.require(settle.after->id == settle.id, "operate.settle.after",
                             "must be of the same message");
    }
    settle.notices = notices_from(record, scope);
    if (fits(record.ended_attempts_size(), "operate.settle.ended_attempts", scope)) {
        settle.ended_attempts = {record.ended_attempts().begin(), record.ended_attempts().end()};
    }
    return settle;
}

template <class Change>
void put_change(const Change&, Changes&) {
    PH_ASSERT(false);  // a store's own: no other node hears of it
}

Operate operate_from(Changes& record, const FrameScope& scope) {
    Operate operate;
    operate.operation.stamp = {scope.slice.partition, scope.slice.epoch, {record.sequence()}};
    scope.faults.require(record.sequence() != 0, "operate.sequence", "must not be 0");
    auto& change = operate.operation.change;
    switch (record.change_case()) {
        case Changes::kAppend:
            change = append_from(*record.mutable_append(), scope);
            break;
        case Changes::kCommit:
            change = commit_from(*record.mutable_commit(), scope);
            break;
        case Changes::kAbort:
            change = abort_from(record.abort(), scope);
            break;
        case Changes::kIntend:
            change = storage::Intend{
                intent_from(record.intend().intent(), "operate.intend.intent", scope)};
            break;
        case Changes::kSettle:
            change = settle_from(*record.mutable_settle(), scope);
            break;
        case Changes::CHANGE_NOT_SET:
            scope.faults.add("operate.change", "must be one that this release knows");
    }
    return operate;
}

// ------------------------------------------------------------------ frames

void put_frame(const Open&, Frames& to) {
    to.mutable_open();
}

void put_frame(const Follow& follow, Frames& to) {
    to.mutable_follow()->set_next(follow.next.value);
    to.mutable_follow()->set_listing(follow.listing);
}

void put_frame(const Operate& operate, Frames& to) {
    to.mutable_operate()->set_sequence(operate.operation.stamp.sequence.value);
    std::visit([&](const auto& change) { put_change(change, *to.mutable_operate()); },
               operate.operation.change);
}

void put_frame(const Pull&, Frames& to) {
    to.mutable_pull();
}

void put_frame(const Fetch& fetch, Frames& to) {
    put_ids(fetch.ids, *to.mutable_fetch()->mutable_ids());
}

void put_frame(const Ask& ask, Frames& to) {
    auto& record = *to.mutable_ask();
    for (const auto& attempt : ask.attempts) put_attempt(attempt, *record.add_attempts());
}

Ask ask_from(const Frames::Ask& record, const FrameScope& scope) {
    Ask ask{scope.slice, {}};
    if (!fits(record.attempts_size(), "ask.attempts", scope)) return ask;
    for (const auto& attempt : record.attempts())
        ask.attempts.push_back(attempt_from(attempt, "ask.attempts.id", scope));
    return ask;
}

void put_frame(const Standing& standing, Frames& to) {
    to.mutable_standing()->set_epoch(standing.at.epoch.value);
    to.mutable_standing()->set_last(standing.at.last.value);
}

Frames::Refused::Why why_of(HolderRefusal why) {
    switch (why) {
        case HolderRefusal::not_yet:
            return Frames::Refused::WHY_NOT_YET;
        case HolderRefusal::fenced:
            return Frames::Refused::WHY_FENCED;
        case HolderRefusal::failed:
            return Frames::Refused::WHY_FAILED;
        case HolderRefusal::gap:
            return Frames::Refused::WHY_GAP;
    }
    return Frames::Refused::WHY_UNSPECIFIED;
}

HolderRefusal why_from(Frames::Refused::Why why, const FrameScope& scope) {
    for (const auto known : {HolderRefusal::not_yet, HolderRefusal::fenced, HolderRefusal::failed,
                             HolderRefusal::gap}) {
        if (why_of(known) == why) return known;
    }
    scope.faults.add("refused.why", "must be one that this release knows");
    return HolderRefusal::not_yet;
}

void put_frame(const Refused& refused, Frames& to) {
    to.mutable_refused()->set_why(why_of(refused.why));
}

void put_frame(const Ack& ack, Frames& to) {
    to.mutable_ack()->set_received(ack.received.value);
    to.mutable_ack()->set_durable(ack.durable.value);
}

void put_frame(const Tell& tell, Frames& to) {
    auto& record = *to.mutable_tell();
    for (const auto& told : tell.attempts) {
        auto& attempt = *record.add_attempts();
        put_attempt(told.attempt, *attempt.mutable_attempt());
        attempt.set_known(told.known);
        for (const auto& outcome : told.outcomes) put_outcome(outcome, *attempt.add_outcomes());
    }
}

Tell tell_from(const Frames::Tell& record, const FrameScope& scope) {
    Tell tell{scope.slice, {}};
    if (!fits(record.attempts_size(), "tell.attempts", scope)) return tell;
    for (const auto& one : record.attempts()) {
        ToldAttempt told{attempt_from(one.attempt(), "tell.attempts.id", scope), one.known(), {}};
        for (const auto& outcome : one.outcomes())
            told.outcomes.push_back(outcome_from(outcome, scope));
        tell.attempts.push_back(std::move(told));
    }
    return tell;
}

void put_frame(const Page& page, Frames& to) {
    auto& record = *to.mutable_page();
    record.set_after(page.after.to_bytes());
    record.set_upto(page.upto.to_bytes());
    record.set_last(page.last);
    record.set_damaged(page.damaged);
    auto& ids = *record.mutable_ids();
    ids.reserve(page.entries.size() * QueueId::byte_length);
    for (const auto& entry : page.entries) {
        ids += entry.id.to_bytes();
        record.add_versions(entry.version);
    }
    put_ids(page.unreadable, *record.mutable_unreadable());
}

// What is not in the range that the page speaks of could be taken for missing in another.
bool in_range(const Page& page) {
    auto before = page.after;
    for (const auto& entry : page.entries) {
        if (!(before < entry.id)) return false;
        before = entry.id;
    }
    return page.last || before <= page.upto;
}

Page page_from(const Frames::Page& record, const FrameScope& scope) {
    Page page{.slice = scope.slice,
              .after = bound_from(record.after(), "page.after", scope),
              .upto = bound_from(record.upto(), "page.upto", scope),
              .last = record.last(),
              .damaged = record.damaged(),
              .entries = {},
              .unreadable = ids_from(record.unreadable(), "page.unreadable", scope)};
    const auto ids = ids_from(record.ids(), "page.ids", scope);
    const bool paired = static_cast<std::size_t>(record.versions_size()) == ids.size();
    scope.faults.require(paired, "page.versions", "must be one for each id");
    if (scope.faults.any()) return page;
    for (std::size_t i = 0; i < ids.size(); ++i)
        page.entries.push_back({ids[i], record.versions(static_cast<int>(i))});
    scope.faults.require(in_range(page), "page.ids", "must ascend, and be in the range");
    return page;
}

void put_frame(const Want& want, Frames& to) {
    put_ids(want.ids, *to.mutable_want()->mutable_ids());
}

void put_frame(const Body& body, Frames& to) {
    auto& record = *to.mutable_body();
    record.set_id(body.id.to_bytes());
    record.set_index(body.index);
    put_chunk(body.bytes, *record.mutable_chunk());
}

Body body_from(Frames::Body& record, const FrameScope& scope) {
    return {scope.slice, id_from(record.id(), "body.id", scope),
            index_from(record.index(), "body.index", scope),
            chunk_from(std::move(*record.mutable_chunk()), "body.chunk", scope)};
}

void put_frame(const Record& record, Frames& to) {
    to.mutable_record()->set_envelope(storage::encode(record.envelope));
    put_chunk(record.head, *to.mutable_record()->mutable_head());
}

Record record_from(Frames::Record& record, const FrameScope& scope) {
    return {scope.slice, envelope_from(record.envelope(), "record.envelope", scope),
            head_from(std::move(*record.mutable_head()), "record.head", scope)};
}

void put_frame(const Gone& gone, Frames& to) {
    to.mutable_gone()->set_id(gone.id.to_bytes());
}

void put_frame(const ListEnd& end, Frames& to) {
    auto& record = *to.mutable_list_end();
    for (const auto& intent : end.intents) record.add_intents(storage::encode(intent));
}

ListEnd list_end_from(const Frames::ListEnd& record, const FrameScope& scope) {
    ListEnd end{scope.slice, {}};
    if (!fits(record.intents_size(), "list_end.intents", scope)) return end;
    for (const auto& intent : record.intents())
        end.intents.push_back(intent_from(intent, "list_end.intents", scope));
    return end;
}

Frame frame_from(Frames& record, const FrameScope& scope) {
    const auto& slice = scope.slice;
    switch (record.frame_case()) {
        case Frames::kOpen:
            return Open{slice};
        case Frames::kFollow:
            return Follow{slice, {record.follow().next()}, record.follow().listing()};
        case Frames::kOperate:
            return operate_from(*record.mutable_operate(), scope);
        case Frames::kPull:
            return Pull{slice};
        case Frames::kFetch:
            return Fetch{slice, ids_from(record.fetch().ids(), "fetch.ids", scope)};
        case Frames::kAsk:
            return ask_from(record.ask(), scope);
        case Frames::kStanding:
            return Standing{slice, {{record.standing().epoch()}, {record.standing().last()}}};
        case Frames::kRefused:
            return Refused{slice, why_from(record.refused().why(), scope)};
        case Frames::kAck:
            return Ack{slice, {record.ack().received()}, {record.ack().durable()}};
        case Frames::kTell:
            return tell_from(record.tell(), scope);
        case Frames::kPage:
            return page_from(record.page(), scope);
        case Frames::kWant:
            return Want{slice, ids_from(record.want().ids(), "want.ids", scope)};
        case Frames::kBody:
            return body_from(*record.mutable_body(), scope);
        case Frames::kRecord:
            return record_from(*record.mutable_record(), scope);
        case Frames::kGone:
            return Gone{slice, id_from(record.gone().id(), "gone.id", scope)};
        case Frames::kListEnd:
            return list_end_from(record.list_end(), scope);
        case Frames::FRAME_NOT_SET:
            break;
    }
    scope.faults.add("frame", "must be one that this release knows");
    return Open{slice};
}

}  // namespace

void encode(const Frame& frame, v1::FrameRecord& to) {
    const auto slice = slice_of(frame);
    to.set_partition(slice.partition.value);
    to.set_epoch(slice.epoch.value);
    std::visit([&](const auto& one) { put_frame(one, to); }, frame);
}

Result<Frame> decode(v1::FrameRecord&& record) {
    Faults faults;
    auto frame = frame_from(record, {{{record.partition()}, {record.epoch()}}, faults});
    if (faults.any()) return Error{Errc::invalid, faults.first()};
    return frame;
}

std::string encode_frame(const Frame& frame) {
    v1::FrameRecord record;
    encode(frame, record);
    return record.SerializeAsString();
}

Result<Frame> decode_frame(const std::string& octets) {
    v1::FrameRecord record;
    if (!record.ParseFromString(octets))
        return Error{Errc::invalid, "frame: must be a FrameRecord"};
    return decode(std::move(record));
}

}  // namespace posthorse::replication
