// What the other holders must have of an operation before it is done: the same at both ends.
#pragma once

#include "replication/core/owner_fsm.h"
#include "storage/queue_store.h"

namespace posthorse::replication {

// What an Abort that is lost leaves behind, recovery collects: nobody waits for it.
inline Need need_of(const decltype(storage::Operation::change)& change) {
    if (std::holds_alternative<storage::Append>(change)) return Need::local;
    if (std::holds_alternative<storage::Abort>(change)) return Need::local;
    if (std::holds_alternative<storage::Intend>(change)) return Need::received;
    return Need::durable;
}

}  // namespace posthorse::replication
