// Every bound of the protocols in one place. Settings may lower or raise those that live in
// `smtp::Limits`; the rest are facts of formats.
#pragma once

#include <cstddef>
#include <cstdint>

#include "proto/types/time.h"

namespace posthorse {

// A body travels in chunks of this size: a larger value blocks a commit of the store for long.
inline constexpr std::size_t chunk_bytes = 256 * 1024;

namespace smtp {

// RFC 5321 section 4.5.3.1 states minima; these are what this server takes.
struct Limits {
    std::size_t command_line_bytes_max = 2048;  // with CRLF; RFC 5321 asks for 512 plus extensions
    std::size_t auth_line_bytes_max = 12288;    // RFC 4954 section 4
    std::size_t text_line_bytes_max = 0;        // 0: as long as the message may be
    std::size_t reply_line_bytes_max = 2048;
    std::size_t reply_lines_max = 100;
    std::size_t header_bytes_max = 1024 * 1024;
    std::size_t header_fields_max = 10000;
    std::uint32_t recipients_max = 1000;  // at least 100 (RFC 5321 section 4.5.3.1.8)
    // RCPT beyond that is answered 452; so many of them between two messages are no errors yet.
    std::uint32_t surplus_recipients_max = 1000;
    std::uint32_t received_max = 100;  // hops; RFC 5321 section 6.3
    std::uint32_t errors_max = 20;     // 5yz replies in a session, then 421
    std::uint32_t idle_commands_max =
        100;  // NOOP, RSET, VRFY, EHLO without a message between, then 421
    // BDAT: chunks below that size, but for the last of a message; so many between two messages.
    std::size_t small_chunk_bytes = 1024;
    std::uint32_t small_chunks_max = 1000;
    std::uint64_t message_bytes_max = 52'428'800;
};

// Server side: RFC 5321 section 4.5.3.2.7 asks for 5 minutes. Client side: the same section, by
// step.
struct Timeouts {
    Duration server_command = std::chrono::minutes{5};
    Duration server_data = std::chrono::minutes{3};      // between two reads of a body
    Duration server_session = std::chrono::hours{1};     // whole session without a message accepted
    Duration server_crowded = std::chrono::seconds{10};  // of these, while there is a crowd
    Duration tls_handshake = std::chrono::seconds{60};
    Duration connect = std::chrono::seconds{30};
    Duration greeting = std::chrono::minutes{5};
    Duration command = std::chrono::minutes{5};  // EHLO, STARTTLS, MAIL, RCPT
    Duration data_start = std::chrono::minutes{2};
    Duration data_block = std::chrono::minutes{3};
    Duration final_dot = std::chrono::minutes{10};
    // For all that an attempt at one message takes, but for the way to its server.
    Duration attempt = std::chrono::hours{4};
};

}  // namespace smtp
}  // namespace posthorse
