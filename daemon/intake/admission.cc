#include "daemon/intake/admission.h"

#include <algorithm>

#include "daemon/runtime/idn.h"
#include "proto/mail/address_list.h"
#include "proto/mail/header.h"
#include "proto/smtp/address.h"

namespace posthorse::intake {
namespace {

// "example.org" is that domain, ".example.org" every domain below it.
bool covers(std::string_view written, std::string_view domain) {
    const bool suffix = written.starts_with('.');
    const auto relayed =
        (suffix ? "." : "") + runtime::to_a_labels(written.substr(suffix ? 1 : 0)).value_or("?");
    if (relayed.starts_with('.') && domain.size() > relayed.size()) {
        domain.remove_prefix(domain.size() - relayed.size());
    }
    return mail::equal_ignoring_case(relayed, domain);
}

}  // namespace

bool is_submission(const Client& client) {
    return client.trusted || !client.login.empty();
}

Reply admit_sender(const auth::SenderPolicy& policy,
                   const Client& client,
                   const std::string& sender) {
    const Reply ok{250, {2, 1, 0}, "sender ok"};
    if (client.login.empty() || policy.allows(client.login, sender)) return ok;
    return {553, {5, 7, 1}, "this login may not send as that address"};
}

Reply admit_author(const auth::SenderPolicy& policy,
                   const Client& client,
                   const mail::Header& header) {
    const Reply ok{250, {2, 0, 0}, "author ok"};
    if (client.login.empty() || policy.is_exempt(client.login)) return ok;
    bool named = false;
    for (const auto& field : header.fields) {
        if (!mail::equal_ignoring_case(field.name, "From")) continue;
        for (const auto& address : mail::addresses_of(field.value)) {
            named = true;
            if (!policy.allows(client.login, address))
                return {550, {5, 7, 1}, "this login may not write From another's address"};
        }
    }
    if (named) return ok;
    return {550, {5, 7, 1}, "the From field names no address"};
}

Reply admit_recipient(const config::Config& config,
                      const RecipientMap* map,
                      const Client& client,
                      const std::string& recipient) {
    const Reply ok{250, {2, 1, 5}, "recipient ok"};
    if (is_submission(client)) return ok;
    const auto address = runtime::with_a_labels(qualified(config, recipient));
    if (map != nullptr) {
        if (auto reply = map->judge(address)) return *std::move(reply);
    }
    const auto domain = smtp::domain_of(address);
    const auto& relayed = config.intake.relay_domains;
    const bool ours =
        std::ranges::any_of(relayed, [&](const auto& name) { return covers(name, domain); });
    if (ours || mail::equal_ignoring_case(address, "postmaster@" + config.host_name)) return ok;
    return {550, {5, 7, 1}, "relaying denied"};
}

std::optional<Reply> refuse_times(const MailWishes& wishes, WallTime now) {
    const auto& release = wishes.release;
    if (!release.asked()) return std::nullopt;
    const auto at = release.after.count() == 0 ? release.at : now + release.after;
    if (at <= now) return Reply{501, {5, 5, 4}, "HOLDUNTIL is over: it must be in the future"};
    const auto& by = wishes.deliver_by;
    if (!by.asked() || at <= now + by.left) return std::nullopt;
    return Reply{501, {5, 5, 4}, "BY would be over before the message is released"};
}

std::string qualified(const config::Config& config, std::string recipient) {
    if (smtp::domain_of(recipient).empty()) recipient += '@' + config.host_name;
    return recipient;
}

}  // namespace posthorse::intake
