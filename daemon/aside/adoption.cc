#include "daemon/aside/adoption.h"

#include <algorithm>
#include <utility>

#include "proto/types/sender_times.h"
#include "storage/queue_ops.h"

namespace posthorse::aside {
namespace {

// Once its sender was told, a message waits for no time to tell it.
LateNotice late_notice(const Envelope& old) {
    return old.warn_at == old.wishes.deliver_by.at ? LateNotice::owed : LateNotice::not_owed;
}

}  // namespace

Envelope adopted(const Envelope& old, const Adopting& adopting) {
    Envelope fresh = old;
    fresh.id = adopting.new_id;
    fresh.version = 1;
    std::erase_if(fresh.recipients, [](const Recipient& recipient) {
        return recipient.state != RecipientState::pending;
    });
    fresh.expires_at = adopting.now + (old.expires_at - old.accepted_at);
    if (old.warn_at != never) fresh.warn_at = adopting.now + (old.warn_at - old.accepted_at);
    // Times that the sender named do not begin anew.
    apply_sender_times(fresh, late_notice(old));
    fresh.due_at = old.held ? never : std::max(adopting.now, old.release_at);
    fresh.in_doubt += adopting.open_attempts;
    fresh.doubts.clear();  // there is nobody left to ask
    return storage::note(std::move(fresh),
                         {adopting.now, adopting.node,
                          "adopted from " + old.id.to_string() + " of " + adopting.directory});
}

}  // namespace posthorse::aside
