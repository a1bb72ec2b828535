#include "daemon/runtime/privileges.h"

#include <cap-ng.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <optional>
#include <system_error>
#include <vector>

namespace posthorse::runtime {
namespace {

struct Identity {
    uid_t user;
    gid_t group;
};

std::optional<Identity> find_user(const std::string& name) {
    std::vector<char> text(64 * 1024);
    passwd entry{};
    passwd* found = nullptr;
    if (getpwnam_r(name.c_str(), &entry, text.data(), text.size(), &found) != 0) return {};
    if (found == nullptr) return {};
    return Identity{entry.pw_uid, entry.pw_gid};
}

bool become(const Identity& identity) {
    capng_clear(CAPNG_SELECT_BOTH);
    const auto kept = static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED);
    if (capng_update(CAPNG_ADD, kept, CAP_NET_BIND_SERVICE) != 0) return false;
    const auto how = static_cast<capng_flags_t>(CAPNG_INIT_SUPP_GRP | CAPNG_CLEAR_BOUNDING);
    return capng_change_id(static_cast<int>(identity.user), static_cast<int>(identity.group),
                           how) == 0;
}

}  // namespace

Result<void> give_up_privileges(const std::string& user) {
    if (!user.empty()) {
        const auto identity = find_user(user);
        if (!identity) return Error{Errc::invalid, "user: there is no user '" + user + "'"};
        if (!is_root() && geteuid() != identity->user)
            return Error{Errc::unavailable, "user: started as another user, who cannot become '" +
                                                user + "'; start it as root or as that user"};
        if (is_root() && identity->user != 0 && !become(*identity))
            return Error{Errc::unavailable, "user: cannot become '" + user +
                                                "'; root needs the capabilities SETUID, SETGID "
                                                "and SETPCAP for that"};
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return Error{Errc::unavailable, "no_new_privs: " + std::generic_category().message(errno)};
    return {};
}

bool is_root() {
    return geteuid() == 0;
}

}  // namespace posthorse::runtime
