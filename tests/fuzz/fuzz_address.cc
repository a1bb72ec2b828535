#include <algorithm>
#include <string>

#include "proto/smtp/address.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;
using namespace posthorse::smtp;

namespace {

void check(std::string_view text, PathKind kind) {
    const auto path = parse_path(text, kind);
    if (path.fault != PathFault::none) {
        PH_ASSERT(path.mailbox.empty() && path.length == 0);
        return;
    }
    PH_ASSERT(path.length <= 256 && path.length <= text.size());
    PH_ASSERT(text[path.length - 1] == '>');
    PH_ASSERT(std::ranges::all_of(path.mailbox, [](char c) { return c >= 32 && c < 127; }));
    PH_ASSERT(is_mailbox(path.mailbox, kind));
    PH_ASSERT(local_part_of(path.mailbox).size() <= 64 && domain_of(path.mailbox).size() <= 255);
    const auto again = '<' + std::string(path.mailbox) + '>';
    PH_ASSERT(parse_path(again, kind).mailbox == path.mailbox);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = fuzz::as_text(data, size);
    check(text, PathKind::reverse);
    check(text, PathKind::forward);
    const bool literal = is_address_literal(text);
    PH_ASSERT(!(literal && is_domain(text)));
    PH_ASSERT(is_mailbox("x@" + std::string(text), PathKind::reverse) ==
              ((literal || is_domain(text)) && text.size() <= 252));
    return 0;
}
