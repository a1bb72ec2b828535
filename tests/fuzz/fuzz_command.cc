#include <algorithm>
#include <string>

#include "proto/smtp/auth_exchange.h"
#include "proto/smtp/base64.h"
#include "proto/smtp/command.h"
#include "proto/smtp/original_recipient.h"
#include "proto/smtp/parameters.h"
#include "proto/smtp/password_exchange.h"
#include "proto/smtp/server_offer.h"
#include "proto/smtp/server_transaction.h"
#include "proto/smtp/xtext.h"
#include "proto/types/utf8.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;
using namespace posthorse::smtp;

namespace {

void check_encodings(std::string_view text) {
    PH_ASSERT(decode_xtext(encode_xtext(text)) == text);
    PH_ASSERT(decode_base64(encode_base64(text)) == text);
    if (const auto octets = decode_base64(text)) PH_ASSERT(encode_base64(*octets) == text);
}

void check_printable(std::string_view text) {
    for (const char c : text) PH_ASSERT(static_cast<unsigned char>(c) >= 32 && c != 127);
}

void check_release(const FutureRelease& release, const ReleaseBounds& bounds) {
    PH_ASSERT(release.after <= bounds.after_max && release.at <= bounds.at_max);
    PH_ASSERT(release.after.count() == 0 || release.at == WallTime{});
    if (!release.asked()) return;
    MailParameters again;
    PH_ASSERT(!parse_mail_parameters(' ' + release_parameter(release), {.release = bounds}, again));
    const auto lost = release.at - again.wishes.release.at;  // a fraction of a second
    PH_ASSERT(lost.count() >= 0 && lost < std::chrono::seconds{1});
}

void check_deliver_by(const DeliverBy& by) {
    if (!by.asked()) return;
    MailParameters again;
    PH_ASSERT(!parse_mail_parameters(' ' + deliver_by_parameter(by), {}, again));
    PH_ASSERT(again.wishes.deliver_by == by);
}

void check_parameters(std::string_view text) {
    const MailOffer offer{.channel = Channel::tls,
                          .release = ReleaseBounds{.after_max = std::chrono::days{30},
                                                   .at_max = WallTime{std::chrono::days{40'000}}},
                          .priority_max = 4};
    MailParameters parameters;
    if (const auto refusal = parse_mail_parameters(text, offer, parameters)) {
        PH_ASSERT(refusal->permanent());
    } else {
        check_printable(decode_xtext(parameters.wishes.envelope_id).value());
        check_release(parameters.wishes.release, *offer.release);
        check_deliver_by(parameters.wishes.deliver_by);
        PH_ASSERT(parameters.wishes.priority >= -9 && parameters.wishes.priority <= 4);
    }
    RecipientWishes wishes;
    if (const auto refusal = parse_rcpt_parameters(text, wishes)) {
        PH_ASSERT(refusal->permanent());
    } else if (!wishes.original.empty()) {
        PH_ASSERT(parse_original_recipient(wishes.original).has_value());
    }
}

void check_original(std::string_view text) {
    const auto original = parse_original_recipient(text);
    if (!original) return;
    PH_ASSERT(is_harmless_utf8(original->address));
    check_printable(sanitise_utf8(original->address, text.size()));
    const auto ascii = as_ascii_parameter(text);
    PH_ASSERT(is_ascii(ascii));
    if (ascii.size() <= original_recipient_bytes_max)
        PH_ASSERT(parse_original_recipient(ascii) == original);
}

void check_passwords(std::string_view mechanism, std::optional<std::string> initial) {
    PasswordExchange exchange(mechanism);
    auto step = exchange.begin(std::move(initial));
    for (int lines = 0; std::holds_alternative<Challenge>(step); ++lines) {
        PH_ASSERT(lines < 3);
        step = exchange.respond("x");
    }
    const auto* credentials = std::get_if<Credentials>(&step);
    if (credentials != nullptr)
        PH_ASSERT(!credentials->user.empty() && !credentials->password.empty());
}

void check_auth(std::string_view argument) {
    const auto read = read_auth_command(argument, {"PLAIN", "LOGIN"});
    if (const auto* refusal = std::get_if<Reply>(&read)) return PH_ASSERT(refusal->permanent());
    const auto& command = std::get<AuthCommand>(read);
    check_passwords(command.mechanism, command.initial);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = fuzz::as_text(data, size);
    const auto command = parse_command(text);
    if (is_helo_name(command.argument)) {
        PH_ASSERT(command.argument.find_first_of(" ()<>;\r\n") == std::string_view::npos);
    }
    check_encodings(text);
    check_parameters(text);
    check_parameters(command.argument);
    check_original(text);
    read_chunk_command(command.argument);
    check_auth(command.argument);
    parse_offer(text);
    return 0;
}
