#include "proto/smtp/reply_parser.h"

#include <doctest/doctest.h>

#include <string>

using namespace posthorse;
using namespace posthorse::smtp;

TEST_CASE("a reply of several lines is one reply, and what follows stays") {
    const std::string wire = "250-one\r\n250-\r\n250 three\r\n354 go\r\n";
    for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
        ReplyParser parser{Limits{}};
        std::string kept;
        std::string texts;
        for (std::size_t at = 0; at < wire.size(); at += piece) {
            kept += wire.substr(at, piece);
            std::size_t taken = 0;
            while (true) {
                const auto step = parser.next(kept, taken);
                REQUIRE_FALSE(std::holds_alternative<ReplyMalformed>(step));
                if (std::holds_alternative<ReplyWanted>(step)) break;
                const auto& reply = std::get<Reply>(step);
                texts += std::to_string(reply.code) + '(' + reply.text + ')';
            }
            kept.erase(0, taken);
        }
        CAPTURE(piece);
        CHECK(texts == "250(one\n\nthree)354(go)");
    }
}

TEST_CASE("enhanced codes are taken when they fit the reply") {
    struct Case {
        const char* line;
        EnhancedCode enhanced;
        const char* text;
    };
    for (const auto& [line, enhanced, text] :
         {Case{"550 5.1.1 no\r\n", {5, 1, 1}, "no"}, Case{"550 5.7.133 no\r\n", {5, 7, 133}, "no"},
          Case{"550 4.1.1 no\r\n", {}, "4.1.1 no"}, Case{"550 5.1 no\r\n", {}, "5.1 no"},
          Case{"550 5.1.1\r\n", {5, 1, 1}, ""}, Case{"550 5.1.1no\r\n", {}, "5.1.1no"},
          Case{"550 5.1.1234 no\r\n", {}, "5.1.1234 no"}, Case{"550\r\n", {}, ""}}) {
        ReplyParser parser{Limits{}};
        std::size_t taken = 0;
        const auto step = parser.next(line, taken);
        REQUIRE(std::holds_alternative<Reply>(step));
        CHECK(std::get<Reply>(step).enhanced == enhanced);
        CHECK(std::get<Reply>(step).text == text);
    }
}
