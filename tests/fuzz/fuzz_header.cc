#include <string>

#include "proto/mail/address_list.h"
#include "proto/mail/header.h"
#include "proto/mail/header_fix.h"
#include "proto/mail/trace_header.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;
using namespace posthorse::mail;

namespace {

void check_fields(std::string_view text, const Header& header) {
    std::string together;
    for (const auto& field : header.fields) {
        PH_ASSERT(!field.name.empty());
        PH_ASSERT(unfold(field.value).find_first_of("\r\n") == std::string::npos);
        together += field.raw;
        for (const auto& address : addresses_of(field.value)) {
            PH_ASSERT(address.find('@') != std::string::npos);
            PH_ASSERT(address.find_first_of("\r\n") == std::string::npos);
        }
    }
    PH_ASSERT(together == text.substr(0, header.length));
}

void check_fix(const Header& header) {
    const HeaderFixFacts facts{.sender = "a@example.org", .host_name = "mx", .unique = "u"};
    const auto fixed = fix_header(header, facts);
    const auto again = parse_header(fixed);
    for (const auto* name : {"Date", "From", "Message-ID"}) PH_ASSERT(again.find(name) != nullptr);
    for (const auto* name : {"Bcc", "Return-Path"}) PH_ASSERT(again.find(name) == nullptr);
    PH_ASSERT(again.length == fixed.size());
    PH_ASSERT(fix_header(again, facts) == fixed);
}

void check_trace(std::string_view text) {
    const std::string hostile(text);
    const auto field = received_field({.origin = {.client_address = hostile,
                                                  .helo = hostile,
                                                  .protocol = hostile,
                                                  .tls = hostile},
                                       .host_name = "mx",
                                       .queue_id = "1",
                                       .recipient = hostile});
    const auto header = parse_header(field.text);
    PH_ASSERT(header.fields.size() == 1 && header.length == field.text.size());
    PH_ASSERT(field.text.compare(field.queue_id_at - 4, 5, "\tid 1") == 0);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = fuzz::as_text(data, size);
    const auto header = parse_header(text);
    check_fields(text, header);
    check_fix(header);
    check_trace(text);
    PH_ASSERT(message_id(header).size() <= 512);
    const auto body = find_body(text);
    PH_ASSERT(body == std::string_view::npos || text.substr(0, body).ends_with("\r\n"));
    return 0;
}
