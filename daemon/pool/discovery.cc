#include "daemon/pool/discovery.h"

#include <utility>

#include "daemon/pool/endpoint.h"
#include "proto/types/assert.h"

namespace posthorse::pool {
namespace {

std::vector<config::JoinEntry> parse(const std::vector<std::string>& join,
                                     std::uint16_t default_port) {
    std::vector<config::JoinEntry> entries;
    for (const auto& text : join) {
        auto entry = config::parse_join_entry(text);
        PH_ASSERT(entry);
        if (entry->port == 0) entry->port = default_port;
        entries.push_back(std::move(*entry));
    }
    return entries;
}

std::string dns_trouble(const std::string& name, const std::string& error) {
    return "DNS look-up of " + name + " failed: " + error;
}

}  // namespace

Discovery::Discovery(runtime::Shard& home,
                     const dns::DnsResolver::Settings& dns,
                     const std::vector<std::string>& join,
                     std::uint16_t default_port)
    : home_(home), entries_(parse(join, default_port)), dns_(home, dns) {}

void Discovery::look(UniqueFunction<void(Discovered)> done) {
    waiting_.push_back(std::move(done));
    if (waiting_.size() > 1) return;
    open_ = 1;  // this loop
    for (const auto& entry : entries_) ask(entry);
    one_answered();
}

void Discovery::ask(const config::JoinEntry& entry) {
    switch (entry.kind) {
        case config::JoinEntry::Kind::address:
            return add(entry.name, entry.port);
        case config::JoinEntry::Kind::host:
            return ask_host(entry.name, entry.port);
        case config::JoinEntry::Kind::service:
            return ask_service(entry.name);
    }
}

void Discovery::ask_service(const std::string& name) {
    ++open_;
    dns_.srv(name, [this, name](dns::SrvAnswer answer) {
        if (answer.end == dns::LookupEnd::failed) fail(dns_trouble(name, answer.error));
        for (const auto& node : answer.records) {
            if (!node.host.empty()) ask_host(node.host, node.port);
        }
        one_answered();
    });
}

void Discovery::ask_host(const std::string& host, std::uint16_t port) {
    ++open_;
    dns_.addresses({host}, [this, port](const std::vector<dns::HostAddresses>& hosts) {
        for (const auto& found : hosts) {
            take(found.host, found.v4, port);
            take(found.host, found.v6, port);
        }
        one_answered();
    });
}

void Discovery::take(const std::string& name,
                     const dns::AddressAnswer& answer,
                     std::uint16_t port) {
    if (answer.end == dns::LookupEnd::failed) fail(dns_trouble(name, answer.error));
    for (const auto& address : answer.records) add(address, port);
}

void Discovery::add(const std::string& address, std::uint16_t port) {
    auto text = endpoint_text(address, port);
    if (found_.size() < addresses_max || found_.contains(text)) {
        found_.insert(std::move(text));
    } else {
        fail("pool.join leads to more than " + std::to_string(addresses_max) + " addresses");
    }
}

void Discovery::fail(std::string trouble) {
    if (trouble_.empty()) trouble_ = std::move(trouble);
}

void Discovery::one_answered() {
    if (--open_ > 0) return;
    const auto found = std::exchange(found_, {});
    const Discovered answer{{found.begin(), found.end()}, trouble_.empty(), trouble_};
    trouble_.clear();
    for (auto& done : std::exchange(waiting_, {})) {
        home_.post([done = std::move(done), answer]() mutable { done(answer); });
    }
}

}  // namespace posthorse::pool
