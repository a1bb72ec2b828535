#include <array>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/support/server_peer.h"

using namespace posthorse;
using posthorse::test::ServerPeer;

namespace {

struct Ran {
    std::string output;
    std::vector<test::ReceivedMessage> messages;
    bool operator==(const Ran&) const = default;
};

// Each NUL-free word of the script is what the client sends before and after a TLS handshake.
Ran run(const char* profile, std::string_view script, std::size_t piece_bytes) {
    ServerPeer peer(test::server_profile(profile));
    fuzz::Input input(reinterpret_cast<const std::uint8_t*>(script.data()), script.size());
    while (!input.rest().empty()) {
        fuzz::in_pieces(input.word(), piece_bytes,
                        [&](std::string_view piece) { peer.receive(piece); });
        if (peer.tls_wanted()) peer.finish_tls();
    }
    peer.end(smtp::EndReason::peer_closed);
    PH_ASSERT(peer.closed() && !peer.in_body());
    return {peer.take_output(), peer.messages()};
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::array profiles{"mx", "submission", "submissions", "trusted"};
    fuzz::Input input(data, size);
    const auto* profile = profiles[input.octet() % profiles.size()];
    const std::size_t piece_bytes = 1 + input.octet() % 64;
    const auto whole = run(profile, input.rest(), size + 1);
    PH_ASSERT(run(profile, input.rest(), piece_bytes) == whole);
    for (const auto& message : whole.messages) {
        PH_ASSERT(!message.recipients.empty());
        PH_ASSERT(message.bytes.empty() || message.bytes.ends_with("\r\n"));
    }
    return 0;
}
