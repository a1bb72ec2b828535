// SCRAM's server, in both forms, with whatever a client may send.
#include <string>

#include "daemon/auth/sasl.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;
using namespace posthorse::auth;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const auto keys = *make_scram_keys("secret", "saltsaltsaltsalt");
    fuzz::Input input(data, size);
    const auto choice = input.octet();
    const auto kind = choice % 2 == 0 ? ScramKind::plain : ScramKind::plus;
    ChannelBindings bindings;
    if (choice & 2) bindings.tls_exporter = std::string(32, 'e');
    if (choice & 4) bindings.tls_unique = std::string(12, 'u');
    ScramExchange exchange(kind, [](const std::string&) { return keys; }, bindings);
    for (int steps = 0; steps < 4; ++steps) {
        const auto step = exchange.step(std::string(input.word()));
        if (const auto* verdict = std::get_if<ScramVerdict>(&step)) {
            // Nobody guesses a proof.
            PH_ASSERT(!verdict->accepted);
            break;
        }
    }
    return 0;
}
