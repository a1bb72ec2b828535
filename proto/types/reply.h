// An SMTP reply as a value, in both directions (RFC 5321 section 4.2, RFC 3463).
#pragma once

#include <string>
#include <string_view>

namespace posthorse {

// RFC 3463: class.subject.detail. {0,0,0} means none was given.
struct EnhancedCode {
    int klass = 0;
    int subject = 0;
    int detail = 0;
    bool operator==(const EnhancedCode&) const = default;
    std::string to_string() const;  // "4.4.1"; empty when none
};

// `text` may hold several lines separated by '\n'; it holds no CR, no NUL and no other control.
struct Reply {
    int code = 0;  // 200..599; 0: there was no reply (connection lost, DNS, local)
    EnhancedCode enhanced{};
    std::string text;

    bool operator==(const Reply&) const = default;
    bool positive() const { return code >= 200 && code < 400; }
    bool transient() const { return code >= 400 && code < 500; }
    bool permanent() const { return code >= 500 && code < 600; }

    // The octets for the wire: "250-2.1.0 one\r\n250 2.1.0 two\r\n".
    std::string to_wire() const;
    // One line for logs and DSNs: "450 4.2.0 try later".
    std::string to_line() const;
};

// `text` from a stranger made safe for logs, DSNs and records: controls and octets above 126 become
// '?', line ends become ' ', cut to `bytes_max`.
std::string sanitise(std::string_view text, std::size_t bytes_max = 512);

// "ann@example.org" -> "*@example.org", wherever in the text.
std::string mask_addresses(std::string_view text);

}  // namespace posthorse
