#include "daemon/config/config.h"

#include <netdb.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "daemon/config/validate.h"

namespace posthorse::config {
namespace {

std::string machine_name() {
    char name[256] = {};
    if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
    return name;
}

// The machine's name, qualified where the system knows how.
std::string qualified_machine_name() {
    const auto name = machine_name();
    addrinfo hints{};
    hints.ai_flags = AI_CANONNAME;
    addrinfo* found = nullptr;
    if (getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) return name;
    std::string qualified = found->ai_canonname != nullptr ? found->ai_canonname : name;
    freeaddrinfo(found);
    return qualified;
}

// What the file leaves to the machine that reads it.
void fill_from_machine(Loaded& loaded, const std::string& file) {
    auto& config = loaded.config;
    if (config.host_name.empty()) config.host_name = qualified_machine_name();
    auto& pool = config.pool;
    if (pool.name.empty()) pool.name = machine_name();
    const auto* zone = std::getenv("POSTHORSE_ZONE");
    if (!pool.zone.empty() || zone == nullptr) return;
    pool.zone = zone;
    if (const auto wrong = zone_fault(pool.zone)) {
        loaded.problems.push_back({file, 0, "POSTHORSE_ZONE: " + *wrong, true});
    }
}

bool readable(const std::string& path) {
    return access(path.c_str(), R_OK) == 0;
}

// Empty when it cannot be read.
std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return file ? text.str() : std::string{};
}

// Whether the files that the settings name are there, before sockets are opened on their word.
class FileCheck {
public:
    FileCheck(const Config& config, const std::string& file, std::vector<Problem>& problems)
        : config_(config), file_(file), problems_(problems) {}

    void run() {
        certificate();
        named("tls.certificate_file", config_.tls.certificate_file);
        named("tls.key_file", config_.tls.key_file);
        named("dkim.key_table", config_.dkim.key_table);
        named("dkim.signing_table", config_.dkim.signing_table);
        named("verify.public_suffixes", config_.verify.public_suffixes);
        named("auth.senders_file", config_.auth.senders_file);
        named("delivery.routes_file", config_.delivery.routes_file);
        named("intake.recipient_map", config_.intake.recipient_map);
        named("intake.sender_map", config_.intake.sender_map);
        named("pool.ca_file", config_.pool.ca_file);
        named("pool.certificate_file", config_.pool.certificate_file);
        named("pool.key_file", config_.pool.key_file);
        named("pool.etcd.ca_file", config_.pool.etcd.ca_file);
        named("pool.etcd.certificate_file", config_.pool.etcd.certificate_file);
        named("pool.etcd.key_file", config_.pool.etcd.key_file);
        named("admin.ca_file", config_.admin.ca_file);
        named("admin.certificate_file", config_.admin.certificate_file);
        named("admin.key_file", config_.admin.key_file);
        authorities();
        passwords();
    }

private:
    void add(std::string what, bool fatal) {
        problems_.push_back({file_, 0, std::move(what), fatal});
    }

    void named(const std::string& key, std::string path) {
        // OpenDKIM's tables may carry their type in front.
        for (const std::string_view type : {"refile:", "file:"}) {
            if (path.starts_with(type)) path.erase(0, type.size());
        }
        if (path.empty() || readable(path)) return;
        add(key + ": cannot read '" + path + "' (" + std::strerror(errno) +
                "); correct the path or the file's permissions",
            true);
    }

    void certificate() {
        const bool given =
            !config_.tls.certificate_file.empty() || std::getenv("TLS_CERT") != nullptr;
        const auto needs_tls = [](const Listener& one) { return one.kind != ListenerKind::mx; };
        if (given || std::none_of(config_.listeners.begin(), config_.listeners.end(), needs_tls))
            return;
        add("tls: a submission listener needs a certificate; set tls.certificate_file and "
            "tls.key_file, "
            "or the environment variables TLS_CERT and TLS_KEY",
            true);
    }

    // One authority under two paths is one authority; that one path names it twice is found before.
    void authorities() {
        const auto& operators = config_.admin.ca_file;
        const auto& peers = config_.pool.ca_file;
        if (operators.empty() || peers.empty() || operators == peers) return;
        const auto content = content_of(operators);
        if (content.empty() || content != content_of(peers)) return;
        add("admin.ca_file: " + std::string(one_authority_why), true);
    }

    void passwords() {
        const auto& path = config_.auth.password_file;
        if (path.empty() || readable(path)) return;
        add("auth.password_file: cannot read '" + path + "' (" + std::strerror(errno) +
                "); nobody can log in until `posthorse user add LOGIN` makes it",
            false);
    }

    const Config& config_;
    const std::string& file_;
    std::vector<Problem>& problems_;
};

}  // namespace

std::string Problem::to_string() const {
    return line == 0 ? file + ": " + what : file + ':' + std::to_string(line) + ": " + what;
}

bool Loaded::usable() const {
    return std::none_of(problems.begin(), problems.end(), [](const Problem& p) { return p.fatal; });
}

std::vector<Listener> default_listeners() {
    return {{"submission", ListenerKind::submission, "::", 587},
            {"submissions", ListenerKind::submissions, "::", 465}};
}

namespace {

// What `use` makes of the text of the file.
template <class Use>
Loaded with_text(const std::string& path, Use use) {
    const auto text = content_of(path);
    if (!text.empty()) return use(text);
    // An empty file is as good as a missing one: name it.
    return {{},
            {{path, 0,
              "cannot be read or is empty; write one (posthorse.example.toml has every setting) "
              "or correct the path",
              true}}};
}

Loaded parsed(const std::string& text, const std::string& path) {
    auto loaded = parse(text, path);
    fill_from_machine(loaded, path);
    return loaded;
}

}  // namespace

Loaded read(const std::string& path) {
    return with_text(path, [&](const std::string& text) { return parsed(text, path); });
}

Loaded load(const std::string& path) {
    return with_text(path, [&](const std::string& text) {
        auto loaded = parsed(text, path);
        FileCheck(loaded.config, path, loaded.problems).run();
        return loaded;
    });
}

}  // namespace posthorse::config
