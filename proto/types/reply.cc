#include "proto/types/reply.h"

namespace posthorse {
namespace {

bool is_address_char(char c) {
    if (static_cast<unsigned char>(c) > 127) return true;
    return c > ' ' && c <= '~' &&
           std::string_view("<>()[],;:@\"").find(c) == std::string_view::npos;
}

}  // namespace

std::string EnhancedCode::to_string() const {
    if (klass == 0) return {};
    return std::to_string(klass) + '.' + std::to_string(subject) + '.' + std::to_string(detail);
}

std::string Reply::to_wire() const {
    const std::string digits = std::to_string(code);
    const std::string status = enhanced.to_string();
    std::string wire;
    std::string_view rest = text;
    for (bool last = false; !last;) {
        const auto end = rest.find('\n');
        last = end == std::string_view::npos;
        wire += digits;
        wire += last ? ' ' : '-';
        if (!status.empty()) (wire += status) += ' ';
        wire += rest.substr(0, end);
        wire += "\r\n";
        if (!last) rest.remove_prefix(end + 1);
    }
    return wire;
}

std::string Reply::to_line() const {
    std::string line;
    const auto word = [&line](std::string_view part) {
        if (part.empty()) return;
        if (!line.empty()) line += ' ';
        line += part;
    };
    if (code != 0) word(std::to_string(code));
    word(enhanced.to_string());
    word(sanitise(text));
    return line;
}

std::string sanitise(std::string_view text, std::size_t bytes_max) {
    std::string safe;
    for (const char c : text) {
        if (safe.size() >= bytes_max) break;
        if (c == '\r') continue;
        const auto octet = static_cast<unsigned char>(c);
        if (c == '\n' || c == '\t') {
            safe += ' ';
        } else {
            safe += octet < 32 || octet > 126 ? '?' : c;
        }
    }
    return safe;
}

std::string mask_addresses(std::string_view text) {
    std::string masked;
    for (const char c : text) {
        if (c == '@') {
            const auto before = masked.size();
            while (!masked.empty() && is_address_char(masked.back()) && masked.back() != '*') {
                masked.pop_back();
            }
            if (masked.size() != before) masked += '*';
        }
        masked += c;
    }
    return masked;
}

}  // namespace posthorse
