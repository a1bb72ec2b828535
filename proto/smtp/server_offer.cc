#include "proto/smtp/server_offer.h"

#include <algorithm>
#include <charconv>

#include "proto/smtp/command.h"

namespace posthorse::smtp {

namespace {

void add_size(std::string_view argument, ServerOffer& offer) {
    offer.size = true;
    std::uint64_t bytes = 0;
    const auto* end = argument.data() + argument.size();
    const auto parsed = std::from_chars(argument.data(), end, bytes);
    // A limit that cannot be read is no limit: the server will say so itself.
    if (parsed.ec == std::errc{} && parsed.ptr == end) offer.size_bytes_max = bytes;
}

// RFC 9422 section 3: 1 to 6 digits, never zero. What breaks that is no limit.
std::uint64_t limit_of(std::string_view digits) {
    std::uint64_t limit = 0;
    const auto* end = digits.data() + digits.size();
    const auto parsed = std::from_chars(digits.data(), end, limit);
    return digits.size() <= 6 && parsed.ec == std::errc{} && parsed.ptr == end ? limit : 0;
}

// "120", "120,OTHER": only the first is specified (RFC 2852 section 2).
void add_deliver_by(std::string_view argument, ServerOffer& offer) {
    offer.deliver_by = true;
    const auto end = std::min(argument.find(','), argument.size());
    std::from_chars(argument.data(), argument.data() + end, offer.deliver_by_seconds_min);
}

// "RCPTMAX=100 MAILMAX=20"
void add_limits(std::string_view argument, ServerOffer& offer) {
    while (!argument.empty()) {
        const auto end = std::min(argument.find(' '), argument.size());
        const auto one = argument.substr(0, end);
        const auto equals = std::min(one.find('='), one.size());
        const auto name = one.substr(0, equals);
        const auto limit = limit_of(one.substr(std::min(equals + 1, one.size())));
        if (equal_ignoring_case(name, "MAILMAX")) offer.mails_max = limit;
        if (equal_ignoring_case(name, "RCPTMAX")) offer.recipients_max = limit;
        if (equal_ignoring_case(name, "RCPTDOMAINMAX")) offer.recipient_domains_max = limit;
        argument.remove_prefix(std::min(end + 1, argument.size()));
    }
}

void add_keyword(std::string_view line, ServerOffer& offer) {
    const auto end = std::min(line.find(' '), line.size());
    const auto keyword = line.substr(0, end);
    const auto argument = line.substr(std::min(end + 1, line.size()));
    if (equal_ignoring_case(keyword, "STARTTLS")) offer.starttls = true;
    if (equal_ignoring_case(keyword, "PIPELINING")) offer.pipelining = true;
    if (equal_ignoring_case(keyword, "8BITMIME")) offer.eight_bit_mime = true;
    if (equal_ignoring_case(keyword, "ENHANCEDSTATUSCODES")) offer.enhanced_codes = true;
    if (equal_ignoring_case(keyword, "SMTPUTF8")) offer.smtp_utf8 = true;
    if (equal_ignoring_case(keyword, "DSN")) offer.notices = true;
    if (equal_ignoring_case(keyword, "REQUIRETLS")) offer.require_tls = true;
    if (equal_ignoring_case(keyword, "MT-PRIORITY")) offer.priority = true;
    if (equal_ignoring_case(keyword, "DELIVERBY")) add_deliver_by(argument, offer);
    if (equal_ignoring_case(keyword, "SIZE")) add_size(argument, offer);
    if (equal_ignoring_case(keyword, "LIMITS")) add_limits(argument, offer);
}

}  // namespace

ServerOffer parse_offer(std::string_view ehlo_text) {
    ServerOffer offer{.esmtp = true};
    auto line_end = ehlo_text.find('\n');
    while (line_end != std::string_view::npos) {
        ehlo_text.remove_prefix(line_end + 1);
        line_end = ehlo_text.find('\n');
        add_keyword(ehlo_text.substr(0, line_end), offer);
    }
    return offer;
}

}  // namespace posthorse::smtp
