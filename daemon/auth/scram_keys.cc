#include "daemon/auth/scram_keys.h"

#include <charconv>
#include <vector>

#include "proto/smtp/base64.h"

namespace posthorse::auth {
namespace {

constexpr std::string_view method = "{SCRAM-SHA-256}";
constexpr std::uint32_t iterations_min = 4096;
constexpr std::uint32_t iterations_max = 10'000'000;
constexpr std::size_t key_bytes = 32;
constexpr std::size_t salt_bytes_max = 256;

std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> fields;
    for (;;) {
        const auto comma = text.find(',');
        fields.push_back(text.substr(0, comma));
        if (comma == std::string_view::npos) return fields;
        text.remove_prefix(comma + 1);
    }
}

bool is_key(std::string_view text) {
    const auto octets = smtp::decode_base64(text);
    return octets && octets->size() == key_bytes;
}

bool is_salt(std::string_view text) {
    const auto octets = smtp::decode_base64(text);
    return octets && !octets->empty() && octets->size() <= salt_bytes_max;
}

}  // namespace

std::optional<ScramKeys> parse_scram_keys(std::string_view text) {
    if (!text.starts_with(method)) return std::nullopt;
    const auto fields = split(text.substr(method.size()));
    if (fields.size() != 4) return std::nullopt;
    ScramKeys keys;
    const auto* last = fields[0].data() + fields[0].size();
    const auto [end, error] = std::from_chars(fields[0].data(), last, keys.iterations);
    const bool counted = error == std::errc{} && end == last && keys.iterations >= iterations_min &&
                         keys.iterations <= iterations_max;
    if (!counted || !is_salt(fields[1]) || !is_key(fields[2]) || !is_key(fields[3]))
        return std::nullopt;
    keys.salt = fields[1];
    keys.stored_key = fields[2];
    keys.server_key = fields[3];
    return keys;
}

std::string to_text(const ScramKeys& keys) {
    return std::string(method) + std::to_string(keys.iterations) + ',' + keys.salt + ',' +
           keys.stored_key + ',' + keys.server_key;
}

}  // namespace posthorse::auth
