// What a reload replaces in a running node: certificate, logins, keys and maps, from the files
// that the configuration names.
//
// Place     node.cc has one; the stages use its parts by reference.
// Contract  load() reads everything anew. What cannot be read leaves what was there before; a
//           malformed row is skipped. Sessions under way keep what they began with.
// Owner     load() on home; the parts as they say themselves.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/config.h"
#include "daemon/intake/recipient_map.h"
#include "daemon/intake/sender_map.h"
#include "daemon/login_wiring.h"
#include "daemon/runtime/reloadable.h"
#include "daemon/runtime/tls.h"
#include "daemon/sign/signer.h"

namespace posthorse {

class Materials {
public:
    explicit Materials(const config::Config& config);

    // What was wrong, for operators; it is in the log as well.
    std::vector<std::string> load();
    // Whether the listeners have the certificate that they need.
    Result<void> check_certificate() const;

    LoginWiring logins;
    sign::Signer signer;
    runtime::Reloadable<runtime::TlsContext> server_tls;         // null: there is none
    runtime::Reloadable<const intake::RecipientMap> recipients;  // null: no map is named
    runtime::Reloadable<const intake::SenderMap> senders;        // null: nobody has another name

private:
    void load_certificate(std::vector<std::string>& problems);
    void load_maps(std::vector<std::string>& problems);

    const config::Config& config_;
};

// Logs them, and appends them to `into`.
void report_problems(const std::vector<config::Problem>& problems, std::vector<std::string>& into);

}  // namespace posthorse
