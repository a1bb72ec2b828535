#include <algorithm>
#include <string>

#include "daemon/intake/proxy_header.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;

namespace {

struct Seen {
    bool refused = false;
    bool complete = false;
    std::size_t taken = 0;
    std::optional<intake::ProxyHeader::Endpoint> client;
    bool operator==(const Seen&) const = default;
};

Seen read(std::string_view text, std::size_t piece_bytes) {
    intake::ProxyHeader header;
    Seen seen;
    while (header.wanted() > 0 && seen.taken < text.size() && !seen.refused) {
        const auto piece = text.substr(seen.taken, std::min(piece_bytes, header.wanted()));
        seen.refused = !header.take(piece).has_value();
        seen.taken += piece.size();
        PH_ASSERT(header.wanted() <= intake::ProxyHeader::octets_max || seen.refused);
    }
    seen.complete = !seen.refused && header.wanted() == 0;
    if (seen.complete) seen.client = header.client();
    return seen;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::size_t piece_bytes = 1 + input.octet() % 32;
    const auto whole = read(input.rest(), input.rest().size() + 1);
    const auto pieces = read(input.rest(), piece_bytes);
    PH_ASSERT(whole.refused == pieces.refused && whole.complete == pieces.complete);
    if (!whole.refused) PH_ASSERT(whole == pieces);
    return 0;
}
