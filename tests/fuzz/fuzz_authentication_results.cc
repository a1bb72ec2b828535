#include <string>

#include "proto/mail/authentication_results.h"
#include "proto/mail/dkim_signature.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;
using namespace posthorse::mail;

namespace {

bool is_ours(std::string_view id) {
    return equal_ignoring_case(id, "mx");
}

// What is left claims nothing in our name, and nothing else was touched.
void check_removal(const Header& header) {
    const auto kept = without_forged_results(header, is_ours);
    const auto again = parse_header(kept.section);
    PH_ASSERT(again.fields.size() + kept.count == header.fields.size());
    for (const auto& field : again.fields) {
        if (!equal_ignoring_case(field.name, authentication_results_name)) continue;
        const auto id = authserv_id(field.value);
        PH_ASSERT(id && !is_ours(*id));
    }
    PH_ASSERT(without_forged_results(again, is_ours).section == kept.section);
}

// Whatever a stranger's values hold, the field is one, is in our name, and says what we said.
void check_field(std::string_view text) {
    const std::string hostile(text);
    const auto field = authentication_results_field(
        "mx", {{"spf", "fail", hostile, {{"smtp", "mailfrom", hostile}, {"smtp", "helo", hostile}}},
               {"dmarc", "fail", hostile, {{"header", "from", hostile}}}});
    const auto header = parse_header(field, {.bytes_max = field.size()});
    PH_ASSERT(header.fields.size() == 1 && header.length == field.size());
    PH_ASSERT(authserv_id(header.fields[0].value) == "mx");
    const auto removed = without_forged_results(header, is_ours);
    PH_ASSERT(removed.count == 1 && removed.section.empty());
    PH_ASSERT(field.ends_with("\r\n") && field.find('\0') == std::string::npos);
}

void check_signature(std::string_view text) {
    const auto tags = parse_dkim_signature(text);
    if (!tags) return PH_ASSERT(!tags.error().what.empty());
    for (const auto* value : {&tags->domain, &tags->selector, &tags->algorithm, &tags->signature}) {
        PH_ASSERT(!value->empty() && value->find_first_of(" \t\r\n;") == std::string::npos);
    }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = fuzz::as_text(data, size);
    check_removal(parse_header(text));
    check_field(text);
    check_signature(text);
    if (const auto id = authserv_id(text))
        PH_ASSERT(id->find_first_of("\r\n") == std::string::npos);
    return 0;
}
