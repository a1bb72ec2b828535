// Must fail: a false claim about the parser, which a fuzzer that works refutes in moments.
#include "proto/smtp/address.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace posthorse::smtp;
    const auto path = parse_path(posthorse::fuzz::as_text(data, size), PathKind::forward);
    PH_ASSERT(path.mailbox.find('.') == std::string_view::npos);
    return 0;
}
