// One mail transaction as a server takes it: MAIL, RCPT and BDAT read, and what their faults are
// answered.
//
// Place     Under server_session.h; server_order.h says when a command may come.
// Contract  Pure: an argument in, a value or the refusal out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proto/smtp/command.h"
#include "proto/smtp/data_framing.h"
#include "proto/smtp/parameters.h"
#include "proto/types/envelope.h"
#include "proto/types/limits.h"
#include "proto/types/reply.h"

namespace posthorse::smtp {

struct AcceptedRecipient {
    std::string address;
    RecipientWishes wishes{};
    bool operator==(const AcceptedRecipient&) const = default;
};

// RFC 5321 section 3.3, so far.
struct Transaction {
    std::string sender;
    std::vector<AcceptedRecipient> recipients{};
    BodyKind body = BodyKind::seven_bit;  // as declared
    MailWishes wishes{};
    std::uint64_t declared_bytes = 0;  // SIZE=; 0: not given
    PriorityGiven priority = PriorityGiven::unasked;
};

// BDAT's argument (RFC 3030 section 2).
struct ChunkCommand {
    std::uint64_t bytes = 0;
    bool last = false;
};

// "FROM:<ann@example.org> SIZE=7" and "TO:<bob@example.net>": the transaction that it opens, the
// recipient that it adds.
std::variant<Transaction, Reply> read_mail(std::string_view argument,
                                           const MailOffer& offer,
                                           const Limits& limits);
std::variant<AcceptedRecipient, Reply> read_rcpt(std::string_view argument,
                                                 const Transaction& transaction);

// What the positive answer to MAIL becomes: who gets another priority than it asked for hears which
// (RFC 6710 section 4.1).
Reply answer_to_mail(const Reply& reply, const Transaction& transaction);

// nullopt: malformed, and nobody knows how many octets follow that are no commands. A number with a
// leading zero is: what counts in octal would find the end elsewhere.
std::optional<ChunkCommand> read_chunk_command(std::string_view argument);

// What the faults of a message are answered at its end.
std::optional<Reply> refusal_of(const DataFaults& faults);
// The line holds characters that its command must not hold.
Reply refusal_of(CommandFault fault);

}  // namespace posthorse::smtp
