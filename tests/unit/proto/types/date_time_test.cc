#include "proto/types/date_time.h"

#include <doctest/doctest.h>

using namespace posthorse;
using namespace std::chrono_literals;

namespace {

const WallTime afternoon{std::chrono::sys_days{std::chrono::year{2026} / 11 / 26} + 15h + 4min +
                         5s};

}  // namespace

TEST_CASE("a date and time in any form of RFC 3339") {
    CHECK(parse_date_time("2026-11-26T15:04:05Z") == afternoon);
    CHECK(parse_date_time("2026-11-26t15:04:05z") == afternoon);
    CHECK(parse_date_time("2026-11-26T16:34:05+01:30") == afternoon);
    CHECK(parse_date_time("2026-11-25T23:04:05-16:00") == afternoon);
    CHECK(parse_date_time("2026-11-26T15:04:05.25Z") == afternoon + 250ms);
    CHECK(parse_date_time("2026-11-26T15:04:05.1239999999999Z") == afternoon + 123ms);
    CHECK(parse_date_time("2028-02-29T00:00:00Z").has_value());
    CHECK(parse_date_time("2016-12-31T23:59:60Z") == parse_date_time("2017-01-01T00:00:00Z"));
}

TEST_CASE("what is no date and time") {
    for (const auto* bad :
         {"", "Z", "2026-11-26", "2026-11-26T15:04:05", "2026-11-26 15:04:05Z", "2026-11-26T15:04Z",
          "2026-11-26T15:04:05.Z", "2026-11-26T15:04:05ZZ", "2026-11-26T15:04:05+0100",
          "2026-11-26T15:04:05+24:00", "2026-11-26T24:00:00Z", "2026-11-26T15:60:00Z",
          "2026-11-26T15:04:61Z", "2026-02-29T00:00:00Z", "2026-00-01T00:00:00Z",
          "2026-13-01T00:00:00Z", "+026-11-26T15:04:05Z", "12026-11-26T15:04:05Z",
          "2026-11-26T15:04:-5Z"}) {
        CHECK_MESSAGE(!parse_date_time(bad), bad);
    }
}

TEST_CASE("a date and time is written in UTC and whole seconds") {
    CHECK(format_date_time(afternoon + 999ms) == "2026-11-26T15:04:05Z");
    CHECK(format_date_time(WallTime{}) == "1970-01-01T00:00:00Z");
    CHECK(parse_date_time(format_date_time(afternoon)) == afternoon);
}

TEST_CASE("the short forms of a date and time") {
    CHECK(format_date_time_compact(afternoon) == "20261126T150405Z");
    CHECK(format_day(afternoon) == "2026-11-26");
    CHECK(format_day(afternoon + 9h) == "2026-11-27");
}

TEST_CASE("times before 1970 and leap days are counted as others") {
    const auto civil = civil_time(WallTime{-1ms});
    CHECK(civil.year == 1969);
    CHECK(civil.month == 12);
    CHECK(civil.day == 31);
    CHECK(civil.second == 59);
    CHECK(format_day(*parse_date_time("2028-02-29T12:00:00Z")) == "2028-02-29");
}
