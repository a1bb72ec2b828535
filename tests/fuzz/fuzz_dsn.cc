#include <string>

#include "proto/mail/dsn.h"
#include "proto/types/utf8.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;
using namespace posthorse::mail;

namespace {

DsnFacts facts_from(fuzz::Input& input) {
    DsnFacts facts{.host_name = "mx.example.org", .unique = "n1"};
    const auto choice = input.octet();
    constexpr DsnKind kinds[] = {DsnKind::delayed, DsnKind::failed, DsnKind::relayed,
                                 DsnKind::delivered};
    facts.kind = kinds[choice & 3];
    facts.charset = choice & 64 ? DsnCharset::utf8 : DsnCharset::ascii;
    facts.sender = input.word();
    facts.queue_id = input.word();
    DsnRecipient recipient{.address = std::string(input.word()),
                           .original_recipient = std::string(input.word())};
    recipient.last.remote = input.word();
    recipient.last.reply = {
        choice * 4 % 600, {choice % 6, choice % 8, choice % 9}, std::string(input.word())};
    facts.recipients.assign(1 + choice % 3, recipient);
    facts.original_header = input.rest();
    facts.envelope_id = facts.original_header.substr(0, 100);
    facts.header_bytes_max = 4096;
    return facts;
}

void check_line(std::string_view line, DsnCharset charset) {
    PH_ASSERT(line.size() <= 998);
    PH_ASSERT(charset == DsnCharset::utf8 ? is_harmless_utf8(line) : is_ascii(line));
    for (const char c : line)
        PH_ASSERT(c == '\t' || (static_cast<unsigned char>(c) >= 32 && c != 127));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const auto facts = facts_from(input);
    const auto notice = make_dsn(facts);
    std::size_t boundaries = 0;
    std::string_view rest = notice;
    while (!rest.empty()) {
        const auto end = rest.find("\r\n");
        PH_ASSERT(end != std::string_view::npos);
        check_line(rest.substr(0, end), facts.charset);
        boundaries += rest.starts_with("--n1=_report") ? 1 : 0;
        rest.remove_prefix(end + 2);
    }
    PH_ASSERT(boundaries == 4);
    return 0;
}
