// libopendkim's header as C++ reads it: the only file that names it.
//
// Place     Included by signer.cc, which makes signatures, and dkim_check.cc, which verifies them.
#pragma once

#include <string_view>

// dkim.h is C and takes C's name for bool.
#define _Bool bool
extern "C" {
#include <opendkim/dkim.h>
}
#undef _Bool

namespace posthorse::sign {

// libopendkim takes octets without const and does not write to them.
inline unsigned char* dkim_octets(std::string_view text) {
    return reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));
}

}  // namespace posthorse::sign
