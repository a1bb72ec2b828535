#include "proto/smtp/parameters.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "proto/smtp/address.h"
#include "proto/smtp/command.h"
#include "proto/smtp/original_recipient.h"
#include "proto/smtp/xtext.h"
#include "proto/types/date_time.h"

namespace posthorse::smtp {

namespace {

constexpr std::size_t envelope_id_bytes_max = 100;  // RFC 3461 section 4.4
constexpr std::size_t deliver_by_digits_max = 9;    // RFC 2852 section 4

struct Parameter {
    std::string_view keyword;
    std::optional<std::string_view> value;
};

Reply malformed(std::string_view what) {
    return {501, {5, 5, 4}, std::string(what)};
}
Reply not_offered() {
    return {555, {5, 5, 4}, "Parameter not recognised"};
}

// The next parameter; takes it and the space before it off `text`. nullopt: no space there.
std::optional<Parameter> take_parameter(std::string_view& text) {
    if (!text.starts_with(' ')) return std::nullopt;
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const auto end = std::min(text.find(' '), text.size());
    const auto whole = text.substr(0, end);
    text.remove_prefix(end);
    const auto equals = whole.find('=');
    if (equals == std::string_view::npos) return Parameter{whole, std::nullopt};
    return Parameter{whole.substr(0, equals), whole.substr(equals + 1)};
}

// What reads one parameter into `Into`. False: its value is malformed.
template <class Into>
struct Reader {
    std::string_view keyword;
    bool (*read)(const Parameter&, Into&);
    std::string_view wanted;  // of the client
    bool (*offered)(const MailOffer&) = [](const MailOffer&) { return true; };
};

template <class Into>
std::optional<Reply> read_all(std::string_view text,
                              std::span<const Reader<Into>> readers,
                              const MailOffer& offer,
                              Into& into) {
    std::vector<const Reader<Into>*> seen;
    while (!text.empty()) {
        const auto parameter = take_parameter(text);
        if (!parameter) return malformed("A space must follow the address");
        const auto reader = std::ranges::find_if(readers, [&](const Reader<Into>& one) {
            return equal_ignoring_case(one.keyword, parameter->keyword) && one.offered(offer);
        });
        if (reader == readers.end()) return not_offered();
        const bool again = std::ranges::find(seen, &*reader) != seen.end();
        if (again || !reader->read(*parameter, into)) return malformed(reader->wanted);
        seen.push_back(&*reader);
    }
    return std::nullopt;
}

std::string_view value_of(const Parameter& parameter) {
    return parameter.value.value_or("");
}

// --- of MAIL

bool read_size(const Parameter& parameter, MailParameters& into) {
    const auto bytes = parse_octet_count(value_of(parameter));
    if (bytes) into.size_bytes = *bytes;
    return bytes.has_value();
}

bool read_body(const Parameter& parameter, MailParameters& into) {
    const bool eight_bit = equal_ignoring_case(value_of(parameter), "8BITMIME");
    into.body = eight_bit ? BodyKind::eight_bit : BodyKind::seven_bit;
    return eight_bit || equal_ignoring_case(value_of(parameter), "7BIT");
}

bool read_auth(const Parameter& parameter, MailParameters&) {
    const auto mailbox = decode_xtext(value_of(parameter));
    return mailbox &&
           (*mailbox == "<>" || (!mailbox->empty() && is_mailbox(*mailbox, PathKind::reverse)));
}

bool read_utf8(const Parameter& parameter, MailParameters& into) {
    into.wishes.utf8 = true;
    return !parameter.value;
}

bool read_require_tls(const Parameter& parameter, MailParameters& into) {
    into.wishes.require_tls = true;
    return !parameter.value;
}

bool read_ret(const Parameter& parameter, MailParameters& into) {
    const bool full = equal_ignoring_case(value_of(parameter), "FULL");
    into.wishes.ret = full ? ReturnContent::full : ReturnContent::headers;
    return full || equal_ignoring_case(value_of(parameter), "HDRS");
}

bool read_envelope_id(const Parameter& parameter, MailParameters& into) {
    const auto value = value_of(parameter);
    const auto decoded = decode_xtext(value);
    if (!decoded || decoded->empty() || value.size() > envelope_id_bytes_max) return false;
    into.wishes.envelope_id = value;
    return std::ranges::all_of(*decoded, [](char c) { return c >= 32 && c < 127; });
}

bool read_hold_for(const Parameter& parameter, MailParameters& into) {
    const auto digits = value_of(parameter);
    const auto seconds = parse_octet_count(digits);
    const bool first = !into.wishes.release.asked();
    if (!first || !seconds || digits.front() == '0' || digits.size() > 9) return false;
    into.wishes.release.after = std::chrono::seconds{*seconds};
    return true;
}

bool read_hold_until(const Parameter& parameter, MailParameters& into) {
    const auto at = parse_date_time(value_of(parameter));
    const bool first = !into.wishes.release.asked();
    if (!first || !at || *at <= WallTime{}) return false;
    into.wishes.release.at = *at;
    return true;
}

// RFC 2852 section 4: seconds, ";", N or R, and perhaps T.
bool read_deliver_by(const Parameter& parameter, MailParameters& into) {
    auto value = value_of(parameter);
    const bool negative = value.starts_with('-');
    if (negative || value.starts_with('+')) value.remove_prefix(1);
    const auto end = std::min(value.find(';'), value.size());
    const auto seconds = parse_octet_count(value.substr(0, end));
    const auto mode = value.substr(std::min(end + 1, value.size()));
    if (!seconds || end > deliver_by_digits_max || mode.empty()) return false;
    auto& by = into.wishes.deliver_by;
    by.left = std::chrono::seconds{*seconds} * (negative ? -1 : 1);
    by.trace = mode.size() > 1;
    if (by.trace && !equal_ignoring_case(mode.substr(1), "T")) return false;
    const bool gives_back = equal_ignoring_case(mode.substr(0, 1), "R");
    by.otherwise = gives_back ? DeliverBy::Otherwise::give_back : DeliverBy::Otherwise::notify;
    if (gives_back) return by.left.count() > 0;
    return equal_ignoring_case(mode.substr(0, 1), "N");
}

bool read_priority(const Parameter& parameter, MailParameters& into) {
    const auto priority = parse_priority(value_of(parameter));
    into.wishes.priority = priority.value_or(0);
    into.priority = PriorityGiven::as_asked;
    return priority.has_value();
}

bool offers_tls(const MailOffer& offer) {
    return offer.channel == Channel::tls;
}
bool offers_release(const MailOffer& offer) {
    return offer.release.has_value();
}

constexpr std::array mail_readers{
    Reader<MailParameters>{"SIZE", read_size, "SIZE must be one number"},
    Reader<MailParameters>{"BODY", read_body, "BODY must be 7BIT or 8BITMIME"},
    Reader<MailParameters>{"AUTH", read_auth, "AUTH must be one mailbox in xtext"},
    Reader<MailParameters>{"SMTPUTF8", read_utf8, "SMTPUTF8 has no value and is said once"},
    Reader<MailParameters>{"RET", read_ret, "RET must be FULL or HDRS"},
    Reader<MailParameters>{"ENVID", read_envelope_id,
                           "ENVID must be one xtext of at most 100 printable characters"},
    Reader<MailParameters>{"REQUIRETLS", read_require_tls,
                           "REQUIRETLS has no value and is said once", offers_tls},
    Reader<MailParameters>{"HOLDFOR", read_hold_for,
                           "HOLDFOR must be a number of seconds, without HOLDUNTIL",
                           offers_release},
    Reader<MailParameters>{"HOLDUNTIL", read_hold_until,
                           "HOLDUNTIL must be a date and time in UTC, without HOLDFOR",
                           offers_release},
    Reader<MailParameters>{"BY", read_deliver_by,
                           "BY must be seconds, above 0 with R, and ;N or ;R or ;NT or ;RT"},
    Reader<MailParameters>{"MT-PRIORITY", read_priority, "MT-PRIORITY must be one of -9 to 9"},
};

// RFC 4865 section 4.2 (7, 8).
bool is_too_far(const FutureRelease& release, const ReleaseBounds& bounds) {
    return release.after > bounds.after_max || release.at > bounds.at_max;
}

// --- of RCPT

// A word of NOTIFY's list; false: unknown, or there twice.
bool read_notify_word(std::string_view word, Notify& notify) {
    const auto set = [](bool& flag) { return !std::exchange(flag, true); };
    if (equal_ignoring_case(word, "SUCCESS")) return set(notify.success);
    if (equal_ignoring_case(word, "FAILURE")) return set(notify.failure);
    if (equal_ignoring_case(word, "DELAY")) return set(notify.delay);
    return false;
}

bool read_notify(const Parameter& parameter, RecipientWishes& into) {
    auto words = value_of(parameter);
    into.notify = {.said = true};
    if (equal_ignoring_case(words, "NEVER")) return true;
    for (;;) {
        const auto comma = words.find(',');
        if (!read_notify_word(words.substr(0, comma), into.notify)) return false;
        if (comma == std::string_view::npos) return true;
        words.remove_prefix(comma + 1);
    }
}

bool read_original(const Parameter& parameter, RecipientWishes& into) {
    into.original = value_of(parameter);
    return parse_original_recipient(into.original).has_value();
}

constexpr std::array rcpt_readers{
    Reader<RecipientWishes>{"NOTIFY", read_notify,
                            "NOTIFY must be NEVER, or a list of SUCCESS, FAILURE, DELAY"},
    Reader<RecipientWishes>{"ORCPT", read_original,
                            "ORCPT must be one type;address of at most 500 characters"},
};

}  // namespace

std::optional<std::uint64_t> parse_octet_count(std::string_view digits) {
    constexpr auto most = std::numeric_limits<std::uint64_t>::max();
    if (digits.empty() || digits.size() > 20) return std::nullopt;
    std::uint64_t count = 0;
    for (const char c : digits) {
        if (c < '0' || c > '9') return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        count = count > (most - digit) / 10 ? most : count * 10 + digit;
    }
    return count;
}

std::optional<int> parse_priority(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    if (text.size() != 1 || text[0] < '0' || text[0] > '9') return std::nullopt;
    const int priority = text[0] - '0';
    if (negative && priority == 0) return std::nullopt;
    return negative ? -priority : priority;
}

std::optional<Reply> parse_mail_parameters(std::string_view text,
                                           const MailOffer& offer,
                                           MailParameters& parameters) {
    auto refusal = read_all<MailParameters>(text, mail_readers, offer, parameters);
    if (refusal) return refusal;
    if (offer.release && is_too_far(parameters.wishes.release, *offer.release)) {
        return malformed("Messages are not held for so long: see FUTURERELEASE of EHLO");
    }
    if (parameters.wishes.priority > offer.priority_max) {
        parameters.wishes.priority = offer.priority_max;
        parameters.priority = PriorityGiven::lowered;
    }
    const auto& by = parameters.wishes.deliver_by;
    if (by.otherwise == DeliverBy::Otherwise::give_back && by.left < offer.deliver_by_min) {
        return Reply{555, {5, 5, 4}, "So little time cannot be kept: see DELIVERBY of EHLO"};
    }
    return std::nullopt;
}

std::optional<Reply> parse_rcpt_parameters(std::string_view text, RecipientWishes& wishes) {
    return read_all<RecipientWishes>(text, rcpt_readers, {}, wishes);
}

std::string notify_parameter(const Notify& notify) {
    std::string list;
    const auto add = [&list](bool wanted, std::string_view word) {
        if (wanted) (list += list.empty() ? "" : ",") += word;
    };
    add(notify.success, "SUCCESS");
    add(notify.failure, "FAILURE");
    add(notify.delay, "DELAY");
    return "NOTIFY=" + (list.empty() ? "NEVER" : list);
}

std::string deliver_by_parameter(const DeliverBy& by) {
    constexpr std::chrono::seconds most{999'999'999};
    const auto left = std::clamp(by.left, -most, most);
    const bool gives_back = by.otherwise == DeliverBy::Otherwise::give_back;
    return "BY=" + std::to_string(left.count()) + (gives_back ? ";R" : ";N") +
           (by.trace ? "T" : "");
}

std::string release_parameter(const FutureRelease& release) {
    if (release.at != WallTime{}) return "HOLDUNTIL=" + format_date_time(release.at);
    return "HOLDFOR=" + std::to_string(release.after.count());
}

}  // namespace posthorse::smtp
