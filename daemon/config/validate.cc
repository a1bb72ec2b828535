#include "daemon/config/validate.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>

#include "daemon/config/etcd_endpoint.h"
#include "daemon/config/join_entry.h"
#include "daemon/config/units.h"

namespace posthorse::config {
namespace {

std::string without_brackets(const std::string& text) {
    const bool bracketed = text.size() > 2 && text.front() == '[' && text.back() == ']';
    return bracketed ? text.substr(1, text.size() - 2) : text;
}

bool parses_as(int family, const std::string& text) {
    std::array<unsigned char, sizeof(in6_addr)> address{};
    return inet_pton(family, text.c_str(), address.data()) == 1;
}

bool is_number(std::string_view text, unsigned max) {
    unsigned number = 0;
    const auto* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, number);
    return error == std::errc{} && end == last && number <= max;
}

bool is_label_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool is_label(std::string_view label) {
    return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
           std::all_of(label.begin(), label.end(), is_label_char);
}

// "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:53".
bool is_server(const std::string& text) {
    if (is_ip_address(text)) return true;
    const auto colon = text.rfind(':');
    return colon != std::string::npos && is_ip_address(text.substr(0, colon)) &&
           is_number(std::string_view(text).substr(colon + 1), 65535);
}

constexpr std::size_t operator_name_max = 200;

class Validator {
public:
    explicit Validator(const Config& config) : config_(config) {}

    std::vector<Fault> run() {
        node();
        listeners();
        pairs();
        logins();
        delivery();
        queue();
        intake();
        pool();
        admin();
        if (!config_.verify.authserv_id.empty())
            domain("verify.authserv_id", config_.verify.authserv_id);
        if (!config_.http.address.empty()) address("http.address", config_.http.address);
        return std::move(faults_);
    }

private:
    void fault(std::string key, std::string what) {
        faults_.push_back({std::move(key), std::move(what)});
    }

    void address(std::string key, const std::string& text) {
        if (is_ip_address(text)) return;
        fault(std::move(key),
              "'" + text + "' is no IP address; write one such as \"192.0.2.1\" or \"::1\"");
    }

    void networks(const std::string& key, const std::vector<std::string>& all) {
        for (const auto& network : all) {
            if (is_network(network)) continue;
            fault(key,
                  "'" + network + "' is no network; write one such as \"10.0.0.0/8\" or \"::1\"");
        }
    }

    void domain(std::string key, std::string_view text) {
        if (is_domain(text)) return;
        fault(std::move(key), "'" + std::string(text) +
                                  "' is no domain name; write one such as \"mail.example.org\"");
    }

    void node() {
        if (!config_.host_name.empty()) domain("host_name", config_.host_name);
        if (config_.data_dir.empty()) {
            fault("data_dir", "is empty; name a directory that only this node uses");
        }
    }

    void listeners() {
        std::set<std::string> names;
        std::set<std::pair<std::string, std::uint16_t>> ports;
        for (std::size_t i = 0; i < config_.listeners.size(); ++i) {
            const auto& one = config_.listeners[i];
            const auto key = "listener." + std::to_string(i) + '.';
            if (!is_label(one.name) || one.name == "bounce") {
                fault(key + "name", "'" + one.name +
                                        "' cannot name a listener; use letters, digits and hyphens "
                                        "(\"bounce\" is taken by our own notices)");
            }
            if (!names.insert(one.name).second) {
                fault(key + "name", "'" + one.name + "' names two listeners; rename one");
            }
            address(key + "address", one.address);
            networks(key + "proxies", one.proxies);
            if (one.greet_pause > Duration{} && one.kind == ListenerKind::submissions) {
                fault(key + "greet_pause",
                      "is for listeners that greet first; clients of kind \"submissions\" begin "
                      "with TLS: remove it");
            }
            if (one.verify != "off") verification(key + "verify", one);
            if (!ports.emplace(one.address, one.port).second) {
                fault(key + "port", "two listeners have address " + one.address + " and port " +
                                        std::to_string(one.port) + "; change or remove one");
            }
        }
    }

    void verification(const std::string& key, const Listener& listener) {
        if (listener.kind != ListenerKind::mx) {
            fault(key, "is for listeners of kind \"mx\": who logs in is known; remove it");
        }
        if (config_.verify.authserv_id.empty()) {
            fault(key,
                  "needs verify.authserv_id, the name that readers of Authentication-Results "
                  "trust; set it to one name for all nodes: \"mx.example.org\"");
        }
    }

    // Settings of which one is worthless without the other.
    void pairs() {
        const auto both = [this](std::string a_key, const std::string& a, std::string b_key,
                                 const std::string& b) {
            if (a.empty() == b.empty()) return;
            auto& missing = a.empty() ? a_key : b_key;
            auto& present = a.empty() ? b_key : a_key;
            fault(present, "needs " + missing + " too; set both or neither");
        };
        both("tls.certificate_file", config_.tls.certificate_file, "tls.key_file",
             config_.tls.key_file);
        both("dkim.key_table", config_.dkim.key_table, "dkim.signing_table",
             config_.dkim.signing_table);
        const auto& etcd = config_.pool.etcd;
        both("pool.etcd.certificate_file", etcd.certificate_file, "pool.etcd.key_file",
             etcd.key_file);
    }

    void logins() {
        const auto& service = config_.auth.pam_service;
        if (config_.auth.backend == "pam" && (!is_label(service) || service == "other")) {
            fault("auth.pam_service", "'" + service +
                                          "' cannot name a service of PAM; name a file of "
                                          "/etc/pam.d: letters, digits and hyphens");
        }
        const auto& offered = config_.auth.mechanisms;
        const bool by_password = std::ranges::any_of(
            offered, [](const auto& name) { return name == "PLAIN" || name == "LOGIN"; });
        if (config_.auth.backend == "pam" && !by_password) {
            fault(
                "auth.mechanisms",
                "needs PLAIN or LOGIN: PAM must see the password; SCRAM needs backend = \"file\"");
        }
    }

    void delivery() {
        const auto& delivery = config_.delivery;
        if (!delivery.helo_name.empty()) domain("delivery.helo_name", delivery.helo_name);
        if (!delivery.source_address.empty()) {
            address("delivery.source_address", delivery.source_address);
        }
        for (const auto& server : delivery.dns_servers) {
            if (is_server(server)) continue;
            fault("delivery.dns_servers",
                  "'" + server +
                      "' is no DNS server; write an IP address, with a port "
                      "if it is not 53: \"127.0.0.1:5353\"");
        }
        routes();
    }

    void routes() {
        std::set<std::string> domains;
        for (std::size_t i = 0; i < config_.delivery.routes.size(); ++i) {
            const auto& route = config_.delivery.routes[i];
            const auto key = "delivery.route." + std::to_string(i) + '.';
            std::string_view name = route.domain;
            if (name.starts_with('.')) name.remove_prefix(1);
            domain(key + "domain", name);
            if (!domains.insert(route.domain).second) {
                fault(key + "domain", "'" + route.domain + "' has two routes; remove one");
            }
            if (!route.next_hop.starts_with("smtp:") && !route.next_hop.starts_with("lmtp:")) {
                fault(key + "next_hop",
                      "'" + route.next_hop +
                          "' is no next hop; write \"smtp:[host]:port\" (brackets: "
                          "no MX lookup), \"smtp:host\" or \"lmtp:[host]:port\"");
            }
        }
    }

    void queue() {
        const auto& queue = config_.queue;
        if (queue.min_retry_age > queue.max_retry_age) {
            fault("queue.min_retry_age", "is longer than max_retry_age (" +
                                             format_duration(queue.max_retry_age) +
                                             "); lower it or raise the other");
        }
        if (queue.delay_warning >= queue.lifetime) {
            fault("queue.delay_warning",
                  "is not shorter than lifetime (" + format_duration(queue.lifetime) +
                      "), so nobody would be warned; lower it, or \"0s\" for none");
        }
    }

    void intake() {
        for (const auto& name : config_.intake.relay_domains) {
            domain("intake.relay_domains", name.starts_with('.') ? name.substr(1) : name);
        }
        for (const auto& name : config_.intake.masquerade_domains) {
            domain("intake.masquerade_domains", name.starts_with('!') ? name.substr(1) : name);
        }
        networks("intake.trusted_networks", config_.intake.trusted_networks);
    }

    void pool() {
        const auto& pool = config_.pool;
        address("pool.address", pool.address);
        if (!pool.name.empty()) domain("pool.name", pool.name);
        if (auto wrong = zone_fault(pool.zone)) fault("pool.zone", std::move(*wrong));
        join();
        etcd();
        advertise();
    }

    void join() {
        const auto& pool = config_.pool;
        for (const auto& entry : pool.join) {
            if (parse_join_entry(entry)) continue;
            fault("pool.join", "'" + entry +
                                   "' says not where nodes are; write \"name\", \"name:port\", "
                                   "\"192.0.2.1:9626\", \"[2001:db8::1]:9626\" or, for SRV "
                                   "records, \"_posthorse._tcp.name\"");
        }
        if (pool.has_peers())
            pool_certificates(pool.join.empty() ? "pool.etcd.endpoints" : "pool.join");
        if (pool.expect > 0 && pool.join.empty() && !pool.on_etcd()) {
            fault("pool.expect",
                  "needs pool.join too, or the nodes cannot find each other; set it, or remove "
                  "expect for a pool of this node alone");
        }
    }

    // Endpoints may stand there before the pool moves to them.
    void etcd() {
        const auto& etcd = config_.pool.etcd;
        if (config_.pool.on_etcd() && etcd.endpoints.empty()) {
            fault("pool.control",
                  "\"etcd\" needs pool.etcd.endpoints too: endpoints = "
                  "[\"https://etcd-1.example.org:2379\"]");
        }
        for (const auto& endpoint : etcd.endpoints) {
            if (parse_etcd_endpoint(endpoint)) continue;
            fault("pool.etcd.endpoints", "'" + endpoint +
                                             "' is no endpoint of etcd; write "
                                             "\"https://host:2379\", or \"http://\" without TLS");
        }
        etcd_tls();
        if (is_etcd_prefix(etcd.prefix)) return;
        fault("pool.etcd.prefix",
              "'" + etcd.prefix +
                  "' is no prefix; begin it with '/', end it without one, and use letters, "
                  "digits and -_./: \"/posthorse/pool\"");
    }

    // Whom to believe is said, not guessed; files for TLS that are not used hide that there is
    // none.
    void etcd_tls() {
        const auto& etcd = config_.pool.etcd;
        const auto first = [&](bool tls) {
            return std::ranges::find_if(etcd.endpoints, [tls](const std::string& endpoint) {
                const auto parsed = parse_etcd_endpoint(endpoint);
                return parsed && parsed->tls == tls;
            });
        };
        if (first(true) != etcd.endpoints.end() && etcd.ca_file.empty()) {
            fault("pool.etcd.endpoints",
                  "need pool.etcd.ca_file too, the authority of etcd's certificates; the "
                  "system's own are in \"/etc/ssl/certs/ca-certificates.crt\"");
        }
        const auto plain = first(false);
        if (plain == etcd.endpoints.end()) return;
        if (first(true) != etcd.endpoints.end()) {
            fault("pool.etcd.endpoints",
                  "are partly with TLS and partly without, so whoever "
                  "listens reads and writes all: write https:// in each");
        }
        for (const auto& [key, file] : {std::pair{"ca_file", &etcd.ca_file},
                                        std::pair{"certificate_file", &etcd.certificate_file}}) {
            if (file->empty()) continue;
            fault(std::string("pool.etcd.") + key, "is not used with '" + *plain +
                                                       "', which has no TLS; write https:// "
                                                       "there, or remove the file here");
        }
    }

    // The names of `section`'s settings for TLS at both ends that are not set.
    template <class Section>
    static std::string missing_files(const std::string& section, const Section& from) {
        std::string missing;
        for (const auto& [key, file] : {std::pair{"ca_file", &from.ca_file},
                                        std::pair{"certificate_file", &from.certificate_file},
                                        std::pair{"key_file", &from.key_file}}) {
            if (file->empty()) (missing += missing.empty() ? "" : ", ") += section + '.' + key;
        }
        return missing;
    }

    // Peers hand each other all mail: none goes without.
    void pool_certificates(const std::string& asked_by) {
        const auto missing = missing_files("pool", config_.pool);
        if (missing.empty()) return;
        fault(asked_by, "needs " + missing +
                            " too; make the files with `posthorse pool ca init` and `posthorse "
                            "pool ca issue`, or have your own authority issue them");
    }

    void advertise() {
        const auto& text = config_.pool.advertise;
        if (text.empty()) return;
        const auto entry = parse_join_entry(text);
        if (entry && entry->kind != JoinEntry::Kind::service) return;
        fault("pool.advertise", "'" + text +
                                    "' is not where peers reach a node; write \"host\" or "
                                    "\"host:port\", an IPv6 address in brackets");
    }

    void admin() {
        const auto& admin = config_.admin;
        operators("admin.readers", admin.readers);
        operators("admin.operators", admin.operators);
        operators("admin.admins", admin.admins);
        if (!admin.ca_file.empty() && admin.ca_file == config_.pool.ca_file) {
            fault("admin.ca_file", std::string(one_authority_why));
        }
        if (admin.address.empty()) return;
        address("admin.address", admin.address);
        if (const auto missing = missing_files("admin", admin); !missing.empty()) {
            fault("admin.address",
                  "needs " + missing + " too: who may act on the queue is known by a certificate");
        }
        if (admin.readers.empty() && admin.operators.empty() && admin.admins.empty()) {
            fault("admin.address",
                  "needs names in admin.readers, admin.operators or admin.admins, or nobody may "
                  "call anything; list the names of the operators' certificates");
        }
    }

    // As the audit log shows them: without a second meaning.
    void operators(const std::string& key, const std::vector<std::string>& names) {
        for (const auto& name : names) {
            const bool plain =
                std::ranges::all_of(name, [](char c) { return c >= ' ' && c <= '~'; });
            if (plain && !name.empty() && name.size() <= operator_name_max) continue;
            fault(key, "'" + name +
                           "' is no name of an operator; write one of a certificate, 1 to 200 "
                           "printable ASCII characters: \"ann\" or \"ann@example.org\"");
        }
    }

    const Config& config_;
    std::vector<Fault> faults_;
};

}  // namespace

bool is_ip_address(const std::string& text) {
    const auto bare = without_brackets(text);
    return parses_as(AF_INET6, bare) || (bare == text && parses_as(AF_INET, text));
}

bool is_network(const std::string& text) {
    const auto slash = text.find('/');
    if (slash == std::string::npos) return is_ip_address(text);
    const auto address = text.substr(0, slash);
    const auto prefix = std::string_view(text).substr(slash + 1);
    if (parses_as(AF_INET, address)) return is_number(prefix, 32);
    return parses_as(AF_INET6, address) && is_number(prefix, 128);
}

bool is_domain(std::string_view text) {
    if (text.empty() || text.size() > 253) return false;
    while (true) {
        const auto dot = text.find('.');
        if (!is_label(text.substr(0, dot))) return false;
        if (dot == std::string_view::npos) return true;
        text.remove_prefix(dot + 1);
    }
}

bool is_etcd_prefix(std::string_view text) {
    constexpr std::size_t prefix_max = 200;
    const auto fits = [](char c) { return is_label_char(c) || c == '/' || c == '.'; };
    return text.size() > 1 && text.size() <= prefix_max && text.front() == '/' &&
           text.back() != '/' && std::ranges::all_of(text, fits);
}

std::optional<std::string> zone_fault(const std::string& zone) {
    if (zone.empty() || is_domain(zone)) return std::nullopt;
    return "'" + zone +
           "' is no zone; use letters, digits, hyphens, underscores and dots: \"eu-central-1a\"";
}

std::vector<Fault> validate(const Config& config) {
    return Validator(config).run();
}

}  // namespace posthorse::config
