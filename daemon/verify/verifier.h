// Finds out where mail from strangers comes from: SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC
// 7489), told in Authentication-Results (RFC 8601). It judges no mail: nobody is refused for a
// result.
//
// Place     Made by node.cc when a listener verifies; intake/acceptance.h begins a verification for
//           each message. docs/operating/verification.md.
// Contract  load() at start and at each reload. begin() on a shard that carries sessions.
// Owner     node.cc; outlives the sessions.
// Errors    begin(): unavailable: DKIM's library or the list of public suffixes cannot be used. The
//           message must then be answered 451 4.7.0: it could be told nothing about.
// Bounds    waiting_max messages wait for one of `threads`.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.h"
#include "daemon/verify/verification.h"

namespace posthorse::verify {

class Verifier {
public:
    struct Settings {
        dns::DnsResolver::Settings dns;
        std::string authserv_id;
        std::string public_suffixes;                       // a file; empty: the system's
        Duration dns_patience = std::chrono::seconds{20};  // RFC 7208 section 4.6.4
        Duration worker_patience = std::chrono::minutes{1};
        unsigned threads = 2;
        std::size_t waiting_max = 1000;
    };
    Verifier(const std::vector<runtime::Shard*>& shards,
             Settings settings,
             const Clock& clock,
             runtime::Metrics& metrics);
    ~Verifier();
    Verifier(const Verifier&) = delete;
    Verifier& operator=(const Verifier&) = delete;

    // Reads the list of public suffixes. What cannot be read leaves what was there before.
    std::vector<config::Problem> load();

    Result<std::unique_ptr<Verification>> begin(SessionFacts session);

    // The section without the fields that claim to be ours.
    std::string without_forged(const mail::Header& header);
    // The field that tells what was found, with its CR LF.
    std::string field(const Findings& findings);
    // A message could not be verified: it gets 451.
    void count_unavailable() { context_.metrics.unavailable.add(); }

private:
    struct Lane {
        runtime::Shard* shard = nullptr;
        std::unique_ptr<dns::DnsResolver> dns;
    };
    Lane& lane_here();

    const Settings settings_;
    const std::string own_name_;  // authserv_id as the DNS would know it
    std::vector<Lane> lanes_;
    VerifyContext context_;
};

}  // namespace posthorse::verify
