#include <string>

#include "proto/smtp/address.h"
#include "proto/types/utf8.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;
using namespace posthorse::smtp;

namespace {

void check(std::string_view text, PathKind kind, Charset charset) {
    const auto path = parse_path(text, kind, charset);
    if (path.fault != PathFault::none) {
        PH_ASSERT(path.mailbox.empty() && path.length == 0);
        return;
    }
    PH_ASSERT(path.length <= 256 && path.length <= text.size());
    PH_ASSERT(text[path.length - 1] == '>');
    PH_ASSERT(sanitise_utf8(path.mailbox) == path.mailbox);
    PH_ASSERT(charset == Charset::utf8 || is_ascii(path.mailbox));
    PH_ASSERT(is_mailbox(path.mailbox, kind, charset));
    PH_ASSERT(local_part_of(path.mailbox).size() <= 64 && domain_of(path.mailbox).size() <= 255);
    const auto again = '<' + std::string(path.mailbox) + '>';
    PH_ASSERT(parse_path(again, kind, charset).mailbox == path.mailbox);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = fuzz::as_text(data, size);
    for (const auto charset : {Charset::ascii, Charset::utf8}) {
        check(text, PathKind::reverse, charset);
        check(text, PathKind::forward, charset);
    }
    const bool literal = is_address_literal(text);
    PH_ASSERT(!(literal && is_domain(text)));
    PH_ASSERT(is_mailbox("x@" + std::string(text), PathKind::reverse) ==
              ((literal || is_domain(text)) && text.size() <= 252));
    return 0;
}
