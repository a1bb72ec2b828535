#include "daemon/intake/proxy_header.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace posthorse;
using intake::ProxyHeader;

namespace {

struct Reading {
    Result<ProxyHeader> header = ProxyHeader{};
    std::size_t taken = 0;
};

// In pieces of `step` octets, never more than is wanted.
Reading read(std::string_view octets, std::size_t step = 1000) {
    Reading reading;
    while (reading.header->wanted() > 0 && reading.taken < octets.size()) {
        const auto piece = octets.substr(reading.taken, std::min(step, reading.header->wanted()));
        reading.taken += piece.size();
        if (const auto done = reading.header->take(piece); !done) {
            reading.header = done.error();
            break;
        }
    }
    return reading;
}

std::string version_two(std::uint8_t command, std::uint8_t family, const std::string& rest) {
    std::string octets("\r\n\r\n\0\r\nQUIT\n", 12);
    octets += static_cast<char>(command);
    octets += static_cast<char>(family);
    octets += static_cast<char>(rest.size() >> 8);
    octets += static_cast<char>(rest.size() & 0xFF);
    return octets + rest;
}

const std::string four("\xC0\x00\x02\x07\xC0\x00\x02\x01\xD4\x31\x00\x19", 12);

}  // namespace

TEST_CASE("a PROXY header names the client, and not an octet more is taken") {
    struct Row {
        std::string header;
        std::string client;  // empty: it names none
    };
    const Row rows[] = {
        {"PROXY TCP4 192.0.2.7 192.0.2.1 54321 25\r\n", "192.0.2.7:54321"},
        {"PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n", "[2001:db8::7]:1"},
        {"PROXY UNKNOWN\r\n", ""},
        {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""},
        {version_two(0x21, 0x11, four), "192.0.2.7:54321"},
        {version_two(0x21, 0x11, four + std::string(40, 'x')), "192.0.2.7:54321"},  // extensions
        {version_two(0x21, 0x21,
                     "\x20\x01\x0d\xb8" + std::string(11, '\0') + "\x07" + std::string(16, '\0') +
                         std::string("\x00\x01\x00\x19", 4)),
         "[2001:db8::7]:1"},
        {version_two(0x20, 0x11, four), ""},  // LOCAL: the proxy asks whether we live
        {version_two(0x20, 0x00, ""), ""},
        {version_two(0x21, 0x12, four), ""},  // datagrams
        {version_two(0x21, 0x31, std::string(216, 'x')), ""},
    };
    for (const auto& row : rows) {
        for (const std::size_t step : {1u, 7u, 1000u}) {
            CAPTURE(row.header);
            CAPTURE(step);
            const auto reading = read(row.header + "EHLO client\r\n", step);
            REQUIRE_MESSAGE(reading.header.has_value(), reading.header.error().what);
            CHECK(reading.header->wanted() == 0);
            CHECK(reading.taken == row.header.size());
            std::ostringstream client;
            if (reading.header->client()) client << *reading.header->client();
            CHECK(client.str() == row.client);
        }
    }
}

TEST_CASE("what is no PROXY header is refused, and what is cut off is not complete") {
    const std::string refused[] = {
        "EHLO client.example.org\r\n",
        "GET / HTTP/1.1\r\n",
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x55", 12),  // a ClientHello
        "PROXY  TCP4 192.0.2.7 192.0.2.1 54321 25\r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 54321\r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 54321 25 \r\n",
        "PROXY TCP4 2001:db8::7 192.0.2.1 54321 25\r\n",
        "PROXY TCP6 192.0.2.7 2001:db8::1 1 2\r\n",
        "PROXY TCP4 192.0.2.256 192.0.2.1 1 2\r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 65536 25\r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 -1 25\r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\n",
        "PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n",
        "PROXY UNKNOWN " + std::string(200, 'x') + "\r\n",
        version_two(0x11, 0x11, four),
        version_two(0x22, 0x11, four),
        version_two(0x21, 0x11, four.substr(0, 11)),
        version_two(0x21, 0x21, four),
        version_two(0x21, 0x11, std::string(ProxyHeader::octets_max + 1, 'x')),
    };
    for (const auto& octets : refused) {
        CAPTURE(octets);
        const auto reading = read(octets, 5);
        REQUIRE_FALSE(reading.header.has_value());
        CHECK(reading.header.error().code == Errc::invalid);
    }
    const auto whole = version_two(0x21, 0x11, four);
    for (std::size_t length = 1; length < whole.size(); ++length)
        CHECK(read(whole.substr(0, length)).header->wanted() > 0);
}
