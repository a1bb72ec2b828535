#include "tests/sim/pool/frame_text.h"

namespace posthorse::sim::pool {
namespace {

using namespace replication;

std::string number(auto strong) {
    return std::to_string(strong.value);
}

std::string position(const storage::Position& at) {
    return number(at.epoch) + "/" + number(at.last);
}

std::string due(WallTime at) {
    return at == never ? "never" : std::to_string(at.time_since_epoch().count() % 1'000'000);
}

std::string envelope(const Envelope& envelope) {
    return envelope.id.to_string() + " v" + std::to_string(envelope.version) + " due " +
           due(envelope.due_at);
}

std::string ids(const std::vector<QueueId>& ids) {
    std::string text;
    for (const auto id : ids) text += " " + id.to_string();
    return text;
}

// ------------------------------------------------------------------ changes

std::string change(const storage::Append& append) {
    return "append " + std::to_string(append.index) + " of " + append.id.to_string();
}
std::string change(const storage::Commit& commit) {
    return "commit " + envelope(commit.envelope);
}
std::string change(const storage::Abort& abort) {
    return "abort " + abort.id.to_string();
}
std::string change(const storage::Intend& intend) {
    return "intend " + std::to_string(intend.intent.attempt) + " of " +
           intend.intent.id.to_string();
}
std::string change(const storage::Settle& settle) {
    auto text = "settle " + settle.id.to_string() + " due before " + due(settle.due_before);
    text += settle.after ? ", is " + envelope(*settle.after) : ", done";
    for (const auto attempt : settle.ended_attempts) text += ", ends " + std::to_string(attempt);
    for (const auto& notice : settle.notices) text += ", notice " + envelope(notice.envelope);
    return text;
}
std::string change(const auto&) {
    return "another change";
}

// ------------------------------------------------------------------ frames

std::string text(const Open&) {
    return "Open";
}
std::string text(const Follow& follow) {
    return "Follow from " + number(follow.next) + (follow.listing ? ", with a listing" : "");
}
std::string text(const Operate& operate) {
    return number(operate.operation.stamp.sequence) + ": " +
           std::visit([](const auto& one) { return change(one); }, operate.operation.change);
}
std::string text(const Pull&) {
    return "Pull";
}
std::string text(const Fetch& fetch) {
    return "Fetch" + ids(fetch.ids);
}
std::string text(const Ask& ask) {
    std::string text = "Ask";
    for (const auto& name : ask.attempts)
        text += " " + std::to_string(name.attempt) + " of " + name.id.to_string();
    return text;
}
std::string text(const Standing& standing) {
    return "Standing at " + position(standing.at);
}
std::string text(const Refused& refused) {
    constexpr const char* why[] = {"not yet", "fenced", "failed", "gap"};
    return std::string("Refused: ") + why[static_cast<std::size_t>(refused.why)];
}
std::string text(const Ack& ack) {
    return "Ack received " + number(ack.received) + ", durable " + number(ack.durable);
}
std::string text(const Tell& tell) {
    std::string text = "Tell";
    for (const auto& told : tell.attempts)
        text += " " + std::to_string(told.attempt.attempt) + " of " + told.attempt.id.to_string() +
                (told.known ? " known" : " not known");
    return text;
}
std::string text(const Page& page) {
    std::string text = page.last ? "Page, the last:" : "Page:";
    for (const auto& entry : page.entries) text += " " + entry.id.to_string();
    if (!page.unreadable.empty()) text += ", unreadable" + ids(page.unreadable);
    return text;
}
std::string text(const Want& want) {
    return "Want" + ids(want.ids);
}
std::string text(const Body& body) {
    return "Body " + std::to_string(body.index) + " of " + body.id.to_string();
}
std::string text(const Record& record) {
    return "Record " + envelope(record.envelope);
}
std::string text(const Gone& gone) {
    return "Gone " + gone.id.to_string();
}
std::string text(const ListEnd& end) {
    std::string text = "ListEnd";
    for (const auto& intent : end.intents)
        text += " " + std::to_string(intent.attempt) + " of " + intent.id.to_string();
    return text;
}

}  // namespace

std::string to_text(const Frame& frame) {
    const auto slice = slice_of(frame);
    return number(slice.partition) + "e" + number(slice.epoch) + " " +
           std::visit([](const auto& one) { return text(one); }, frame);
}

}  // namespace posthorse::sim::pool
