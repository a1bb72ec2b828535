#include "daemon/runtime/idn.h"

#include <memory>

#include <idn2.h>

#include "proto/types/utf8.h"

namespace posthorse::runtime {

std::optional<std::string> to_a_labels(std::string_view domain) {
    if (is_ascii(domain)) return std::string(domain);
    if (!is_utf8(domain) || domain.find('\0') != std::string_view::npos) return std::nullopt;
    char* converted = nullptr;
    const auto flags = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;
    const auto done = idn2_to_ascii_8z(std::string(domain).c_str(), &converted, flags);
    const std::unique_ptr<char, decltype(&idn2_free)> owned(converted, &idn2_free);
    if (done != IDN2_OK) return std::nullopt;
    return std::string(converted);
}

std::string with_a_labels(std::string_view address) {
    const auto at = address.rfind('@');
    if (at == std::string_view::npos) return std::string(address);
    const auto domain = to_a_labels(address.substr(at + 1));
    return domain ? std::string(address.substr(0, at + 1)) + *domain : std::string(address);
}

}  // namespace posthorse::runtime
