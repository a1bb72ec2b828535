// The pool as a message of posthorse/v1/admin.proto. Pure.
//
// Contract  Texts leave as printable ASCII, as in admin_messages.h.
#pragma once

#include "daemon/admin/admin_ports.h"
#include "posthorse/v1/admin.pb.h"

namespace posthorse::admin {

v1::GetPoolResponse to_pool(const PoolView& view);

}  // namespace posthorse::admin
