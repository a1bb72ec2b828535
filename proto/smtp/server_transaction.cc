#include "proto/smtp/server_transaction.h"

#include <limits>

#include "proto/smtp/address.h"
#include "proto/types/utf8.h"

namespace posthorse::smtp {

namespace {

Reply bad_argument(std::string text) {
    return {501, {5, 5, 4}, std::move(text)};
}

const Reply too_large{552, {5, 3, 4}, "Message is larger than this server takes"};

// RFC 6531 section 3.5.
Reply eight_bit_refusal() {
    return {553, {5, 6, 7}, "Address must be ASCII unless MAIL says SMTPUTF8"};
}

Reply path_refusal(PathFault fault, EnhancedCode code) {
    switch (fault) {
        case PathFault::eight_bit:
            return eight_bit_refusal();
        case PathFault::local_part_too_long:
            return {501, code, "Local part longer than 64 octets"};
        case PathFault::domain_too_long:
            return {501, code, "Domain longer than 255 octets"};
        case PathFault::path_too_long:
            return {501, code, "Path longer than 256 octets"};
        case PathFault::syntax:
        case PathFault::none:
            break;
    }
    return {501, code, "Bad address syntax: <local-part@domain> is wanted"};
}

std::optional<Reply> utf8_refusal(std::string_view argument) {
    if (is_utf8(argument)) return std::nullopt;
    return bad_argument("What is not ASCII must be UTF-8");
}

}  // namespace

std::variant<Transaction, Reply> read_mail(std::string_view argument,
                                           const MailOffer& offer,
                                           const Limits& limits) {
    if (auto refusal = utf8_refusal(argument)) return *refusal;
    const auto text = after_keyword(argument, "FROM:");
    if (!text) return bad_argument("Syntax: MAIL FROM:<address> [parameters]");
    // Whether UTF-8 is allowed stands behind the address.
    const auto path = parse_path(*text, PathKind::reverse, Charset::utf8);
    if (path.fault != PathFault::none) return path_refusal(path.fault, {5, 1, 7});
    MailParameters parameters;
    const auto rest = text->substr(path.length);
    if (auto refusal = parse_mail_parameters(rest, offer, parameters)) return *refusal;
    if (!parameters.wishes.utf8 && !is_ascii(argument)) return eight_bit_refusal();
    const auto most = limits.message_bytes_max;
    if (most != 0 && parameters.size_bytes > most) return too_large;
    return Transaction{.sender = std::string(path.mailbox),
                       .body = parameters.body,
                       .wishes = std::move(parameters.wishes),
                       .declared_bytes = parameters.size_bytes,
                       .priority = parameters.priority};
}

std::variant<AcceptedRecipient, Reply> read_rcpt(std::string_view argument,
                                                 const Transaction& transaction) {
    if (auto refusal = utf8_refusal(argument)) return *refusal;
    const auto text = after_keyword(argument, "TO:");
    if (!text) return bad_argument("Syntax: RCPT TO:<address> [parameters]");
    const auto charset = transaction.wishes.utf8 ? Charset::utf8 : Charset::ascii;
    const auto path = parse_path(*text, PathKind::forward, charset);
    if (path.fault != PathFault::none) return path_refusal(path.fault, {5, 1, 3});
    AcceptedRecipient recipient{.address = std::string(path.mailbox)};
    const auto rest = text->substr(path.length);
    if (auto refusal = parse_rcpt_parameters(rest, recipient.wishes)) return *refusal;
    if (charset == Charset::ascii && !is_ascii(argument)) return eight_bit_refusal();
    return recipient;
}

Reply answer_to_mail(const Reply& reply, const Transaction& transaction) {
    if (transaction.priority != PriorityGiven::lowered) return reply;
    return {250, {2, 3, 6}, std::to_string(transaction.wishes.priority) + " is its priority"};
}

std::optional<ChunkCommand> read_chunk_command(std::string_view argument) {
    const auto space = argument.find(' ');
    const auto digits = argument.substr(0, space);
    const auto bytes = parse_octet_count(digits);
    const bool zero_in_front = digits.size() > 1 && digits.front() == '0';
    if (!bytes || zero_in_front || *bytes > std::numeric_limits<std::int64_t>::max()) {
        return std::nullopt;
    }
    const bool last = space != std::string_view::npos;
    if (last && !equal_ignoring_case(argument.substr(space + 1), "LAST")) return std::nullopt;
    return ChunkCommand{.bytes = *bytes, .last = last};
}

std::optional<Reply> refusal_of(const DataFaults& faults) {
    if (faults.bare_cr || faults.bare_lf) {
        return Reply{550, {5, 5, 2}, "Bare CR or LF in the message: lines must end in CR LF"};
    }
    if (faults.too_large) return too_large;
    if (faults.nul) return Reply{554, {5, 6, 0}, "Message holds a NUL octet"};
    if (faults.line_too_long) return Reply{554, {5, 6, 0}, "Message has a line that is too long"};
    return std::nullopt;
}

Reply refusal_of(CommandFault fault) {
    if (fault == CommandFault::control_character) {
        return {500, {5, 5, 2}, "Control characters are not allowed in a command"};
    }
    return {501, {5, 5, 2}, "A command must be ASCII"};
}

}  // namespace posthorse::smtp
