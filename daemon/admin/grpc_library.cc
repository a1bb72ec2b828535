#include "daemon/admin/grpc_library.h"

#include <absl/synchronization/mutex.h>
#include <grpc/grpc.h>

namespace posthorse::admin {

void keep_grpc_up() {
    [[maybe_unused]] static const bool up = [] {
        // Debian's build follows every lock that is taken, to find those that may wait for each
        // other: a fifth of what gRPC's threads did.
        absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
        grpc_init();  // never paired with grpc_shutdown()
        return true;
    }();
}

}  // namespace posthorse::admin
