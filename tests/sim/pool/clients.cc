#include "tests/sim/pool/clients.h"

namespace posthorse::sim::pool {
namespace {

using namespace std::chrono_literals;

constexpr Duration patience = 25s;

}  // namespace

void Clients::send(int messages, Duration time) {
    for (int left = messages; left > 0; --left) {
        const int number = ++sent_;
        unheard_ += 1;
        world_.after(world_.between(0s, time), [this, number] {
            messages_[number] = message(number);
            try_to_send(number);
        });
    }
}

Envelope Clients::message(int number) {
    Envelope envelope;
    envelope.sender =
        "sender@" + std::string(1, static_cast<char>('a' + world_.below(4))) + ".example";
    envelope.message_id = "m" + std::to_string(number);
    envelope.chunk_count = static_cast<std::uint32_t>(world_.below(3));
    if (world_.chance(3)) envelope.expires_at = WallTime{1ms};  // soon
    for (auto left = 1 + world_.below(3); left > 0; --left) {
        const std::string name = world_.chance(15) ? "bad" : "user";
        const char domain = static_cast<char>('a' + world_.below(4));
        envelope.recipients.push_back(
            {.address = name + std::to_string(left) + "@" + domain + ".example", .last = {}});
    }
    return envelope;
}

void Clients::try_to_send(int number) {
    const auto heard_yet = std::make_shared<bool>(false);
    auto* machine = pool_.serving();
    if (machine != nullptr) {
        const std::uint32_t copies = world_.chance(5) ? 1 : 0;
        const bool lost = world_.chance(lost_replies_);
        machine->node()->submit(messages_.at(number), copies,
                                [this, number, heard_yet, lost](bool accepted) {
                                    if (lost || std::exchange(*heard_yet, true)) return;
                                    heard(number, accepted);
                                });
    }
    world_.after(patience, [this, number, heard_yet] {
        if (std::exchange(*heard_yet, true)) return;
        heard(number, false);
    });
}

void Clients::heard(int number, bool accepted) {
    if (accepted) {
        unheard_ -= 1;
        return;
    }
    pool_.around().counts.resent += 1;
    world_.after(world_.between(500ms, 4s), [this, number] { try_to_send(number); });
}

// ------------------------------------------------------------------ operators

// Notices are not removed: that would take the last word on another message away.
void Clients::operate() {
    using replication::Action;
    const auto known = pool_.messages();
    if (known.empty()) return;
    const auto& chosen = known[world_.below(known.size())];
    auto* owner = pool_.owner_of(chosen.id);
    if (owner == nullptr || !owner->serves()) return;
    constexpr Action actions[] = {Action::hold, Action::resume, Action::retry, Action::remove};
    owner->node()->act(chosen.id, actions[world_.below(chosen.sender.empty() ? 3 : 4)]);
}

// Looking at the queue finds what cannot be read, also of held messages.
void Clients::resume_all() {
    for (const auto& machine : pool_.machines()) {
        if (machine->serves())
            machine->node()->queue().list(QueueId{}, 1000,
                                          [](const Result<std::vector<Envelope>>&) {});
    }
    for (const auto& envelope : pool_.messages()) {
        if (!envelope.held) continue;
        auto* owner = pool_.owner_of(envelope.id);
        if (owner != nullptr && owner->serves())
            owner->node()->act(envelope.id, replication::Action::resume);
    }
}

}  // namespace posthorse::sim::pool
