#include "proto/smtp/server_patience.h"

namespace posthorse::smtp {

namespace {

bool is_idle(Verb verb) {
    switch (verb) {
        case Verb::noop:
        case Verb::rset:
        case Verb::vrfy:
        case Verb::expn:
        case Verb::help:
        case Verb::helo:
        case Verb::ehlo:
            return true;
        default:
            return false;
    }
}

}  // namespace

std::optional<Reply> Patience::on_command(Verb verb) {
    if (verb == Verb::quit) return std::nullopt;
    if (errors_ >= limits_.errors_max) return Reply{421, {4, 7, 0}, "Too many errors"};
    if (is_idle(verb) && ++idle_commands_ > limits_.idle_commands_max) {
        return Reply{421, {4, 7, 0}, "Too many commands without a message"};
    }
    return std::nullopt;
}

std::optional<Reply> Patience::on_chunk(const ChunkCommand& chunk) {
    const bool small = chunk.bytes < limits_.small_chunk_bytes && !chunk.last;
    if (small && ++small_chunks_ > limits_.small_chunks_max) {
        return Reply{421, {4, 7, 0}, "Too many small chunks"};
    }
    return std::nullopt;
}

void Patience::on_reply(const Reply& reply) {
    if (reply.permanent()) ++errors_;
}

// Who sends a long list at once may; who goes on and on is in error.
void Patience::on_surplus_recipient() {
    if (++surplus_recipients_ > limits_.surplus_recipients_max) ++errors_;
}

void Patience::on_message() {
    idle_commands_ = small_chunks_ = surplus_recipients_ = 0;
}

}  // namespace posthorse::smtp
