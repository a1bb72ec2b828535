#include "daemon/config/units.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace posthorse::config;
using namespace std::chrono_literals;

TEST_CASE("durations are sums of numbers with units") {
    CHECK(parse_duration("0") == 0ms);
    CHECK(parse_duration("0s") == 0ms);
    CHECK(parse_duration("500ms") == 500ms);
    CHECK(parse_duration("90s") == 90s);
    CHECK(parse_duration("5m") == 5min);
    CHECK(parse_duration("4d") == 96h);
    CHECK(parse_duration("1h30m") == 90min);
}

TEST_CASE("what is no duration is refused") {
    for (const auto* text :
         {"", "5", "m", "5 m", "-5m", "5min", "1.5h", "5m3", "5mm", "99999999999999999999s",
          "106751991168d", "100000000000d100000000000d"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_duration(text));
    }
}

TEST_CASE("sizes are bytes, or numbers with decimal or binary units") {
    CHECK(parse_size("0") == 0u);
    CHECK(parse_size("52428800") == 52'428'800u);
    CHECK(parse_size("1B") == 1u);
    CHECK(parse_size("50MB") == 50'000'000u);
    CHECK(parse_size("256MiB") == 268'435'456u);
    CHECK(parse_size("2GiB") == 2'147'483'648u);
    for (const auto* text : {"", "MB", "50 MB", "50mb", "-1", "1.5MB", "1e6", "99999999999GiB"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_size(text));
    }
}

TEST_CASE("what is written is read back") {
    for (const auto value : {0ms, 1ms, 1500ms, 60'000ms, 5'400'000ms, 345'600'000ms}) {
        CHECK(parse_duration(format_duration(value)) == value);
    }
    CHECK(format_duration(96h) == "4d");
    for (const std::uint64_t bytes :
         {0ull, 1ull, 1000ull, 1024ull, 52'428'800ull, 50'000'000ull, 123'456'789ull}) {
        CHECK(parse_size(format_size(bytes)) == bytes);
    }
    CHECK(format_size(256ull << 20) == "256MiB");
}
