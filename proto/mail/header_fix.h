// What a submission server mends in a header before it signs (RFC 6409 section 8).
//
// Contract  Adds Date, Message-ID and From where they are missing or empty; drops Bcc, which would
//           tell everybody (RFC 5322 section 3.6.3), and Return-Path, which is not a sender's to
//           write (RFC 5321 section 4.4). All else stays byte for byte, in its order.
#pragma once

#include <string>
#include <string_view>

#include "proto/mail/header.h"
#include "proto/types/time.h"

namespace posthorse::mail {

struct HeaderFixFacts {
    std::string_view sender;     // MAIL FROM; empty is <>
    std::string_view host_name;  // of this node
    std::string_view unique;     // never given twice: left of the Message-ID's '@'
    WallTime now{};
};

// The new header section, without the empty line.
std::string fix_header(const Header& header, const HeaderFixFacts& facts);

}  // namespace posthorse::mail
