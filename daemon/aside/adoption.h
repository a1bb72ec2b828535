// What becomes of a message that was set aside when it is taken into the queue again. Pure.
//
// Contract  It is a new message: new id, version 1, and only the recipients that were pending.
//           It keeps when it was accepted, so that its age is told as it is. Its lifetime begins
//           anew, as long as it was, and so does the time to a delay warning that was still to
//           come: nobody tried to deliver it while it was set aside.
//           It is due at once, but for a held one, which stays held: an operator resumes it.
//           Attempts whose end the copy does not know are attempts in doubt: a recipient may have
//           it already.
#pragma once

#include <cstdint>
#include <string>

#include "proto/types/envelope.h"

namespace posthorse::aside {

struct Adopting {
    QueueId new_id;
    std::string directory;  // that it was set aside in
    std::uint32_t open_attempts = 0;
    NodeId node;  // that adopts it
    WallTime now{};
};

Envelope adopted(const Envelope& old, const Adopting& adopting);

}  // namespace posthorse::aside
