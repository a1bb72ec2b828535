#include "daemon/verify/spf_record.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "daemon/config/table.h"
#include "daemon/verify/spf_macro.h"

namespace posthorse::verify {
namespace {

using Kind = SpfMechanism::Kind;

constexpr std::string_view version = "v=spf1";

struct KindName {
    std::string_view name;
    Kind kind;
};
constexpr std::array<KindName, 8> kind_names{{{"all", Kind::all},
                                              {"include", Kind::include},
                                              {"a", Kind::a},
                                              {"mx", Kind::mx},
                                              {"ptr", Kind::ptr},
                                              {"ip4", Kind::ip4},
                                              {"ip6", Kind::ip6},
                                              {"exists", Kind::exists}}};

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Section 6: the name of a modifier.
bool is_name(std::string_view text) {
    return !text.empty() && is_letter(text.front()) && std::ranges::all_of(text, [](char c) {
        return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.';
    });
}

// Section 7.1: toplabel.
bool is_top_label(std::string_view label) {
    const bool letters_and_hyphens =
        std::ranges::all_of(label, [](char c) { return is_letter(c) || is_digit(c) || c == '-'; });
    return !label.empty() && letters_and_hyphens && label.front() != '-' && label.back() != '-' &&
           !std::ranges::all_of(label, is_digit);
}

// Section 7.1: domain-spec ends in a macro, or in a dot and a label that no number is.
bool is_domain_spec(std::string_view text) {
    if (!is_macro_string(text)) return false;
    if (ends_in_macro(text)) return true;
    if (text.ends_with('.')) text.remove_suffix(1);
    const auto dot = text.rfind('.');
    return dot != std::string_view::npos && is_top_label(text.substr(dot + 1));
}

std::optional<unsigned> parse_bits(std::string_view text, unsigned max) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number > max)
        return std::nullopt;
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    return number;
}

class Parser {
public:
    std::optional<SpfRecord> parse(std::string_view text) {
        text.remove_prefix(version.size());
        while (!text.empty()) {
            const auto end = std::min(text.find(' '), text.size());
            if (end > 0 && !term(text.substr(0, end))) return std::nullopt;
            text.remove_prefix(std::min(end + 1, text.size()));
        }
        return std::move(record_);
    }

private:
    bool term(std::string_view text) {
        const auto end = text.find_first_of("=:/");
        const bool is_modifier = end != std::string_view::npos && text[end] == '=';
        return is_modifier ? modifier(text.substr(0, end), text.substr(end + 1)) : mechanism(text);
    }

    bool modifier(std::string_view name, std::string_view value) {
        if (!is_name(name)) return false;
        const auto known = config::lower(name);
        if (known == "redirect") {
            if (!record_.redirect.empty() || !is_domain_spec(value)) return false;
            record_.redirect = value;
            return true;
        }
        if (known == "exp") return !std::exchange(explained_, true) && is_domain_spec(value);
        return is_macro_string(value);
    }

    bool mechanism(std::string_view text) {
        SpfMechanism made;
        made.on_match = take_qualifier(text);
        const auto end = std::min(text.find_first_of(":/"), text.size());
        const auto name = config::lower(text.substr(0, end));
        const auto* known = std::ranges::find(kind_names, name, &KindName::name);
        if (known == kind_names.end()) return false;
        made.kind = known->kind;
        if (!arguments(made, text.substr(end))) return false;
        record_.mechanisms.push_back(std::move(made));
        return true;
    }

    static SpfResult take_qualifier(std::string_view& text) {
        const char first = text.front();
        const bool qualified = std::string_view("+-~?").find(first) != std::string_view::npos;
        if (qualified) text.remove_prefix(1);
        switch (first) {
            case '-':
                return SpfResult::fail;
            case '~':
                return SpfResult::softfail;
            case '?':
                return SpfResult::neutral;
            default:
                return SpfResult::pass;
        }
    }

    // `text` is what stands behind the name, from its ':' or '/' on.
    static bool arguments(SpfMechanism& to, std::string_view text) {
        switch (to.kind) {
            case Kind::all:
                return text.empty();
            case Kind::include:
            case Kind::exists:
                return domain(to, text) && !to.domain.empty();
            case Kind::ptr:
                return domain(to, text);
            case Kind::a:
            case Kind::mx:
                return bits(to, text) && domain(to, text);
            case Kind::ip4:
            case Kind::ip6:
                return network(to, text);
        }
        return false;
    }

    static bool domain(SpfMechanism& to, std::string_view text) {
        if (text.empty()) return true;
        if (text.front() != ':' || !is_domain_spec(text.substr(1))) return false;
        to.domain = text.substr(1);
        return true;
    }

    // Takes "/24", "//64" or "/24//64" off the end. A '/' before anything else is of the domain.
    static bool bits(SpfMechanism& to, std::string_view& text) {
        return take_bits(text, "//", to.v6_bits, 128) && take_bits(text, "/", to.v4_bits, 32);
    }

    static bool take_bits(std::string_view& text,
                          std::string_view mark,
                          unsigned& bits,
                          unsigned max) {
        const auto at = text.rfind(mark);
        if (at == std::string_view::npos) return true;
        const auto number = text.substr(at + mark.size());
        if (number.empty() || !std::ranges::all_of(number, is_digit)) return true;
        const auto wanted = parse_bits(number, max);
        if (!wanted) return false;
        bits = *wanted;
        text = text.substr(0, at);
        return true;
    }

    static bool network(SpfMechanism& to, std::string_view text) {
        if (!text.starts_with(':')) return false;
        text.remove_prefix(1);
        const bool four = to.kind == Kind::ip4;
        if (const auto slash = text.find('/'); slash != std::string_view::npos) {
            const auto wanted = parse_bits(text.substr(slash + 1), four ? 32 : 128);
            if (!wanted) return false;
            (four ? to.v4_bits : to.v6_bits) = *wanted;
            text = text.substr(0, slash);
        }
        const bool has_colon = text.find(':') != std::string_view::npos;
        const auto address = parse_ip_address(std::string(text));
        if (!address || has_colon == four) return false;
        to.network = *address;
        return true;
    }

    SpfRecord record_;
    bool explained_ = false;
};

}  // namespace

std::string_view to_string(SpfResult result) {
    switch (result) {
        case SpfResult::none:
            return "none";
        case SpfResult::neutral:
            return "neutral";
        case SpfResult::pass:
            return "pass";
        case SpfResult::fail:
            return "fail";
        case SpfResult::softfail:
            return "softfail";
        case SpfResult::temperror:
            return "temperror";
        case SpfResult::permerror:
            return "permerror";
    }
    return "none";
}

bool is_spf_record(std::string_view text) {
    if (config::lower(text.substr(0, version.size())) != version) return false;
    return text.size() == version.size() || text[version.size()] == ' ';
}

std::optional<SpfRecord> parse_spf_record(std::string_view text) {
    const bool printable = std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
    if (!printable || text.size() > spf_record_bytes_max) return std::nullopt;
    return Parser().parse(text);
}

}  // namespace posthorse::verify
