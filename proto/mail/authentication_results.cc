#include "proto/mail/authentication_results.h"

#include <algorithm>

#include "proto/types/utf8.h"

namespace posthorse::mail {
namespace {

constexpr std::size_t line_bytes_wanted = 78;  // RFC 5322 section 2.1.1

bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_beyond_ascii(char c) {
    return static_cast<unsigned char>(c) >= 0x80;
}

// RFC 2045 section 5.1, with what RFC 8616 adds.
bool is_token_octet(char c) {
    constexpr std::string_view specials = "()<>@,;:\\\"/[]?=";
    return is_beyond_ascii(c) ||
           (c > ' ' && c < 0x7F && specials.find(c) == std::string_view::npos);
}

bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, is_token_octet);
}

bool is_domain_octet(char c) {
    return is_alphanumeric(c) || is_beyond_ascii(c) || c == '-' || c == '.' || c == '_';
}

// RFC 5322 section 3.2.3, and the dot.
bool is_local_part_octet(char c) {
    constexpr std::string_view specials = "!#$%&'*+-/=?^_`{|}~.";
    return is_alphanumeric(c) || is_beyond_ascii(c) || specials.find(c) != std::string_view::npos;
}

// "ann@example.org" or "@example.org", which stand without quotes.
bool is_address(std::string_view text) {
    const auto at = text.find('@');
    return at != std::string_view::npos && at + 1 < text.size() &&
           std::ranges::all_of(text.substr(0, at), is_local_part_octet) &&
           std::ranges::all_of(text.substr(at + 1), is_domain_octet);
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out += '"';
}

std::string property_value(std::string_view value) {
    const auto safe = sanitise_utf8(value, property_bytes_max);
    return is_token(safe) || is_address(safe) ? safe : quoted(safe);
}

// A field that grows word by word, and begins another line rather than a long one.
class FoldedField {
public:
    explicit FoldedField(std::string_view name) : text_(std::string(name) + ':') {}

    void word(const std::string& text) {
        if (text_.size() - line_begin_ + 1 + text.size() > line_bytes_wanted) return line(text);
        text_ += ' ' + text;
    }
    void line(const std::string& text) {
        text_ += "\r\n";
        line_begin_ = text_.size();
        text_ += '\t' + text;
    }
    void end_result() { text_ += ';'; }
    std::string finish() { return std::move(text_) + "\r\n"; }

private:
    std::string text_;
    std::size_t line_begin_ = 0;
};

void write(FoldedField& field, const AuthenticationResult& result) {
    field.line(result.method + '=' + result.result);
    if (!result.reason.empty()) field.word("reason=" + quoted(sanitise_utf8(result.reason, 200)));
    for (const auto& [type, name, value] : result.properties) {
        if (value.empty() || value.size() > property_bytes_max) continue;
        field.word(type + '.' + name + '=' + property_value(value));
    }
}

// Takes the front of a value apart: comments, white space, tokens, quoted strings.
class ValueReader {
public:
    explicit ValueReader(std::string_view text) : rest_(text) {}

    // False: a comment that does not end.
    bool skip_comments_and_space() {
        while (!rest_.empty()) {
            if (rest_.front() == '(') {
                if (!skip_comment()) return false;
            } else if (std::string_view(" \t\r\n").find(rest_.front()) != std::string_view::npos) {
                rest_.remove_prefix(1);
            } else {
                break;
            }
        }
        return true;
    }

    std::optional<std::string> value() {
        if (!rest_.empty() && rest_.front() == '"') return quoted_string();
        const auto end = std::ranges::find_if_not(rest_, is_token_octet);
        const auto length = static_cast<std::size_t>(end - rest_.begin());
        if (length == 0) return std::nullopt;
        std::string token(rest_.substr(0, length));
        rest_.remove_prefix(length);
        return token;
    }

    void skip_digits() {
        while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
            rest_.remove_prefix(1);
        }
    }
    bool at_result() const { return rest_.empty() || rest_.front() == ';'; }

private:
    bool skip_comment() {
        std::size_t depth = 0;
        for (std::size_t i = 0; i < rest_.size(); ++i) {
            if (rest_[i] == '\\') {
                ++i;
            } else if (rest_[i] == '(') {
                ++depth;
            } else if (rest_[i] == ')' && --depth == 0) {
                rest_.remove_prefix(i + 1);
                return true;
            }
        }
        return false;
    }

    std::optional<std::string> quoted_string() {
        std::string text;
        for (std::size_t i = 1; i < rest_.size(); ++i) {
            if (rest_[i] == '"') {
                rest_.remove_prefix(i + 1);
                return text;
            }
            if (rest_[i] == '\\' && ++i == rest_.size()) break;
            if (rest_[i] != '\r' && rest_[i] != '\n') text += rest_[i];
        }
        return std::nullopt;
    }

    std::string_view rest_;
};

}  // namespace

std::string authentication_results_field(std::string_view authserv_id,
                                         const std::vector<AuthenticationResult>& results) {
    FoldedField field(authentication_results_name);
    field.word(property_value(authserv_id));
    if (results.empty()) {
        field.end_result();
        field.word("none");
    }
    for (const auto& result : results) {
        field.end_result();
        write(field, result);
    }
    return field.finish();
}

std::optional<std::string> authserv_id(std::string_view value) {
    ValueReader reader(value);
    if (!reader.skip_comments_and_space()) return std::nullopt;
    auto id = reader.value();
    if (!id || !reader.skip_comments_and_space()) return std::nullopt;
    reader.skip_digits();  // the version
    if (!reader.skip_comments_and_space() || !reader.at_result()) return std::nullopt;
    return id;
}

ForgedFieldsRemoved without_forged_results(
    const Header& header, const std::function<bool(std::string_view authserv_id)>& is_ours) {
    ForgedFieldsRemoved kept;
    for (const auto& field : header.fields) {
        if (equal_ignoring_case(field.name, authentication_results_name)) {
            const auto id = authserv_id(field.value);
            if (!id || is_ours(*id)) {
                ++kept.count;
                continue;
            }
        }
        kept.section += field.raw;
    }
    return kept;
}

}  // namespace posthorse::mail
