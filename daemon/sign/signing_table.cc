#include "daemon/sign/signing_table.h"

#include "daemon/config/table.h"

namespace posthorse::sign {
namespace {

using config::for_each_row;
using config::lower;
using config::Row;
using config::trim;

// The part before the next colon, taken off `rest`.
std::string_view take_part(std::string_view& rest) {
    const auto colon = rest.find(':');
    const auto part = trim(rest.substr(0, colon));
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
    return part;
}

// What a key of a "file:" means, as a pattern.
std::string pattern_of_file_key(std::string_view key) {
    if (key == "*") return "*";
    const auto at = key.find('@');
    std::string user = at == std::string_view::npos ? "*" : std::string(key.substr(0, at));
    auto domain = at == std::string_view::npos ? key : key.substr(at + 1);
    return user + (domain.starts_with('.') ? "@*" : "@") + std::string(domain);
}

}  // namespace

KeyTable parse_key_table(std::string_view text, const std::string& file_name) {
    KeyTable table;
    for_each_row(text, file_name, table.problems, [&](const Row& row) {
        auto rest = row.value;
        KeyRow key;
        key.domain = lower(take_part(rest));
        key.selector = take_part(rest);
        key.key = trim(rest);
        key.line = row.line;
        const auto skip = [&](std::string what) {
            table.problems.push_back({file_name, row.line, std::move(what), false});
        };
        if (key.domain.empty() || key.selector.empty() || key.key.empty()) {
            skip("key '" + std::string(row.key) +
                 "' is not domain:selector:/path/to/key; the row is skipped");
        } else if (!table.rows.emplace(row.key, std::move(key)).second) {
            skip("key '" + std::string(row.key) +
                 "' stands twice; the first row counts, remove the other");
        }
    });
    return table;
}

SigningTable parse_signing_table(std::string_view text,
                                 const std::string& file_name,
                                 TableKind kind) {
    SigningTable table;
    for_each_row(text, file_name, table.problems, [&](const Row& row) {
        auto rest = row.value;
        const auto key_name = take_part(rest);
        if (key_name.empty()) {
            table.problems.push_back(
                {file_name, row.line, "names no key; the row is skipped", false});
            return;
        }
        const auto pattern =
            kind == TableKind::file ? pattern_of_file_key(row.key) : std::string(row.key);
        table.rows.push_back(
            {lower(pattern), std::string(key_name), std::string(trim(rest)), row.line});
    });
    return table;
}

TableName parse_table_name(std::string_view setting) {
    if (setting.starts_with("refile:")) return {std::string(setting.substr(7)), TableKind::refile};
    if (setting.starts_with("file:")) return {std::string(setting.substr(5)), TableKind::file};
    return {std::string(setting), TableKind::refile};
}

bool matches(const SigningRow& row, std::string_view address) {
    // The usual walk: after a mismatch, let the last '*' take one more octet.
    const std::string_view pattern = row.pattern;
    std::size_t p = 0;
    std::size_t a = 0;
    std::size_t star = std::string_view::npos;
    std::size_t star_end = 0;
    while (a < address.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_end = a;
        } else if (p < pattern.size() && pattern[p] == lower(address[a])) {
            ++p;
            ++a;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            a = ++star_end;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::string expand(std::string_view text, std::string_view sender_domain) {
    std::string out;
    for (const char c : text) {
        if (c == '%') {
            out += sender_domain;
        } else {
            out += c;
        }
    }
    return out;
}

}  // namespace posthorse::sign
