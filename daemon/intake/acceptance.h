// One message on its way from the end of RCPT to custody: header fixed, signed, in the queue.
//
// Place     Stage 2. Driven by connection.h; calls replication/replicated_queue.h on home.
//           docs/life-of-a-message.md, steps 2 and 3.
// Contract  take() for each piece, with store() behind those that ask for it, then finish() or
//           abort(): exactly one of the two.
//           finish() gives a positive reply only after the queue's commit: then the message is in
//           custody (P1). Every other reply means that nothing of it remains, but for a result
//           that the queue calls unknown.
//           A message that must be signed and cannot be gets 451 and is not kept (P8).
//           Only submissions are altered: header fields that they lack are added (RFC 6409
//           section 8). Mail from port 25 gets its trace field; where the listener verifies, also
//           what was found out (RFC 8601), and it loses fields that say so in our name. A message
//           that cannot be verified at all gets 451 and is not kept; no result is a refusal.
// Owner     The connection's coroutine.
// Bounds    Memory: the header section (limits.header_bytes_max) and two chunks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "daemon/intake/admission.h"
#include "daemon/intake/intake_context.h"
#include "proto/mail/header.h"
#include "proto/mail/trace_header.h"
#include "proto/smtp/server_session.h"

namespace posthorse::intake {

namespace asio = boost::asio;

class Acceptance {
public:
    Acceptance(IntakeContext& context, Client client, Origin origin, smtp::Transaction transaction);
    ~Acceptance();  // aborts what was begun and not finished
    Acceptance(const Acceptance&) = delete;
    Acceptance& operator=(const Acceptance&) = delete;

    // Octets of the content, in order. True: store() is due before more is taken.
    bool take(std::string_view bytes);
    // Hands whole chunks to the queue; the client waits that long.
    asio::awaitable<void> store();
    asio::awaitable<Reply> finish();
    void abort();

    QueueId id() const noexcept { return id_; }
    std::uint64_t size_bytes() const noexcept { return size_bytes_; }

private:
    // Chunk 0. The id of a message in one piece is known when it goes into the queue.
    struct Head {
        std::string text;
        std::size_t id_at;  // in `text`
    };

    void take_header_end(std::string_view bytes);
    void end_header();
    void note_header(std::string_view section);
    void note_priority(const mail::Header& header);
    bool fix_and_sign(const mail::Header& header, std::string& section);
    void begin_verification();
    asio::awaitable<std::string> verified();
    void refuse_unverified(const Error& error);
    std::string author(std::string_view section) const;
    void add_body(std::string_view bytes);
    bool has_chunk() const;
    std::string cut_chunk();
    asio::awaitable<void> flush_chunk();
    asio::awaitable<void> ensure_begun();
    asio::awaitable<std::optional<Head>> make_head();
    asio::awaitable<Result<QueueId>> commit(Envelope envelope, Head head);
    asio::awaitable<Result<std::string>> sign();
    void refuse(Reply why);
    void refuse(const Error& error, const char* what);
    void log_refusal(const Error& error, const char* what) const;
    void log_accepted(WallTime release_at) const;
    void log_verified() const;
    Envelope make_envelope(std::uint64_t head_bytes) const;
    std::string acceptance_event() const;  // for its history
    mail::ReceivedField trace_field() const;

    IntakeContext& context_;
    Client client_;
    Origin origin_;
    smtp::Transaction transaction_;
    QueueId id_;
    bool begun_ = false;
    bool finished_ = false;
    bool in_header_ = true;
    std::optional<Reply> refusal_;  // decided; the rest of the body is swallowed
    std::string buffer_;            // header section while in_header_, then the chunk that fills
    std::uint32_t chunk_count_ = 0;
    std::uint64_t size_bytes_ = 0;  // of what is stored
    std::string message_id_;
    bool eight_bit_ = false;                              // octets above 127 came
    bool utf8_header_ = false;                            // they came in the header section
    std::optional<sign::Signing> signing_;                // nullopt: not to be signed
    std::unique_ptr<verify::Verification> verification_;  // null: not to be verified
    std::optional<verify::Findings> findings_;            // of it
};

}  // namespace posthorse::intake
