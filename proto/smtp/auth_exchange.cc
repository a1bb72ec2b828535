#include "proto/smtp/auth_exchange.h"

#include <algorithm>

#include "proto/smtp/base64.h"
#include "proto/smtp/command.h"
#include "proto/types/assert.h"

namespace posthorse::smtp {

namespace {

Reply bad_encoding() {
    return {501, {5, 5, 2}, "That is not base64"};
}
Reply cancelled() {
    return {501, {5, 7, 0}, "Authentication cancelled"};
}
// The answer to a wrong password, so that nobody learns from the difference.
Reply bad_credentials() {
    return {535, {5, 7, 8}, "Authentication credentials invalid"};
}

}  // namespace

AuthStep AuthExchange::begin(std::string_view argument) {
    const auto name = argument.substr(0, argument.find(' '));
    const bool has_initial = name.size() < argument.size();
    if (name.empty()) return Reply{501, {5, 5, 4}, "Syntax: AUTH mechanism [initial-response]"};
    if (equal_ignoring_case(name, "PLAIN")) {
        wants_ = Wants::plain_message;
        if (!has_initial) return Challenge{};
    } else if (equal_ignoring_case(name, "LOGIN")) {
        wants_ = Wants::login_user;
        if (!has_initial) return Challenge{encode_base64("Username:")};
    } else {
        return Reply{504, {5, 5, 4}, "Mechanism not supported"};
    }
    auto initial = argument.substr(name.size());
    initial.remove_prefix(std::min(initial.find_first_not_of(' '), initial.size()));
    return initial == "=" ? take({}) : line(initial);  // RFC 4954 section 4: "=" is empty
}

AuthStep AuthExchange::line(std::string_view line) {
    if (line == "*") return cancelled();
    const auto octets = decode_base64(line);
    return octets ? take(*octets) : bad_encoding();
}

AuthStep AuthExchange::take(const std::string& octets) {
    switch (wants_) {
        case Wants::plain_message:
            return plain(octets);
        case Wants::login_user:
            user_ = octets;
            wants_ = Wants::login_password;
            return Challenge{encode_base64("Password:")};
        case Wants::login_password:
            if (user_.empty() || octets.empty()) return bad_credentials();
            return Credentials{"LOGIN", {}, user_, octets};
        case Wants::nothing:
            break;
    }
    PH_ASSERT(!"line() without an open exchange");
    return bad_credentials();
}

// RFC 4616 section 2: [authzid] NUL authcid NUL passwd.
AuthStep AuthExchange::plain(std::string_view message) {
    const auto first = message.find('\0');
    if (first == std::string_view::npos) return bad_credentials();
    const auto second = message.find('\0', first + 1);
    if (second == std::string_view::npos) return bad_credentials();
    Credentials credentials{"PLAIN", std::string(message.substr(0, first)),
                            std::string(message.substr(first + 1, second - first - 1)),
                            std::string(message.substr(second + 1))};
    const bool whole = !credentials.user.empty() && !credentials.password.empty() &&
                       credentials.password.find('\0') == std::string::npos;
    // Nobody may act as another here.
    const bool himself = credentials.authzid.empty() || credentials.authzid == credentials.user;
    if (!whole || !himself) return bad_credentials();
    return credentials;
}

}  // namespace posthorse::smtp
