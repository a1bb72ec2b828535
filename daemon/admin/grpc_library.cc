#include "daemon/admin/grpc_library.h"

#include <grpc/grpc.h>

namespace posthorse::admin {

void keep_grpc_up() {
    [[maybe_unused]] static const bool up = [] {
        grpc_init();  // never paired with grpc_shutdown()
        return true;
    }();
}

}  // namespace posthorse::admin
