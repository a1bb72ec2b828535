// Every setting of the file, named once: its key, its place in `Config`, and what it may be.
//
// Place     Walked by visitors: the reader (parse.cc) and the writer (settings.cc). A new setting
//           is a line here, a member in config.h and an entry in posthorse.example.toml.
// Contract  A visitor has value(key, T&, Rule), section(key, T&) and list(key, std::vector<T>&),
//           and calls describe() for the members of the latter two.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "daemon/config/config.h"

namespace posthorse::config {

// What a value may be. Durations are counted in milliseconds.
struct Rule {
    std::uint64_t min = 0;
    std::uint64_t max = std::numeric_limits<std::int64_t>::max();
    std::vector<std::string_view> one_of{};  // empty: any string
    bool required = false;                   // within its section
};

inline Rule any() {
    return {};
}
inline Rule between(std::uint64_t min, std::uint64_t max) {
    return {.min = min, .max = max};
}
inline Rule at_least(std::uint64_t min) {
    return {.min = min};
}
inline Rule at_least(Duration min) {
    return at_least(static_cast<std::uint64_t>(min.count()));
}
inline Rule one_of(std::vector<std::string_view> words) {
    return {.one_of = std::move(words)};
}
inline Rule required(Rule rule = {}) {
    rule.required = true;
    return rule;
}

struct ListenerKindName {
    ListenerKind kind;
    std::string_view name;
};
inline constexpr std::array<ListenerKindName, 3> listener_kind_names{
    {{ListenerKind::submission, "submission"},
     {ListenerKind::submissions, "submissions"},
     {ListenerKind::mx, "mx"}}};

inline constexpr auto second = std::chrono::seconds{1};

template <class V>
void describe(V& v, Listener& s) {
    v.value("name", s.name, required());
    v.value("kind", s.kind, required(one_of({"submission", "submissions", "mx"})));
    v.value("address", s.address, required());
    v.value("port", s.port, required(between(1, 65535)));
    v.value("copies", s.copies, between(0, 7));
    v.value("proxies", s.proxies, any());
    v.value("greet_pause", s.greet_pause, between(0, 60'000));
    v.value("sessions_max", s.sessions_max, between(0, 1'000'000));
    v.value("verify", s.verify, one_of({"off", "monitor"}));
}

template <class V>
void describe(V& v, Tls& s) {
    v.value("certificate_file", s.certificate_file, any());
    v.value("key_file", s.key_file, any());
}

template <class V>
void describe(V& v, Auth& s) {
    v.value("backend", s.backend, one_of({"file", "pam"}));
    v.value("password_file", s.password_file, any());
    v.value("pam_service", s.pam_service, any());
    v.value("pam_threads", s.pam_threads, between(1, 512));
    v.value("mechanisms", s.mechanisms,
            one_of({"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"}));
    v.value("exempt_logins", s.exempt_logins, any());
    v.value("senders_file", s.senders_file, any());
    v.value("check_from", s.check_from, any());
    v.value("failure_delay", s.failure_delay, between(0, 60'000));
    v.value("failures_per_client_max", s.failures_per_client_max, between(0, 1'000'000));
    v.value("failures_per_login_max", s.failures_per_login_max, between(0, 1'000'000));
    v.value("failure_window", s.failure_window, between(60'000, 86'400'000));
}

template <class V>
void describe(V& v, Dkim& s) {
    v.value("key_table", s.key_table, any());
    v.value("signing_table", s.signing_table, any());
    v.value("canonicalization", s.canonicalization,
            one_of({"relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"}));
}

template <class V>
void describe(V& v, Verify& s) {
    v.value("authserv_id", s.authserv_id, any());
    v.value("public_suffixes", s.public_suffixes, any());
}

template <class V>
void describe(V& v, Route& s) {
    v.value("domain", s.domain, required());
    v.value("next_hop", s.next_hop, required());
}

template <class V>
void describe(V& v, Delivery& s) {
    v.value("helo_name", s.helo_name, any());
    v.value("connections_max", s.connections_max, between(1, 100'000));
    v.value("connections_per_destination_max", s.connections_per_destination_max,
            between(1, 100'000));
    v.value("active_max", s.active_max, between(10, 1'000'000));
    v.value("idle_connection", s.idle_connection, any());
    v.value("messages_per_connection_max", s.messages_per_connection_max, between(1, 1'000'000));
    v.value("tls", s.tls, one_of({"never", "when_offered", "required"}));
    v.value("private_addresses", s.private_addresses, any());
    v.value("dns_servers", s.dns_servers, any());
    v.value("port", s.port, between(1, 65535));
    v.value("routes_file", s.routes_file, any());
    v.value("source_address", s.source_address, any());
    v.list("route", s.routes);
}

template <class V>
void describe(V& v, Queue& s) {
    v.value("lifetime", s.lifetime, at_least(second));
    v.value("delay_warning", s.delay_warning, any());
    v.value("min_retry_age", s.min_retry_age, at_least(second));
    v.value("max_retry_age", s.max_retry_age, at_least(second));
    v.value("bounce_lifetime", s.bounce_lifetime, at_least(second));
    v.value("in_doubt", s.in_doubt, one_of({"resend", "hold", "bounce"}));
    v.value("in_doubt_wait", s.in_doubt_wait, any());
    v.value("poison_attempts", s.poison_attempts, between(0, 1000));
    v.value("disk_floor_bytes", s.disk_floor_bytes, any());
    v.value("write_buffer_bytes", s.write_buffer_bytes, between(1u << 20, 1ull << 40));
}

template <class V>
void describe(V& v, Intake& s) {
    v.value("relay_domains", s.relay_domains, any());
    v.value("recipient_map", s.recipient_map, any());
    v.value("sender_map", s.sender_map, any());
    v.value("masquerade_domains", s.masquerade_domains, any());
    v.value("trusted_networks", s.trusted_networks, any());
    v.value("sessions_max", s.sessions_max, between(1, 1'000'000));
    v.value("sessions_per_client_max", s.sessions_per_client_max, between(1, 1'000'000));
    v.value("add_missing_headers", s.add_missing_headers, any());
    v.value("future_release_max", s.future_release_max, between(0, 31'536'000'000));  // a year
    v.value("deliver_by_min", s.deliver_by_min, between(0, 31'536'000'000));
    v.value("priority_max", s.priority_max, between(0, 9));
}

template <class V>
void describe(V& v, Etcd& s) {
    v.value("endpoints", s.endpoints, any());
    v.value("prefix", s.prefix, any());
    v.value("ca_file", s.ca_file, any());
    v.value("certificate_file", s.certificate_file, any());
    v.value("key_file", s.key_file, any());
}

template <class V>
void describe(V& v, Pool& s) {
    v.value("control", s.control, one_of({"embedded", "etcd"}));
    v.value("join", s.join, any());
    v.value("expect", s.expect, between(0, 64));
    v.value("address", s.address, any());
    v.value("port", s.port, between(1, 65535));
    v.value("advertise", s.advertise, any());
    v.value("name", s.name, any());
    v.value("zone", s.zone, any());
    v.value("copies", s.copies, between(1, 7));
    v.value("when_short", s.when_short, one_of({"degrade", "refuse"}));
    v.value("heal_bytes_per_second", s.heal_bytes_per_second, between(64u << 10, 1ull << 40));
    v.value("lease_ttl", s.lease_ttl, between(2'000, 300'000));
    v.value("ca_file", s.ca_file, any());
    v.value("certificate_file", s.certificate_file, any());
    v.value("key_file", s.key_file, any());
    v.value("certificates", s.certificates, one_of({"pool", "node"}));
    v.section("etcd", s.etcd);
}

template <class V>
void describe(V& v, Admin& s) {
    v.value("socket", s.socket, any());
    v.value("address", s.address, any());
    v.value("port", s.port, between(1, 65535));
    v.value("ca_file", s.ca_file, any());
    v.value("certificate_file", s.certificate_file, any());
    v.value("key_file", s.key_file, any());
    v.value("readers", s.readers, any());
    v.value("operators", s.operators, any());
    v.value("admins", s.admins, any());
}

template <class V>
void describe(V& v, Http& s) {
    v.value("address", s.address, any());
    v.value("port", s.port, between(1, 65535));
}

template <class V>
void describe(V& v, Log& s) {
    v.value("level", s.level, one_of({"debug", "info", "warning", "error"}));
    v.value("mask_addresses", s.mask_addresses, any());
}

// Only what an operator has a reason to change; the rest of smtp::Limits are facts of the protocol.
template <class V>
void describe(V& v, Limits& s) {
    v.value("message_bytes_max", s.message_bytes_max, between(64 * 1024, 1ull << 40));
    v.value("header_bytes_max", s.header_bytes_max, between(64 * 1024, 64u << 20));
    v.value("recipients_max", s.recipients_max, between(100, 100'000));
    v.value("received_max", s.received_max, between(10, 1000));
    v.value("errors_max", s.errors_max, between(1, 1'000'000));
    v.value("idle_commands_max", s.idle_commands_max, between(10, 1'000'000));
    v.value("sender_messages_per_day", s.sender_messages_per_day, between(0, 1'000'000'000));
    v.value("client_connections_per_second", s.client_connections_per_second,
            between(0, 1'000'000));
}

template <class V>
void describe(V& v, smtp::Timeouts& s) {
    v.value("server_command", s.server_command, at_least(second));
    v.value("server_data", s.server_data, at_least(second));
    v.value("server_session", s.server_session, at_least(second));
    v.value("server_crowded", s.server_crowded, at_least(second));
    v.value("tls_handshake", s.tls_handshake, at_least(second));
    v.value("connect", s.connect, at_least(second));
    v.value("greeting", s.greeting, at_least(second));
    v.value("command", s.command, at_least(second));
    v.value("data_start", s.data_start, at_least(second));
    v.value("data_block", s.data_block, at_least(second));
    v.value("final_dot", s.final_dot, at_least(second));
    v.value("attempt", s.attempt, at_least(second));
}

template <class V>
void describe(V& v, Config& s) {
    v.value("host_name", s.host_name, any());
    v.value("user", s.user, any());
    v.value("data_dir", s.data_dir, any());
    v.value("shards", s.shards, between(0, 1024));
    v.value("stop_budget", s.stop_budget, at_least(second));
    v.list("listener", s.listeners);
    v.section("tls", s.tls);
    v.section("auth", s.auth);
    v.section("dkim", s.dkim);
    v.section("verify", s.verify);
    v.section("delivery", s.delivery);
    v.section("queue", s.queue);
    v.section("intake", s.intake);
    v.section("pool", s.pool);
    v.section("admin", s.admin);
    v.section("http", s.http);
    v.section("log", s.log);
    v.section("limits", s.limits);
    v.section("timeouts", s.timeouts);
}

}  // namespace posthorse::config
