// Keeps the gRPC library up until the process ends, and its locks quick.
//
// Contract  Call before the first server or channel; once is enough, more do no harm.
//           Otherwise the library ends with the last object of it, and that end joins a poller
//           which may sleep for ten seconds after its last connection went: `posthorse queue cat`
//           and a stopping node would hang for as long.
#pragma once

namespace posthorse::admin {

void keep_grpc_up();

}  // namespace posthorse::admin
