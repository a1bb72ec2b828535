#include "daemon/verify/verifier.h"

#include <algorithm>

#include "daemon/runtime/log.h"
#include "proto/types/assert.h"

namespace posthorse::verify {
namespace {

std::unique_ptr<sign::DkimVerifier> make_dkim() {
    auto made = sign::DkimVerifier::make();
    if (made) return std::move(*made);
    runtime::log::error("verifier_unavailable", {{"why", made.error().what}});
    return nullptr;
}

}  // namespace

Verifier::Verifier(const std::vector<runtime::Shard*>& shards,
                   Settings settings,
                   const Clock& clock,
                   runtime::Metrics& metrics)
    : settings_(std::move(settings)),
      own_name_(dns_name(settings_.authserv_id)),
      context_{.authserv_id = settings_.authserv_id,
               .dns_patience = settings_.dns_patience,
               .worker_patience = settings_.worker_patience,
               .clock = clock,
               .dkim = make_dkim(),
               .suffixes = {},
               .metrics = VerifyMetrics(metrics),
               .workers = {settings_.threads, settings_.waiting_max, "verify"}} {
    for (auto* shard : shards) {
        lanes_.push_back({shard, std::make_unique<dns::DnsResolver>(*shard, settings_.dns)});
    }
}

Verifier::~Verifier() = default;

std::vector<config::Problem> Verifier::load() {
    auto list = PublicSuffixes::load(settings_.public_suffixes);
    if (!list) return {{settings_.public_suffixes, 0, list.error().what, true}};
    context_.suffixes.set(std::move(*list));
    return {};
}

Verifier::Lane& Verifier::lane_here() {
    const auto here =
        std::ranges::find_if(lanes_, [](const Lane& lane) { return lane.shard->here(); });
    PH_ASSERT(here != lanes_.end());
    return *here;
}

Result<std::unique_ptr<Verification>> Verifier::begin(SessionFacts session) {
    if (context_.dkim == nullptr) return Error{Errc::unavailable, "DKIM's library gives no handle"};
    auto suffixes = context_.suffixes.get();
    if (suffixes == nullptr)
        return Error{Errc::unavailable, "no list of public suffixes could be read"};
    auto dkim = context_.dkim->begin();
    if (!dkim) return dkim.error();
    auto& lane = lane_here();
    return std::make_unique<Verification>(Verification::Place{context_, *lane.shard, *lane.dns},
                                          std::move(session), std::move(*dkim),
                                          std::move(suffixes));
}

// Names of servers are compared as the DNS would: "MX.example.org" and "mx.example.org." are one,
// and so are both forms of a name beyond ASCII.
std::string Verifier::without_forged(const mail::Header& header) {
    auto kept = mail::without_forged_results(
        header, [this](std::string_view id) { return dns_name(id) == own_name_; });
    if (kept.count > 0) context_.metrics.forged.add(static_cast<double>(kept.count));
    return std::move(kept.section);
}

std::string Verifier::field(const Findings& findings) {
    const auto results = to_results(findings);
    for (const auto& result : results) context_.metrics.count(result.method, result.result);
    return mail::authentication_results_field(context_.authserv_id, results);
}

}  // namespace posthorse::verify
