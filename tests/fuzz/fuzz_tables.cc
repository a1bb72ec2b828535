#include <algorithm>

#include "daemon/auth/password_file.h"
#include "daemon/auth/sender_policy.h"
#include "daemon/intake/recipient_map.h"
#include "daemon/intake/sender_map.h"
#include "daemon/schedule/route_table.h"
#include "daemon/sign/signing_table.h"
#include "proto/types/destination.h"
#include "tests/fuzz/fuzz.h"

using namespace posthorse;

namespace {

// A malformed row is skipped with its line, never a refusal to run with the rest.
void check(const std::vector<config::Problem>& problems, std::string_view text) {
    const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
    for (const auto& problem : problems) {
        PH_ASSERT(!problem.fatal && problem.line <= lines);  // 0: the whole table
        PH_ASSERT(!problem.what.empty() && problem.file == "table");
    }
}

void check_routes(std::string_view text) {
    schedule::RouteTable routes;
    schedule::RouteTable::Problems problems;
    routes.add_mailertable(text, "table", problems);
    check(problems, text);
    for (const auto* address : {"a@example.org", "a@sub.example.org", "a@[192.0.2.1]"}) {
        PH_ASSERT(Destination::parse(routes.destination_of(address)).has_value());
    }
}

void check_intake_maps(std::string_view text) {
    std::vector<config::Problem> problems;
    const auto recipients = intake::RecipientMap::parse(text, "table", problems);
    for (const auto* address : {"a@example.org", "postmaster", "@", "a@b@c"}) {
        const auto reply = recipients.judge(address);
        PH_ASSERT(!reply || (reply->code >= 250 && reply->code < 600));
    }
    intake::SenderMap senders("mx.example.org", {"example.org", "!b.example.org"});
    senders.add_table(text, "table", problems);
    check(problems, text);
    // Also as a header section: what names no sender stays byte for byte.
    senders.header(text);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = fuzz::as_text(data, size);
    const auto passwords = auth::parse_passwords(text, "table");
    check(passwords.problems, text);
    for (const auto& [login, hash] : passwords.hashes) {
        PH_ASSERT(auth::normalise_login(login) == login && !hash.empty());
    }
    for (const auto& [login, keys] : passwords.scram_keys) {
        PH_ASSERT(passwords.hashes.contains(login));
        PH_ASSERT(auth::parse_scram_keys(auth::to_text(keys)) == keys);
    }
    auto senders = auth::parse_allowed_senders(text, "table");
    check(senders.problems, text);
    const auth::SenderPolicy policy("mx.example.org", {}, std::move(senders));
    PH_ASSERT(policy.allows("ann@example.org", "ann@example.org"));
    const auto keys = sign::parse_key_table(text, "table");
    check(keys.problems, text);
    for (const auto& [name, row] : keys.rows) PH_ASSERT(!row.domain.empty() && !row.key.empty());
    for (const auto kind : {sign::TableKind::file, sign::TableKind::refile}) {
        const auto signing = sign::parse_signing_table(text, "table", kind);
        check(signing.problems, text);
        for (const auto& row : signing.rows) sign::matches(row, text.substr(0, 320));
    }
    check_routes(text);
    check_intake_maps(text);
    return 0;
}
