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

void add_keyword(std::string_view line, ServerOffer& offer) {
    const auto end = std::min(line.find(' '), line.size());
    const auto keyword = line.substr(0, end);
    if (equal_ignoring_case(keyword, "STARTTLS")) offer.starttls = true;
    if (equal_ignoring_case(keyword, "PIPELINING")) offer.pipelining = true;
    if (equal_ignoring_case(keyword, "8BITMIME")) offer.eight_bit_mime = true;
    if (equal_ignoring_case(keyword, "ENHANCEDSTATUSCODES")) offer.enhanced_codes = true;
    if (equal_ignoring_case(keyword, "SIZE"))
        add_size(line.substr(std::min(end + 1, line.size())), offer);
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
