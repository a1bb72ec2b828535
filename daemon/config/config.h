// The configuration: one immutable, validated value, read once and passed in parts.
//
// Place     Made by load() from deploy/config/posthorse.example.toml's format; handed out by
//           node.cc. A reload (SIGHUP) reads maps, keys, certificates and passwords anew, and takes
//           the names of operators; what else changed needs a restart, and the reload says so.
// Contract  Nodes of a pool differ by nothing in it (P7).
// Errors    load() gives every fault at once: file, line, what is wrong and the mend.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/types/limits.h"
#include "proto/types/result.h"

namespace posthorse::config {

enum class ListenerKind : std::uint8_t {
    submission,   // 587: STARTTLS, AUTH required
    submissions,  // 465: TLS from the first octet, AUTH required
    mx,           // 25: STARTTLS offered, no AUTH, relay_domains only
};

struct Listener {
    std::string name;  // unique; in logs and metrics
    ListenerKind kind = ListenerKind::submission;
    std::string address;  // an IP address: "0.0.0.0", "::" (takes IPv4 too), "192.0.2.1"
    std::uint16_t port = 0;
    std::uint32_t copies = 0;  // of a message that comes here; 0: pool.copies
    // Networks whose connections begin with a PROXY header, which names the client.
    std::vector<std::string> proxies;
    Duration greet_pause{};  // before the greeting; who speaks in it is refused
    // Above it connections wait until they are taken; 0: none does, see Intake::sessions_max.
    std::uint32_t sessions_max = 0;
    std::string verify = "off";  // off | monitor: mail from strangers is verified, none refused
};

struct Tls {
    std::string
        certificate_file;  // chain, PEM; or the environment variables TLS_CERT, TLS_CA_BUNDLE
    std::string key_file;  // PEM; or TLS_KEY
};

struct Auth {
    std::string backend = "file";  // file: password_file | pam: pam_service
    std::string password_file;
    std::string pam_service = "posthorse";
    std::uint32_t pam_threads = 32;  // questions to PAM at once
    // Of SASL, as they are offered; those of SCRAM only when somebody has keys for them.
    std::vector<std::string> mechanisms{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"};
    std::vector<std::string> exempt_logins;  // may send as anyone
    std::string senders_file;                // login: address, address, @domain
    bool check_from = false;                 // the From field, too, must be the login's
    Duration failure_delay = std::chrono::seconds{2};
    // Failed logins within the window, in the whole pool; 0: not counted.
    std::uint32_t failures_per_client_max = 50;  // then 421
    std::uint32_t failures_per_login_max = 10;   // of a login, from one client: then longer delays
    Duration failure_window = std::chrono::minutes{10};
};

struct Dkim {
    std::string key_table;      // OpenDKIM's KeyTable
    std::string signing_table;  // OpenDKIM's SigningTable, refile
    std::string canonicalization = "relaxed/relaxed";
};

// What strangers' mail is verified by, and in whose name it is told.
struct Verify {
    std::string authserv_id;      // of Authentication-Results; the same on all nodes
    std::string public_suffixes;  // Mozilla's list; empty: the system's
};

struct Route {
    std::string domain;  // "example.org" or ".example.org" (every domain below)
    // "smtp:[host]:port", "smtp:host", "smtp:[192.0.2.1]:2525", "lmtp:[host]:port"
    std::string next_hop;
};

struct Delivery {
    std::string helo_name;  // empty: node.host_name
    std::uint32_t connections_max = 200;
    std::uint32_t connections_per_destination_max = 20;
    std::uint32_t active_max = 20000;  // messages in memory
    Duration idle_connection = std::chrono::seconds{5};
    std::uint32_t messages_per_connection_max = 100;
    std::string tls = "when_offered";      // never | when_offered | required
    bool private_addresses = false;        // may connect to loopback and private ranges of an MX
    std::vector<std::string> dns_servers;  // empty: the system's
    std::uint16_t port = 25;               // of remote MXs; another only in tests
    std::vector<Route> routes;
    std::string routes_file;     // sendmail's mailertable format; read after `routes`
    std::string source_address;  // empty: the system's choice
};

struct Queue {
    Duration lifetime = std::chrono::hours{96};
    Duration delay_warning = std::chrono::hours{4};  // 0: none
    Duration min_retry_age = std::chrono::minutes{5};
    Duration max_retry_age = std::chrono::hours{1};
    Duration bounce_lifetime = std::chrono::hours{96};
    std::string in_doubt = "resend";  // resend | hold | bounce
    // For the node that made such an attempt to come back and tell.
    Duration in_doubt_wait = std::chrono::minutes{11};
    // Deliveries in a row that take their node with them, or stall: then it is held; 0: never.
    std::uint32_t poison_attempts = 3;
    std::uint64_t disk_floor_bytes = 256ull * 1024 * 1024;
    std::uint64_t write_buffer_bytes = 64ull * 1024 * 1024;
};

struct Intake {
    std::vector<std::string> relay_domains;  // what 25 accepts
    std::string recipient_map;               // and whom, one by one: sendmail's access map
    std::string sender_map;                  // other names for senders: sendmail's generics table
    std::vector<std::string> masquerade_domains;  // that hide the hosts below them; "!" keeps one
    std::vector<std::string> trusted_networks;    // may submit without AUTH: "10.0.0.0/8", "::1"
    std::uint32_t sessions_max = 1000;
    std::uint32_t sessions_per_client_max = 50;
    bool add_missing_headers = true;  // submissions only (RFC 6409 section 8)
    // How long submissions may be held for a later release (RFC 4865); 0: they may not.
    Duration future_release_max{};
    // The least time in which mail must be delivered, or comes back (RFC 2852); 0: any.
    Duration deliver_by_min = std::chrono::minutes{1};
    std::uint32_t priority_max = 4;  // that who submits may ask for (RFC 6710)
};

// Where a pool with control = "etcd" has its value.
struct Etcd {
    std::vector<std::string> endpoints;  // "https://host:port", of one etcd; all or some members
    std::string prefix = "/posthorse/pool";
    std::string ca_file;           // of etcd's certificates
    std::string certificate_file;  // of this node as a client; empty: it shows none
    std::string key_file;
};

// The nodes that share one queue. Without `join` or etcd a node is a pool of itself and opens no
// peer port.
struct Pool {
    std::string control = "embedded";  // who decides: embedded (the nodes themselves) | etcd
    Etcd etcd;
    std::vector<std::string> join;  // where other nodes are: join_entry.h
    std::uint32_t expect = 0;       // a new pool begins with exactly so many; 0: never begin one
    std::string address = "0.0.0.0";
    std::uint16_t port = 9626;
    std::string advertise;  // "host", "host:port"; empty: this machine's address, and `port`
    std::string name;       // empty in the file: the machine's
    std::string zone;       // empty in the file: POSTHORSE_ZONE; both empty: none
    std::uint32_t copies = 2;
    // With fewer holders than `copies`: degrade (take mail, copy it later) | refuse (451).
    std::string when_short = "degrade";
    std::uint64_t heal_bytes_per_second = 32ull * 1024 * 1024;
    Duration lease_ttl = std::chrono::seconds{10};
    std::string ca_file;
    std::string certificate_file;
    std::string key_file;
    std::string certificates = "pool";  // pool: any bearer is a member | node: its name must match

    bool on_etcd() const { return control == "etcd"; }
    // Others may share the queue: they are looked for, and may come.
    bool has_peers() const { return !etcd.endpoints.empty() || !join.empty(); }
};

struct Admin {
    std::string socket = "/run/posthorse/admin.sock";
    // --- from afar, over mutual TLS
    std::string address;  // empty: on the socket alone
    std::uint16_t port = 9627;
    std::string ca_file;  // of the operators' certificates, and not pool.ca_file
    std::string certificate_file;
    std::string key_file;
    std::vector<std::string> readers;  // names in operators' certificates, by role
    std::vector<std::string> operators;
    std::vector<std::string> admins;
};

struct Http {
    std::string address = "127.0.0.1";  // empty: no HTTP
    std::uint16_t port = 9625;
};

struct Log {
    std::string level = "info";
    bool mask_addresses = false;
};

// Those of the protocol, and those of this pool's policy: counted in the whole pool; 0: no limit.
struct Limits : smtp::Limits {
    std::uint32_t sender_messages_per_day = 0;        // of one login, or of one address without one
    std::uint32_t client_connections_per_second = 0;  // beyond it the greeting waits
};

struct Config {
    std::string host_name;  // empty in the file: the machine's
    std::string user;       // what root becomes; empty: stays root
    std::string data_dir = "/var/lib/posthorse";
    std::uint32_t shards = 0;  // event loops; 0: one a core
    Duration stop_budget = std::chrono::seconds{110};
    std::vector<Listener> listeners;
    Tls tls;
    Auth auth;
    Dkim dkim;
    Verify verify;
    Delivery delivery;
    Queue queue;
    Intake intake;
    Pool pool;
    Admin admin;
    Http http;
    Log log;
    Limits limits;
    smtp::Timeouts timeouts;
};

// One thing wrong in a file, with its mend.
struct Problem {
    std::string file;
    std::uint32_t line = 0;         // 0: the whole file
    std::string what;               // "listener 'mx': port is missing; add `port = 25`"
    bool fatal = true;              // false: the row is skipped, the rest is used
    std::string to_string() const;  // "file:line: what"
};

// On a fatal problem the config is not to be used; `problems` holds all.
struct Loaded {
    Config config;
    std::vector<Problem> problems;
    bool usable() const;
};
// Pure: the text and what its settings say about each other. Without a [[listener]] the config has
// those of default_listeners().
Loaded parse(std::string_view text, const std::string& file_name);
// Reads `path` and parses it: for a client of a node, who need not read what the node reads.
Loaded read(const std::string& path);
// The same, and checks that the files named in it can be read.
Loaded load(const std::string& path);

std::vector<Listener> default_listeners();

// One setting as text: {"queue.lifetime", "4d"}, {"listener.0.port", "587"}; in the schema's order.
struct Setting {
    std::string key;
    std::string value;
    bool operator==(const Setting&) const = default;
};
std::vector<Setting> settings(const Config& config);
// The keys whose values differ or which only one of the two has: what a reload cannot change.
std::vector<std::string> changed_keys(const Config& before, const Config& after);

}  // namespace posthorse::config
