#include <string>

#include "proto/mail/dsn.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;
using namespace posthorse::mail;

namespace {

DsnFacts facts_from(fuzz::Input& input) {
    DsnFacts facts{.host_name = "mx.example.org", .unique = "n1"};
    const auto choice = input.octet();
    facts.kind = choice & 1 ? DsnKind::failed : DsnKind::delayed;
    facts.sender = input.word();
    facts.queue_id = input.word();
    DsnRecipient recipient{.address = std::string(input.word()),
                           .original_recipient = std::string(input.word())};
    recipient.last.remote = input.word();
    recipient.last.reply = {
        choice * 4 % 600, {choice % 6, choice % 8, choice % 9}, std::string(input.word())};
    facts.recipients.assign(1 + choice % 3, recipient);
    facts.original_header = input.rest();
    facts.header_bytes_max = 4096;
    return facts;
}

void check_line(std::string_view line) {
    PH_ASSERT(line.size() <= 998);
    for (const char c : line) PH_ASSERT(c == '\t' || (c >= 32 && c < 127));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const auto notice = make_dsn(facts_from(input));
    std::size_t boundaries = 0;
    std::string_view rest = notice;
    while (!rest.empty()) {
        const auto end = rest.find("\r\n");
        PH_ASSERT(end != std::string_view::npos);
        check_line(rest.substr(0, end));
        boundaries += rest.starts_with("--n1=_report") ? 1 : 0;
        rest.remove_prefix(end + 2);
    }
    PH_ASSERT(boundaries == 4);
    return 0;
}
