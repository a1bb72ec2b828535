#include "daemon/admin/queue_filter.h"

#include <algorithm>

#include "daemon/config/table.h"

namespace posthorse::admin {
namespace {

constexpr auto lower = [](char c) { return config::lower(c); };

// `wanted` is in lower case.
bool equals_lowered(std::string_view text, std::string_view wanted) {
    return std::ranges::equal(text, wanted, {}, lower);
}

bool contains_lowered(std::string_view text, std::string_view wanted) {
    return wanted.empty() || !std::ranges::search(text, wanted, {}, lower).empty();
}

std::string_view without_brackets(std::string_view message_id) {
    if (message_id.starts_with('<')) message_id.remove_prefix(1);
    if (message_id.ends_with('>')) message_id.remove_suffix(1);
    return message_id;
}

std::string_view domain_view(std::string_view address) {
    const auto at = address.rfind('@');
    return at == std::string_view::npos ? address : address.substr(at + 1);
}

bool waits_for_domain(const Envelope& envelope, std::string_view domain) {
    return std::ranges::any_of(envelope.recipients, [&](const Recipient& recipient) {
        return recipient.state == RecipientState::pending &&
               equals_lowered(domain_view(recipient.address), domain);
    });
}

bool has_recipient(const Envelope& envelope, const AddressPattern& pattern) {
    return std::ranges::any_of(envelope.recipients, [&](const Recipient& recipient) {
        return pattern.matches(recipient.address);
    });
}

bool reply_contains(const Envelope& envelope, std::string_view wanted) {
    return std::ranges::any_of(envelope.recipients, [&](const Recipient& recipient) {
        return recipient.last.at != WallTime{} &&
               contains_lowered(recipient.last.reply.to_line(), wanted);
    });
}

bool recipient_contains(const Envelope& envelope, std::string_view wanted) {
    return std::ranges::any_of(envelope.recipients, [&](const Recipient& recipient) {
        return contains_lowered(recipient.address, wanted);
    });
}

bool state_matches(MessageState wanted, const Envelope& envelope, bool delivering) {
    if (wanted == MessageState::in_doubt) return envelope.in_doubt > 0;
    return state_of(envelope, delivering) == wanted;
}

}  // namespace

MessageState state_of(const Envelope& envelope, bool delivering) {
    if (envelope.held) return MessageState::held;
    if (delivering) return MessageState::active;
    return envelope.in_doubt > 0 ? MessageState::in_doubt : MessageState::deferred;
}

std::optional<AddressPattern> AddressPattern::parse(std::string_view text) {
    if (text == "<>") return AddressPattern(false, "");
    const bool any_local = text.starts_with("*@");
    if (any_local) text.remove_prefix(2);
    if (text.empty() || text.find('*') != std::string_view::npos) return std::nullopt;
    return AddressPattern(any_local, config::lower(text));
}

bool AddressPattern::matches(std::string_view address) const {
    if (any_local_ && address.empty()) return false;
    return equals_lowered(any_local_ ? domain_view(address) : address, wanted_);
}

bool QueueFilter::empty() const {
    return !sender && !recipient && domain.empty() && !state && !older_than && !newer_than &&
           id_prefix.empty() && !in_doubt && message_id.empty() && reply.empty() && text.empty();
}

bool QueueFilter::matches(const Envelope& envelope, bool delivering, WallTime now) const {
    const auto age = now - envelope.accepted_at;
    if (older_than && age <= *older_than) return false;
    if (newer_than && age >= *newer_than) return false;
    if (state && !state_matches(*state, envelope, delivering)) return false;
    if (in_doubt && envelope.in_doubt == 0) return false;
    if (sender && !sender->matches(envelope.sender)) return false;
    if (!id_prefix.empty() && !envelope.id.to_string().starts_with(id_prefix)) return false;
    if (!domain.empty() && !waits_for_domain(envelope, domain)) return false;
    if (recipient && !has_recipient(envelope, *recipient)) return false;
    return texts_match(envelope);
}

bool QueueFilter::texts_match(const Envelope& envelope) const {
    if (!message_id.empty() && !equals_lowered(without_brackets(envelope.message_id), message_id)) {
        return false;
    }
    if (!reply.empty() && !reply_contains(envelope, reply)) return false;
    return text.empty() || contains_lowered(envelope.sender, text) ||
           contains_lowered(envelope.message_id, text) || recipient_contains(envelope, text) ||
           reply_contains(envelope, text);
}

}  // namespace posthorse::admin
