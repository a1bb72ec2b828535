#include "proto/types/utf8.h"

#include <doctest/doctest.h>

using namespace posthorse;

TEST_CASE("what is UTF-8") {
    for (const auto* good :
         {"", "plain",
          "b\xC3\xB6"
          "b",
          "\xE4\xBE\x8B", "\xF0\x9F\x90\xB4", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF4\x8F\xBF\xBF"}) {
        CHECK_MESSAGE(is_utf8(good), good);
    }
    for (const auto* bad : {"\x80", "\xC3", "\xC3(", "\xC0\xAF", "\xC1\x81", "\xE0\x80\xAF",
                            "\xED\xA0\x80", "\xF0\x80\x80\xAF", "\xF4\x90\x80\x80",
                            "\xF5\x80\x80\x80", "\xFF", "\xE4\xBE", "a\xFE"}) {
        CHECK_MESSAGE(!is_utf8(bad), bad);
    }
}

TEST_CASE("characters and their lengths") {
    CHECK(utf8_front("a") == U'a');
    CHECK(utf8_front("\xC3\xB6x") == U'\u00F6');
    CHECK(utf8_front("\xE4\xBE\x8B") == U'\u4F8B');
    CHECK(utf8_front("\xF0\x9F\x90\xB4") == U'\U0001F434');
    CHECK(utf8_length("\xE4\xBE\x8B\xC3") == 3);
    CHECK(utf8_length("") == 0);
    CHECK(is_ascii("a@b"));
    CHECK_FALSE(is_ascii("\x80"));
}

TEST_CASE("what is shown keeps its letters and loses what would harm a line") {
    CHECK(sanitise_utf8("b\xC3\xB6"
                        "b@\xE4\xBE\x8B") ==
          "b\xC3\xB6"
          "b@\xE4\xBE\x8B");
    CHECK(sanitise_utf8("a\r\nb\tc\x01\x7F") == "a b c??");
    CHECK(sanitise_utf8("a\xFF\xC3") == "a??");
    CHECK(sanitise_utf8("\xC2\x85|\xE2\x80\xA8|\xE2\x80\xAE|\xE2\x81\xA6") == "?|?|?|?");
    CHECK(sanitise_utf8("ab\xE4\xBE\x8B", 4) == "ab");
    CHECK(sanitise_utf8("ab\xE4\xBE\x8B", 5) == "ab\xE4\xBE\x8B");
}

TEST_CASE("harmless is what is shown as it is") {
    CHECK(is_harmless_utf8("b\xC3\xB6"));
    CHECK_FALSE(is_harmless_utf8("b\xC2\x85"));
    CHECK_FALSE(is_harmless_utf8("b\xC3"));
}
