#include "daemon/intake/proxy_header.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "proto/types/assert.h"

namespace posthorse::intake {
namespace {

using boost::asio::ip::address;
using boost::asio::ip::address_v4;
using boost::asio::ip::address_v6;

constexpr std::string_view signature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::string_view line_begins = "PROXY ";
constexpr std::size_t line_octets_max = 107;
constexpr std::size_t fixed_octets = 16;  // of version 2: signature, version, family, length

Error no_header(const char* why) {
    return {Errc::invalid,
            std::string("the connection does not begin with a PROXY header: ") + why};
}

std::uint8_t octet(std::string_view text, std::size_t at) {
    return static_cast<std::uint8_t>(text[at]);
}

std::size_t sixteen_bits(std::string_view text, std::size_t at) {
    return static_cast<std::size_t>(octet(text, at)) << 8 | octet(text, at + 1);
}

std::vector<std::string_view> words(std::string_view text) {
    std::vector<std::string_view> all;
    for (std::size_t begin = 0; begin <= text.size();) {
        const auto end = std::min(text.find(' ', begin), text.size());
        all.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return all;
}

std::optional<std::uint16_t> port(std::string_view text) {
    std::uint16_t number = 0;
    const auto* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    if (text.empty() || error != std::errc{} || end != last) return std::nullopt;
    return number;
}

template <class Address>
address read_address(std::string_view text) {
    typename Address::bytes_type bytes;
    std::copy_n(text.begin(), bytes.size(), bytes.begin());
    return Address(bytes);
}

}  // namespace

Result<void> ProxyHeader::take(std::string_view octets) {
    PH_ASSERT(!octets.empty() && octets.size() <= wanted_);
    octets_ += octets;
    wanted_ -= octets.size();
    switch (part_) {
        case Part::beginning:
            return wanted_ > 0 ? Result<void>{} : judge_beginning();
        case Part::line:
            return judge_line();
        case Part::length:
            if (wanted_ > 0) return {};
            part_ = Part::addresses;
            wanted_ = sixteen_bits(octets_, fixed_octets - 2);
            if (wanted_ > octets_max) return no_header("it is too long");
            [[fallthrough]];
        case Part::addresses:
            return wanted_ > 0 ? Result<void>{} : judge_addresses();
    }
    return {};
}

Result<void> ProxyHeader::judge_beginning() {
    if (octets_ == signature) {
        part_ = Part::length;
        wanted_ = fixed_octets - signature.size();
        return {};
    }
    if (!octets_.starts_with(line_begins))
        return no_header("its first octets are of neither version");
    part_ = Part::line;
    return judge_line();
}

// Octet by octet: its end is not known before it is there.
Result<void> ProxyHeader::judge_line() {
    wanted_ = octets_.ends_with("\r\n") ? 0 : 1;
    if (wanted_ > 0) {
        if (octets_.size() >= line_octets_max || octets_.ends_with('\n'))
            return no_header("its line does not end with CR LF");
        return {};
    }
    const auto line = std::string_view(octets_).substr(0, octets_.size() - 2);
    const auto said = words(line.substr(line_begins.size()));
    if (said.front() == "UNKNOWN") return {};
    const bool four = said.front() == "TCP4";
    if ((!four && said.front() != "TCP6") || said.size() != 5)
        return no_header("its line is neither TCP4, TCP6 nor UNKNOWN, with addresses and ports");
    boost::system::error_code no_source;
    boost::system::error_code no_target;
    const auto source = boost::asio::ip::make_address(std::string(said[1]), no_source);
    const auto target = boost::asio::ip::make_address(std::string(said[2]), no_target);
    const auto source_port = port(said[3]);
    const bool good = !no_source && !no_target && source.is_v4() == four &&
                      target.is_v4() == four && source_port && port(said[4]);
    if (!good) return no_header("its addresses or ports are malformed");
    client_ = Endpoint(source, *source_port);
    return {};
}

// What is no TCP over IP, and what the proxy sends on its own account, has no client to name.
Result<void> ProxyHeader::judge_addresses() {
    const auto version_and_command = octet(octets_, 12);
    const auto family = octet(octets_, 13);
    const auto addresses = std::string_view(octets_).substr(fixed_octets);
    if ((version_and_command >> 4) != 2) return no_header("its version is not 2");
    const auto command = version_and_command & 0xF;
    if (command > 1) return no_header("its command is neither LOCAL nor PROXY");
    if (command == 0) return {};
    constexpr std::uint8_t tcp4 = 0x11;
    constexpr std::uint8_t tcp6 = 0x21;
    if (family != tcp4 && family != tcp6) return {};
    const std::size_t width = family == tcp4 ? 4 : 16;
    if (addresses.size() < 2 * width + 4) return no_header("its addresses are cut off");
    const auto source =
        family == tcp4 ? read_address<address_v4>(addresses) : read_address<address_v6>(addresses);
    client_ = Endpoint(source, static_cast<std::uint16_t>(sixteen_bits(addresses, 2 * width)));
    return {};
}

}  // namespace posthorse::intake
