#include "daemon/materials.h"

#include <algorithm>

#include "daemon/runtime/log.h"

namespace posthorse {

namespace log = runtime::log;

void report_problems(const std::vector<config::Problem>& problems, std::vector<std::string>& into) {
    for (const auto& problem : problems) {
        into.push_back(problem.to_string());
        log::warning("skipped", {{"what", into.back()}});
    }
}

Materials::Materials(const config::Config& config)
    : logins(config), signer(config.dkim.canonicalization), config_(config) {}

std::vector<std::string> Materials::load() {
    std::vector<std::string> problems;
    load_certificate(problems);
    report_problems(logins.reload(), problems);
    auto keys = sign::KeyRing::load(config_.dkim);
    report_problems(keys.problems, problems);
    signer.use(std::move(keys.ring));
    load_maps(problems);
    return problems;
}

// Logins need TLS: a submission listener without a certificate could serve nobody.
Result<void> Materials::check_certificate() const {
    if (server_tls.get()) return {};
    for (const auto& listener : config_.listeners) {
        const bool trusted_only = listener.kind == config::ListenerKind::submission &&
                                  !config_.intake.trusted_networks.empty();
        if (listener.kind == config::ListenerKind::mx || trusted_only) continue;
        return Error{Errc::invalid,
                     "listener '" + listener.name +
                         "' needs a certificate: set tls.certificate_file and tls.key_file, or "
                         "TLS_CERT and TLS_KEY in the environment"};
    }
    const runtime::TlsIdentity identity{config_.tls.certificate_file, config_.tls.key_file};
    if (!identity.configured()) return {};
    return Error{Errc::invalid, "the certificate cannot be used (see above)"};
}

// A certificate that cannot be used is refused, and the old one kept.
void Materials::load_certificate(std::vector<std::string>& problems) {
    const runtime::TlsIdentity identity{config_.tls.certificate_file, config_.tls.key_file};
    if (!identity.configured()) return;
    auto context = runtime::make_server_context(identity);
    if (context) return server_tls.set(std::move(*context));
    problems.push_back(context.error().what);
    log::error("certificate_refused", {{"why", context.error().what}});
}

void Materials::load_maps(std::vector<std::string>& problems) {
    std::vector<config::Problem> found;
    const auto& intake = config_.intake;
    if (!intake.recipient_map.empty()) {
        if (auto map = intake::RecipientMap::load(intake.recipient_map, found))
            recipients.set(std::make_shared<const intake::RecipientMap>(*std::move(map)));
    }
    if (auto map = intake::SenderMap::load(config_, found)) {
        const bool used = !map->changes_nothing();
        senders.set(used ? std::make_shared<const intake::SenderMap>(*std::move(map)) : nullptr);
    }
    report_problems(found, problems);
}

}  // namespace posthorse
