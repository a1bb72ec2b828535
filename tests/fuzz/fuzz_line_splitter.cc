#include <string>
#include <vector>

#include "proto/smtp/line_splitter.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;

namespace {

constexpr std::size_t line_bytes_max = 24;  // small, so that inputs reach it

struct Seen {
    std::string text;
    smtp::LineFault fault;
    bool operator==(const Seen&) const = default;
};

std::vector<Seen> split(std::string_view text, std::size_t piece_bytes) {
    smtp::LineSplitter splitter;
    std::vector<Seen> lines;
    std::string kept;
    fuzz::in_pieces(text, piece_bytes, [&](std::string_view piece) {
        kept += piece;
        while (true) {
            const auto line = splitter.next(kept, line_bytes_max);
            PH_ASSERT(line.taken <= kept.size());
            PH_ASSERT(!line.complete || line.taken > 0);
            if (line.complete) lines.push_back({std::string(line.text), line.fault});
            if (line.taken == 0) break;
            kept.erase(0, line.taken);
        }
        PH_ASSERT(kept.size() < line_bytes_max);
    });
    return lines;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::size_t piece_bytes = 1 + input.octet() % 32;
    const auto whole = split(input.rest(), input.rest().size() + 1);
    for (const auto& line : whole) {
        PH_ASSERT(line.text.find_first_of("\r\n") == std::string::npos);
        PH_ASSERT(line.text.empty() || line.fault == smtp::LineFault::none);
    }
    PH_ASSERT(split(input.rest(), piece_bytes) == whole);
    return 0;
}
