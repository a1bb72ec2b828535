#include "replication/core/data_message.h"

namespace posthorse::replication {
namespace {

// What any frame takes beside what it carries, and any value of several fields inside one.
constexpr std::size_t frame_bytes = 32;
constexpr std::size_t part_bytes = 16;

std::size_t size_of_part(const Chunk& chunk) {
    return part_bytes + (chunk ? chunk->size() : 0);
}

std::size_t size_of_part(const DeliveryStatus& status) {
    return part_bytes + status.reply.text.size() + status.remote.size() + status.tls.size();
}

std::size_t size_of_part(const Envelope& envelope) {
    std::size_t bytes = 8 * part_bytes + envelope.sender.size() + envelope.held_why.size() +
                        envelope.message_id.size();
    const auto& origin = envelope.origin;
    bytes += origin.listener.size() + origin.client_address.size() + origin.helo.size() +
             origin.login.size() + origin.protocol.size() + origin.tls.size();
    for (const auto& recipient : envelope.recipients)
        bytes += part_bytes + recipient.address.size() + size_of_part(recipient.last);
    for (const auto& doubt : envelope.doubts)
        bytes += 3 * part_bytes + 2 * doubt.recipients.size() + doubt.remote.size();
    for (const auto& event : envelope.history) bytes += 3 * part_bytes + event.what.size();
    return bytes;
}

std::size_t size_of_part(const Intent& intent) {
    return 4 * part_bytes + 2 * intent.recipients.size() + intent.remote.size();
}

// --- changes
std::size_t size_of_part(const storage::Append& append) {
    return part_bytes + size_of_part(append.bytes);
}
std::size_t size_of_part(const storage::Commit& commit) {
    return size_of_part(commit.envelope) + size_of_part(commit.head);
}
std::size_t size_of_part(const storage::Intend& intend) {
    return size_of_part(intend.intent);
}
std::size_t size_of_part(const storage::Settle& settle) {
    std::size_t bytes = 2 * part_bytes + 4 * settle.ended_attempts.size();
    if (settle.after) bytes += size_of_part(*settle.after);
    for (const auto& notice : settle.notices)
        bytes += size_of_part(notice.envelope) + size_of_part(notice.head);
    return bytes;
}
template <class Change>
std::size_t size_of_part(const Change&) {
    return part_bytes;
}

// --- frames
std::size_t size_of_frame(const Operate& operate) {
    return std::visit([](const auto& change) { return size_of_part(change); },
                      operate.operation.change);
}
std::size_t size_of_frame(const Fetch& fetch) {
    return part_bytes * fetch.ids.size();
}
std::size_t size_of_frame(const Ask& ask) {
    return 2 * part_bytes * ask.attempts.size();
}
std::size_t size_of_frame(const Tell& tell) {
    std::size_t bytes = 0;
    for (const auto& told : tell.attempts) {
        bytes += 2 * part_bytes;
        for (const auto& outcome : told.outcomes)
            bytes += part_bytes + size_of_part(outcome.status);
    }
    return bytes;
}
std::size_t size_of_frame(const Page& page) {
    constexpr std::size_t entry_bytes = part_bytes + 2;
    return 2 * part_bytes + entry_bytes * page.entries.size() + part_bytes * page.unreadable.size();
}
std::size_t size_of_frame(const Want& want) {
    return part_bytes * want.ids.size();
}
std::size_t size_of_frame(const Body& body) {
    return part_bytes + size_of_part(body.bytes);
}
std::size_t size_of_frame(const Record& record) {
    return size_of_part(record.envelope) + size_of_part(record.head);
}
std::size_t size_of_frame(const ListEnd& end) {
    std::size_t bytes = 0;
    for (const auto& intent : end.intents) bytes += size_of_part(intent);
    return bytes;
}
template <class One>
std::size_t size_of_frame(const One&) {
    return part_bytes;
}

Slice slice_of_frame(const Operate& operate) {
    return {operate.operation.stamp.partition, operate.operation.stamp.epoch};
}
template <class One>
Slice slice_of_frame(const One& frame) {
    return frame.slice;
}

}  // namespace

Slice slice_of(const Frame& frame) {
    return std::visit([](const auto& one) { return slice_of_frame(one); }, frame);
}

std::size_t size_of(const Frame& frame) {
    return frame_bytes + std::visit([](const auto& one) { return size_of_frame(one); }, frame);
}

}  // namespace posthorse::replication
