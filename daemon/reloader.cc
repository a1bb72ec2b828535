#include "daemon/reloader.h"

#include <algorithm>
#include <utility>

#include "daemon/runtime/log.h"
#include "daemon/stage_settings.h"

namespace posthorse {

namespace log = runtime::log;

Reloader::Reloader(const config::Config& config, std::string config_file, Parts parts)
    : config_(config), config_file_(std::move(config_file)), parts_(parts) {}

std::vector<std::string> Reloader::reload(When when) {
    auto problems = parts_.materials.load();
    if (parts_.verifier != nullptr) report_problems(parts_.verifier->load(), problems);
    for (auto& problem : parts_.pool.reload()) problems.push_back(std::move(problem));
    if (auto read = parts_.admin.reload(); !read) {
        log::error("admin_certificate_refused", {{"why", read.error().what}});
        problems.push_back(read.error().what);
    }
    reload_routes(when, problems);
    if (when == When::serving) reload_settings(problems);
    log::info("reloaded", {{"problems", problems.size()}});
    return problems;
}

void Reloader::reload_routes(When when, std::vector<std::string>& problems) {
    schedule::RouteTable::Problems found;
    auto routes = schedule::RouteTable::load(config_.delivery, found);
    report_problems(found, problems);
    const bool unreadable =
        std::ranges::any_of(found, [](const auto& problem) { return problem.fatal; });
    if (!unreadable || when == When::starting) parts_.scheduler.set_routes(std::move(routes));
}

// The settings themselves take effect at the next start, but for who is an operator: nobody who is
// shut out waits for that. Says which ones do.
void Reloader::reload_settings(std::vector<std::string>& problems) {
    const auto fresh = config::load(config_file_);
    for (const auto& problem : fresh.problems) {
        problems.push_back(problem.to_string());
        log::warning("config_refused", {{"what", problems.back()}});
    }
    if (!fresh.usable()) return;
    parts_.admin.set_operators(operators_from_afar(fresh.config.admin));
    for (const auto& key : config::changed_keys(config_, fresh.config)) {
        if (is_of_operators(key)) continue;
        problems.push_back(config_file_ + ": " + key + " changed: restart to use it");
        log::warning("needs_restart", {{"setting", key}});
    }
}

}  // namespace posthorse
