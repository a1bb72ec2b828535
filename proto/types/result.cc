#include "proto/types/result.h"

#include <stdexcept>

namespace posthorse {

const char* to_string(Errc code) noexcept {
    switch (code) {
        case Errc::unavailable:
            return "unavailable";
        case Errc::unknown:
            return "unknown";
        case Errc::fenced:
            return "fenced";
        case Errc::full:
            return "full";
        case Errc::not_found:
            return "not found";
        case Errc::conflict:
            return "conflict";
        case Errc::invalid:
            return "invalid";
        case Errc::corrupt:
            return "corrupt";
        case Errc::io:
            return "i/o error";
        case Errc::cancelled:
            return "cancelled";
    }
    return "?";
}

void throw_exception_from_error(const Error& error, const boost::source_location&) {
    throw std::runtime_error(std::string(to_string(error.code)) + ": " + error.what);
}

}  // namespace posthorse
