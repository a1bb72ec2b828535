#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "proto/smtp/data_framing.h"
#include "proto/smtp/line_splitter.h"

using namespace posthorse::smtp;

namespace {

struct Decoded {
    std::string bytes;
    std::string rest;  // behind the end of data
    DataFaults faults;
    bool ended = false;
};

// Feeds `wire` in pieces of `piece_bytes`, keeping what was not taken, as a driver does.
Decoded decode(std::string_view wire,
               std::size_t piece_bytes,
               DataDecoder decoder = DataDecoder{0}) {
    Decoded result;
    std::string kept;
    while (!result.ended && (!wire.empty() || !kept.empty())) {
        const auto piece = wire.substr(0, piece_bytes);
        kept += piece;
        wire.remove_prefix(piece.size());
        const bool exhausted = wire.empty();
        std::size_t taken = 0;
        while (!result.ended && taken < kept.size()) {
            const auto step = decoder.next(std::string_view(kept).substr(taken));
            if (step.taken == 0) break;
            taken += step.taken;
            result.bytes += step.bytes;
            result.ended = step.end;
        }
        kept.erase(0, taken);
        if (exhausted) break;
    }
    result.rest = kept + std::string(wire);
    result.faults = decoder.faults();
    return result;
}

struct SplitLine {
    std::string text;
    LineFault fault;
    bool operator==(const SplitLine&) const = default;
};

std::vector<SplitLine> split(std::string_view wire,
                             std::size_t piece_bytes,
                             std::size_t bytes_max) {
    LineSplitter splitter;
    std::vector<SplitLine> lines;
    std::string kept;
    while (!wire.empty()) {
        kept += wire.substr(0, piece_bytes);
        wire.remove_prefix(std::min(piece_bytes, wire.size()));
        while (true) {
            const auto line = splitter.next(kept, bytes_max);
            if (line.complete) lines.push_back({std::string(line.text), line.fault});
            kept.erase(0, line.taken);
            if (line.taken == 0) break;
        }
    }
    return lines;
}

}  // namespace

TEST_CASE("a line ends in CR LF only, however the input was cut") {
    for (std::size_t piece = 1; piece < 20; ++piece) {
        CAPTURE(piece);
        CHECK(split("NOOP\r\n\r\nQUIT\r\n", piece, 100) ==
              std::vector<SplitLine>{
                  {"NOOP", LineFault::none}, {"", LineFault::none}, {"QUIT", LineFault::none}});
    }
}

TEST_CASE("a faulty line is reported once and nothing in it is taken for a line") {
    const std::vector<SplitLine> good_after{{"NOOP", LineFault::none}};
    struct Case {
        std::string_view wire;
        LineFault fault;
    };
    using namespace std::string_view_literals;
    for (const auto& [wire, fault] :
         {Case{"A\nRSET\n\rX\r\nNOOP\r\n"sv, LineFault::bare_lf},
          Case{"\nNOOP\r\nNOOP\r\n"sv, LineFault::bare_lf},
          Case{"A\rRSET\nQUIT\r\nNOOP\r\n"sv, LineFault::bare_cr},
          Case{"A\r\r\nNOOP\r\n"sv, LineFault::bare_cr},
          Case{"\r\r\r\nNOOP\r\n"sv, LineFault::bare_cr},
          Case{"0123456789ABCDEF0\nQUIT\n\r\nNOOP\r\n"sv, LineFault::too_long},
          Case{"0123456789ABCDE\r\nNOOP\r\n"sv, LineFault::too_long}}) {
        for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
            CAPTURE(wire);
            CAPTURE(piece);
            auto expected = good_after;
            expected.insert(expected.begin(), {"", fault});
            CHECK(split(wire, piece, 16) == expected);
        }
    }
}

TEST_CASE("a line may be exactly as long as the limit, with its CR LF") {
    CHECK(split("0123456789ABCD\r\n", 3, 16) ==
          std::vector<SplitLine>{{"0123456789ABCD", LineFault::none}});
}

TEST_CASE("the end of a line that is too long is found when the limit falls between CR and LF") {
    CHECK(split("0123456789ABCDE\r\nNOOP\r\n", 1, 16) ==
          std::vector<SplitLine>{{"", LineFault::too_long}, {"NOOP", LineFault::none}});
}

TEST_CASE("data end at CR LF dot CR LF and the stuffing is taken out (attacks: S3)") {
    struct Case {
        std::string wire, message;
    };
    const std::vector<Case> cases{
        {".\r\n", ""},
        {"\r\n.\r\n", "\r\n"},
        {"a\r\n.\r\n", "a\r\n"},
        {"..\r\n.\r\n", ".\r\n"},
        {"...\r\n.\r\n", "..\r\n"},
        {".x\r\n.\r\n", "x\r\n"},
        {"a.\r\nb..c\r\n.\r\n", "a.\r\nb..c\r\n"},
        {"a\r\n..\r\n...b\r\n.\r\n", "a\r\n.\r\n..b\r\n"},
    };
    for (const auto& c : cases) {
        for (std::size_t piece = 1; piece <= c.wire.size() + 6; ++piece) {
            CAPTURE(c.wire);
            CAPTURE(piece);
            const auto decoded = decode(c.wire + "QUIT\r\n", piece);
            CHECK(decoded.ended);
            CHECK(decoded.bytes == c.message);
            CHECK(decoded.rest == "QUIT\r\n");
            CHECK_FALSE(decoded.faults.any());
        }
    }
}

TEST_CASE("no look-alike ends the data (attacks: S1)") {
    using namespace std::string_literals;
    const std::vector<std::string> look_alikes{
        "\n.\n",      "\n.\r\n",     "\r\n.\n",       "\r.\r",       "\r.\r\n",      "\r\n.\r",
        "\n.\r",      "\r.\n",       "\r\r\n.\r\r\n", "\r\n.\r\r\n", "\r\n\0.\r\n"s, "\r\n.\0\r\n"s,
        "\r\n. \r\n", "\r\n.\t\r\n", "\n\n.\n\n",     "\r\n.\n\r\n",
    };
    for (const auto& fake : look_alikes) {
        const auto wire = "one" + fake + "MAIL FROM:<smuggled@example.org>\r\n.\r\nQUIT\r\n";
        for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
            CAPTURE(fake);
            CAPTURE(piece);
            const auto decoded = decode(wire, piece);
            REQUIRE(decoded.ended);
            CHECK(decoded.rest == "QUIT\r\n");
            CHECK(decoded.bytes.ends_with("MAIL FROM:<smuggled@example.org>\r\n"));
        }
    }
}

TEST_CASE("faults are told apart and found across pieces") {
    using namespace std::string_literals;
    for (std::size_t piece = 1; piece < 12; ++piece) {
        CAPTURE(piece);
        const auto cr = decode("a\rb\r\n.\r\n", piece).faults;
        CHECK((cr.bare_cr && !cr.bare_lf && !cr.nul));
        const auto cr_cr = decode("a\r\r\n.\r\n", piece).faults;
        CHECK((cr_cr.bare_cr && !cr_cr.bare_lf));
        const auto lf = decode("a\nb\r\n.\r\n", piece).faults;
        CHECK((lf.bare_lf && !lf.bare_cr));
        const auto nul = decode("a\0b\r\n.\r\n"s, piece).faults;
        CHECK((nul.nul && !nul.bare_cr && !nul.bare_lf));
    }
}

TEST_CASE("sizes are counted without the stuffing") {
    CHECK_FALSE(decode("..345\r\n.\r\n", 3, DataDecoder{6}).faults.too_large);
    CHECK(decode("..3456\r\n.\r\n", 3, DataDecoder{6}).faults.too_large);
    CHECK_FALSE(decode("..345\r\n12345\r\n.\r\n", 3, DataDecoder{0, 7}).faults.line_too_long);
    CHECK(decode("1\r\n123456\r\n.\r\n", 3, DataDecoder{0, 7}).faults.line_too_long);
}

TEST_CASE("an over-size message is followed to its end") {
    const auto decoded =
        decode(std::string(5000, 'x') + "\r\n.\r\nQUIT\r\n", 100, DataDecoder{1000});
    CHECK(decoded.ended);
    CHECK(decoded.faults.too_large);
    CHECK(decoded.rest == "QUIT\r\n");
}

TEST_CASE("what was stuffed is read back, for every cut of every short text over . CR LF x") {
    constexpr std::string_view letters = ".\r\nx";
    for (unsigned number = 0; number < 4096; ++number) {
        std::string text;
        for (unsigned n = number, i = 0; i < 6; ++i, n /= 4) text += letters[n % 4];
        for (std::size_t cut = 0; cut <= text.size(); ++cut) {
            DotStuffer stuffer;
            std::string wire;
            stuffer.stuff(std::string_view(text).substr(0, cut), wire);
            stuffer.stuff(std::string_view(text).substr(cut), wire);
            stuffer.finish(wire);
            wire += final_dot;
            const auto decoded = decode(wire, 1 + cut);
            const auto expected = text.ends_with("\r\n") ? text : text + "\r\n";
            REQUIRE(decoded.ended);
            REQUIRE(decoded.rest.empty());
            REQUIRE(decoded.bytes == expected);
        }
    }
}

TEST_CASE("an empty message needs no CR LF before the final dot") {
    DotStuffer stuffer;
    std::string wire;
    stuffer.finish(wire);
    CHECK(wire.empty());
    CHECK(stuffer.at_line_start());
    stuffer.stuff("a", wire);
    CHECK_FALSE(stuffer.at_line_start());
    stuffer.finish(wire);
    CHECK(wire == "a\r\n");
    CHECK(stuffer.at_line_start());
}
