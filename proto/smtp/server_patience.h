// How long a server bears with a client that makes errors, or passes the time without a message.
//
// Place     Under server_session.h, which tells it of every command and every reply.
// Contract  Pure. A Reply sends the client away; QUIT never gets one.
#pragma once

#include <cstdint>
#include <optional>

#include "proto/smtp/command.h"
#include "proto/smtp/server_transaction.h"
#include "proto/types/limits.h"
#include "proto/types/reply.h"

namespace posthorse::smtp {

class Patience {
public:
    explicit Patience(const Limits& limits) : limits_(limits) {}

    std::optional<Reply> on_command(Verb verb);
    std::optional<Reply> on_chunk(const ChunkCommand& chunk);
    void on_reply(const Reply& reply);
    // RCPT was refused because there are too many.
    void on_surplus_recipient();
    // One was accepted: the time that was passed is forgiven, errors are not.
    void on_message();

private:
    Limits limits_;
    std::uint32_t errors_ = 0;
    // Since the last message.
    std::uint32_t idle_commands_ = 0;
    std::uint32_t small_chunks_ = 0;
    std::uint32_t surplus_recipients_ = 0;
};

}  // namespace posthorse::smtp
