// What a node may do on its machine: as little as it needs.
//
// Place     main.cc, before anything is opened: what a node cannot read as its user it must not
//           have read as root, or its next reload fails.
// Contract  Call once, before other threads begin: rights belong to threads, and theirs are those
//           of the one that makes them.
//           Started as root, with a user: the process is that user and its groups from then on, for
//           good. Of root's rights it keeps one, to bind ports below 1024.
//           In any case no program that it runs gets rights that it has not (no_new_privs).
// Errors    invalid: there is no such user; unavailable: the system refuses, or the process is
//           neither root nor that user.
#pragma once

#include <string>

#include "proto/types/result.h"

namespace posthorse::runtime {

// `user`: by name; empty: stays who it is.
Result<void> give_up_privileges(const std::string& user);
bool is_root();

}  // namespace posthorse::runtime
