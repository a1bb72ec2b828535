#include <string>

#include "tests/fuzz/fuzz.h"
#include "tests/support/client_peer.h"

using namespace posthorse;
using posthorse::test::ClientPeer;

namespace {

constexpr std::uint8_t lmtp = 0x20;
constexpr std::uint8_t lease_lost = 0x40;
constexpr std::uint8_t tls_fails = 0x80;

std::vector<smtp::Job> jobs() {
    smtp::Job three{.sender = "a@example.org",
                    .recipients = {"b@example.net", "bad address", "c@example.net"},
                    .size_bytes = 500,
                    .body = BodyKind::eight_bit};
    smtp::Job wishing{.sender = "\xC3\xB6@example.org",
                      .recipients = {"c@example.net", "\xC3\xB6@example.com"},
                      .wishes = {.utf8 = true,
                                 .ret = ReturnContent::full,
                                 .envelope_id = "x",
                                 .deliver_by = {.otherwise = DeliverBy::Otherwise::notify,
                                                .trace = true,
                                                .left = std::chrono::seconds{7}},
                                 .priority = 3},
                      .recipient_wishes = {{{.said = true, .success = true}, "rfc822;x@y"},
                                           {{.said = true}, "utf-8;\xC3\xB6@y"}}};
    smtp::Job one{.sender = {}, .recipients = {"d@example.net"}, .size_bytes = 100};
    return {three, wishing, one};
}

void check_results(const ClientPeer& peer, Protocol protocol) {
    PH_ASSERT(peer.jobs_done() == peer.results().size());
    for (const auto& results : peer.results()) {
        for (const auto& result : results) {
            PH_ASSERT(result.reply.text.size() <= 1024);
            PH_ASSERT(result.kind != OutcomeKind::delivered || result.reply.code / 100 == 2);
            PH_ASSERT(!result.lost_after_dot || result.kind == OutcomeKind::deferred);
            PH_ASSERT(!result.lost_after_dot || result.reply.code == 0);
            const bool at_home =
                protocol == Protocol::lmtp && result.kind == OutcomeKind::delivered;
            PH_ASSERT(result.final_delivery == at_home);
            PH_ASSERT(!result.tell_relay || result.kind == OutcomeKind::delivered);
        }
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const auto choice = input.octet();
    const std::size_t piece_bytes = 1 + input.octet();
    const auto protocol = (choice & lmtp) != 0 ? Protocol::lmtp : Protocol::smtp;
    ClientPeer peer({.helo = "me.example.org",
                     .tls = static_cast<smtp::TlsUse>(choice % 3),
                     .protocol = protocol},
                    jobs());
    peer.lease_is_good = (choice & lease_lost) == 0;
    peer.tls_works = (choice & tls_fails) == 0;
    peer.tls_peer = choice & 1 ? smtp::TlsPeer::verified : smtp::TlsPeer::unverified;
    fuzz::in_pieces(input.rest(), piece_bytes,
                    [&](std::string_view piece) { peer.receive(piece); });
    peer.end(smtp::ClientEnd::peer_closed);
    PH_ASSERT(peer.closed());
    check_results(peer, protocol);
    return 0;
}
