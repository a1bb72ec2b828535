#include "proto/smtp/parameters.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "proto/smtp/address.h"
#include "proto/smtp/command.h"
#include "proto/smtp/xtext.h"

namespace posthorse::smtp {

namespace {

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

// RFC 1870 section 3: 1*20DIGIT, which may exceed 64 bits.
std::optional<std::uint64_t> parse_size(std::string_view digits) {
    constexpr auto most = std::numeric_limits<std::uint64_t>::max();
    if (digits.empty() || digits.size() > 20) return std::nullopt;
    std::uint64_t size = 0;
    for (const char c : digits) {
        if (c < '0' || c > '9') return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        size = size > (most - digit) / 10 ? most : size * 10 + digit;
    }
    return size;
}

std::optional<BodyKind> parse_body(std::string_view value) {
    if (equal_ignoring_case(value, "7BIT")) return BodyKind::seven_bit;
    if (equal_ignoring_case(value, "8BITMIME")) return BodyKind::eight_bit;
    return std::nullopt;
}

bool is_auth_mailbox(std::string_view value) {
    const auto mailbox = decode_xtext(value);
    return mailbox &&
           (*mailbox == "<>" || (!mailbox->empty() && is_mailbox(*mailbox, PathKind::reverse)));
}

// What of MAIL's parameters was seen, so that a second one is noticed.
class MailParameterReader {
public:
    explicit MailParameterReader(MailParameters& parameters) : parameters_(parameters) {}

    std::optional<Reply> read(const Parameter& parameter) {
        if (equal_ignoring_case(parameter.keyword, "SIZE")) return size(parameter);
        if (equal_ignoring_case(parameter.keyword, "BODY")) return body(parameter);
        if (equal_ignoring_case(parameter.keyword, "AUTH")) return auth(parameter);
        return not_offered();
    }

private:
    std::optional<Reply> size(const Parameter& parameter) {
        const auto bytes = parse_size(parameter.value.value_or(""));
        if (!bytes || std::exchange(size_seen_, true)) return malformed("SIZE must be one number");
        parameters_.size_bytes = *bytes;
        return std::nullopt;
    }

    std::optional<Reply> body(const Parameter& parameter) {
        const auto kind = parse_body(parameter.value.value_or(""));
        if (!kind || std::exchange(body_seen_, true))
            return malformed("BODY must be 7BIT or 8BITMIME");
        parameters_.body = *kind;
        return std::nullopt;
    }

    std::optional<Reply> auth(const Parameter& parameter) {
        const bool good = is_auth_mailbox(parameter.value.value_or(""));
        if (!good || std::exchange(auth_seen_, true))
            return malformed("AUTH must be one mailbox in xtext");
        return std::nullopt;
    }

    MailParameters& parameters_;
    bool size_seen_ = false;
    bool body_seen_ = false;
    bool auth_seen_ = false;
};

}  // namespace

std::optional<Reply> parse_mail_parameters(std::string_view text, MailParameters& parameters) {
    MailParameterReader reader(parameters);
    while (!text.empty()) {
        const auto parameter = take_parameter(text);
        if (!parameter) return malformed("A space must follow the address");
        if (auto refusal = reader.read(*parameter)) return refusal;
    }
    return std::nullopt;
}

std::optional<Reply> parse_rcpt_parameters(std::string_view text) {
    if (text.empty()) return std::nullopt;
    return text.front() == ' ' ? not_offered() : malformed("A space must follow the address");
}

}  // namespace posthorse::smtp
