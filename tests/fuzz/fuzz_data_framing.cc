#include <string>

#include "proto/smtp/data_framing.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;

namespace {

struct Decoded {
    std::string bytes;
    std::size_t taken = 0;
    bool ended = false;
    bool faulty = false;
    bool operator==(const Decoded&) const = default;
};

Decoded decode(std::string_view wire, std::size_t piece_bytes) {
    smtp::DataDecoder decoder(1000, 100);
    Decoded decoded;
    std::string kept;
    fuzz::in_pieces(wire, piece_bytes, [&](std::string_view piece) {
        if (decoded.ended) return;
        kept += piece;
        std::size_t taken = 0;
        while (!decoded.ended) {
            const auto step = decoder.next(std::string_view(kept).substr(taken));
            if (step.taken == 0) break;
            taken += step.taken;
            decoded.bytes += step.bytes;
            decoded.ended = step.end;
        }
        kept.erase(0, taken);
        decoded.taken += taken;
        PH_ASSERT(decoded.ended || kept.size() <= 2);
    });
    PH_ASSERT(decoder.bytes() == decoded.bytes.size());
    decoded.faulty = decoder.faults().any();
    return decoded;
}

void check_end(std::string_view wire, const Decoded& decoded) {
    // As if a CR LF stood in front of the data.
    const bool at_once = wire.starts_with(".\r\n");
    const auto found = wire.find("\r\n.\r\n");
    PH_ASSERT(decoded.ended == (at_once || found != std::string_view::npos));
    if (decoded.ended) PH_ASSERT(decoded.taken == (at_once ? 3 : found + 5));
}

void check_round_trip(std::string_view message, std::size_t piece_bytes) {
    smtp::DotStuffer stuffer;
    std::string wire;
    fuzz::in_pieces(message, piece_bytes,
                    [&](std::string_view piece) { stuffer.stuff(piece, wire); });
    stuffer.finish(wire);
    wire += smtp::final_dot;
    const auto decoded = decode(wire, piece_bytes);
    PH_ASSERT(decoded.ended && decoded.taken == wire.size());
    std::string expected(message);
    if (!message.empty() && !message.ends_with("\r\n")) expected += "\r\n";
    PH_ASSERT(decoded.bytes == expected);
}

// The same octets as one message of two chunks.
void check_chunks(std::string_view message, std::size_t cut, std::size_t piece_bytes) {
    smtp::ChunkDecoder whole(1000, 100);
    whole.open(message.size());
    PH_ASSERT(whole.next(message) == message && whole.chunk_complete());
    smtp::ChunkDecoder decoder(1000, 100);
    std::string bytes;
    for (const auto chunk : {message.substr(0, cut), message.substr(cut)}) {
        decoder.open(chunk.size());
        fuzz::in_pieces(chunk, piece_bytes,
                        [&](std::string_view piece) { bytes += decoder.next(piece); });
        PH_ASSERT(decoder.chunk_complete());
    }
    PH_ASSERT(bytes == message);
    PH_ASSERT(decoder.finish() == whole.finish());
    PH_ASSERT(decoder.faults().any() == whole.faults().any());
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::size_t piece_bytes = 1 + input.octet() % 32;
    const auto decoded = decode(input.rest(), input.rest().size() + 1);
    check_end(input.rest(), decoded);
    PH_ASSERT(decode(input.rest(), piece_bytes) == decoded);
    check_round_trip(input.rest(), piece_bytes);
    check_chunks(input.rest(), input.rest().size() / 3, piece_bytes);
    return 0;
}
