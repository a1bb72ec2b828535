// The octets of one message as a server takes them: by DATA (RFC 5321 section 4.1.1.4), or by BDAT
// in chunks (RFC 3030).
//
// Place     Under server_session.h, which says when they may come, and answers them.
// Contract  Pure: octets in, those of the message out, as views into the input. From the first
//           fault on none come out; what it was is told at the end, where the client waits for an
//           answer.
// Bounds    Constant memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "proto/smtp/data_framing.h"
#include "proto/smtp/server_transaction.h"
#include "proto/types/limits.h"
#include "proto/types/reply.h"

namespace posthorse::smtp {

class ServerBody {
public:
    enum class End : std::uint8_t {
        none,
        message,
        chunk,    // and more of the message may follow
        skipped,  // a chunk that is no message's
    };
    struct Step {
        std::size_t taken = 0;        // octets of the input that are done with
        std::string_view bytes{};     // of the message
        std::string_view line_end{};  // which the message lacks behind them
        End end = End::none;
    };

    explicit ServerBody(const Limits& limits);

    // From DATA, or the first BDAT, until close().
    bool is_open() const noexcept { return open_; }

    // What the next octets are: DATA's; a chunk, of the message that is open or the first of
    // another; a chunk that is answered `refusal` behind its last octet.
    void begin_data();
    void begin_chunk(const ChunkCommand& chunk);
    void skip_chunk(const ChunkCommand& chunk, Reply refusal);

    // Takes octets from the front of `input`, up to an end. An empty chunk ends without any.
    // `taken` 0, and no end: more must follow.
    Step next(std::string_view input);
    // Why what ended is refused, if it is.
    std::optional<Reply> refusal() const;

    // No more of it comes. True: it was open.
    bool close() noexcept { return std::exchange(open_, false); }

private:
    enum class Way : std::uint8_t { data, chunk, skip };

    Step next_of_data(std::string_view input);
    Step next_of_chunk(std::string_view input);
    Step skip(std::string_view input);

    std::uint64_t message_bytes_max_;
    std::size_t line_bytes_max_;
    bool open_ = false;
    Way way_ = Way::data;
    DataDecoder data_;
    ChunkDecoder chunks_;
    ChunkCommand chunk_;            // the last one; skip() counts it down
    std::optional<Reply> refusal_;  // of a chunk that is skipped
};

}  // namespace posthorse::smtp
