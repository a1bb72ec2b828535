#include "daemon/pool_metrics.h"

#include <algorithm>
#include <array>
#include <limits>

#include "daemon/admin/pool_figures.h"
#include "replication/core/control_message.h"

namespace posthorse {
namespace {

using runtime::Counter;
using runtime::Gauge;
using runtime::Metrics;

// A count that is kept elsewhere, as a counter.
class Followed {
public:
    explicit Followed(Counter counter) : counter_(counter) {}
    void follow(std::uint64_t total) {
        if (total <= seen_) return;
        counter_.add(static_cast<double>(total - seen_));
        seen_ = total;
    }

private:
    Counter counter_;
    std::uint64_t seen_ = 0;
};

// --- who is there

struct MemberGauges {
    explicit MemberGauges(Metrics& metrics)
        : by_state{gauge(metrics, "live"), gauge(metrics, "draining"), gauge(metrics, "away")} {}

    static Gauge gauge(Metrics& metrics, const char* state) {
        return metrics.gauge("posthorse_pool_members", "Members of the pool.", {{"state", state}});
    }
    void set(const replication::PoolState& state) {
        std::array<int, admin::member_states> counts{};
        for (const auto& member : state.members) {
            ++counts[static_cast<std::size_t>(admin::state_of(member))];
        }
        for (std::size_t i = 0; i < counts.size(); ++i) by_state[i].set(counts[i]);
    }

    std::array<Gauge, admin::member_states> by_state;
};

// --- who decides

struct AgreementGauges {
    explicit AgreementGauges(Metrics& metrics)
        : embedded(decides(metrics, "embedded")),
          etcd(decides(metrics, "etcd")),
          can_decide(metrics.gauge("posthorse_pool_can_decide",
                                   "1 when the pool can agree on changes, as seen from here.")),
          voters(metrics.gauge("posthorse_pool_voters", "Nodes that vote; NaN on etcd.")),
          has_leader(metrics.gauge("posthorse_pool_has_leader",
                                   "1 when a leader is heard here; NaN on etcd.")),
          leads(metrics.gauge("posthorse_pool_leads",
                              "1 when this node leads the pool; NaN on etcd.")),
          term(metrics.gauge("posthorse_pool_term", "Term of the agreement; NaN on etcd.")),
          version(metrics.gauge("posthorse_pool_version", "Version of the committed pool state.")),
          lease(metrics.gauge("posthorse_pool_lease_seconds",
                              "What is left of this node's lease; 0 without one.")) {}

    static Gauge decides(Metrics& metrics, const char* by) {
        return metrics.gauge("posthorse_pool_control", "1 for what decides for the pool.",
                             {{"by", by}});
    }
    void set(const admin::PoolView& view) {
        const auto& status = view.status;
        const bool votes = status.control == replication::PoolControl::embedded;
        // What there is not is no number: no alert on one fires.
        const auto of_votes = [&](auto value) {
            return votes ? static_cast<double>(value) : std::numeric_limits<double>::quiet_NaN();
        };
        embedded.set(votes ? 1 : 0);
        etcd.set(votes ? 0 : 1);
        can_decide.set(admin::can_decide(status) ? 1 : 0);
        voters.set(of_votes(status.voters.voters.size()));
        has_leader.set(of_votes(status.leader ? 1 : 0));
        leads.set(of_votes(status.leader == status.self ? 1 : 0));
        term.set(of_votes(status.term.value));
        version.set(static_cast<double>(view.committed.version.value));
        lease.set(std::chrono::duration<double>(status.lease_left.value_or(Duration{})).count());
    }

    Gauge embedded, etcd, can_decide, voters, has_leader, leads, term, version, lease;
};

// --- who has what

struct PartitionGauges {
    explicit PartitionGauges(Metrics& metrics)
        : owned(of_this_node(metrics, "owned")),
          in_sync(of_this_node(metrics, "in_sync")),
          unowned(metrics.gauge("posthorse_pool_partitions_unowned",
                                "Partitions of the pool that wait for a holder to come back.")),
          short_ones(metrics.gauge("posthorse_pool_partitions_short",
                                   "Partitions of the pool with fewer in-sync nodes than copies.")),
          set_aside(metrics.gauge("posthorse_pool_set_aside_copies",
                                  "Data directories here that the pool did not take back.")) {}

    static Gauge of_this_node(Metrics& metrics, const char* state) {
        return metrics.gauge("posthorse_pool_partitions", "Partitions of this node.",
                             {{"state", state}});
    }
    void set(const admin::PoolView& view) {
        const auto& state = view.committed;
        const auto holdings = admin::holdings_of(state, view.status.self);
        owned.set(holdings.owned);
        in_sync.set(holdings.in_sync);
        const auto counted = [&](auto condition) {
            return static_cast<double>(std::ranges::count_if(state.partitions, condition));
        };
        unowned.set(counted([](const auto& partition) { return !partition.owner; }));
        short_ones.set(
            counted([&](const auto& partition) { return admin::is_short(state, partition); }));
        set_aside.set(static_cast<double>(view.set_aside.size()));
    }

    Gauge owned, in_sync, unowned, short_ones, set_aside;
};

// --- what is said

class PeerCounters {
public:
    explicit PeerCounters(Metrics& metrics)
        : metrics_(metrics),
          sent_(messages("sent")),
          failed_(messages("failed")),
          dropped_(messages("dropped")),
          received_(messages("received")),
          certificate_(metrics.gauge("posthorse_pool_certificate_expiry_seconds",
                                     "When this node's certificate for peers ends, since 1970; 0 "
                                     "without one.")) {
        for (const auto reason :
             {Refusal::other_pool, Refusal::not_a_member, Refusal::stale_incarnation,
              Refusal::wrong_node, Refusal::not_ready}) {
            refused(replication::to_string(reason));
        }
    }

    void follow(const replication::PeerNetworkFigures& figures) {
        sent_.follow(figures.sent);
        failed_.follow(figures.failed);
        dropped_.follow(figures.dropped);
        received_.follow(figures.received);
        for (const auto& [reason, count] : figures.refused) refused(reason).follow(count);
        certificate_.set(
            std::chrono::duration<double>(figures.certificate_expires.time_since_epoch()).count());
    }

private:
    using Refusal = replication::Refusal;

    Followed messages(const char* result) {
        return Followed(metrics_.counter("posthorse_pool_messages_total",
                                         "Messages between this node and its peers.",
                                         {{"result", result}}));
    }
    Followed& refused(const std::string& reason) {
        const auto found = refused_.find(reason);
        if (found != refused_.end()) return found->second;
        return refused_
            .emplace(reason, metrics_.counter("posthorse_pool_refused_messages_total",
                                              "Messages of peers that this node did not take.",
                                              {{"reason", reason}}))
            .first->second;
    }

    Metrics& metrics_;
    Followed sent_, failed_, dropped_, received_;
    Gauge certificate_;
    std::map<std::string, Followed> refused_;
};

// --- how etcd is asked

class EtcdCounters {
public:
    explicit EtcdCounters(Metrics& metrics)
        : answered_(requests(metrics, "answered")),
          failed_(requests(metrics, "failed")),
          moves_(metrics.counter("posthorse_pool_etcd_moves_total",
                                 "Times that an endpoint of etcd was left for the next.")),
          reachable_(metrics.gauge("posthorse_pool_etcd_reachable",
                                   "1 when the endpoint of etcd in use answers.")) {}

    void follow(const replication::EtcdFigures& figures) {
        answered_.follow(figures.calls);
        failed_.follow(figures.failed);
        moves_.follow(figures.moves);
        reachable_.set(figures.problem.empty() ? 1 : 0);
    }

private:
    static Followed requests(Metrics& metrics, const char* result) {
        return Followed(metrics.counter("posthorse_pool_etcd_requests_total",
                                        "Reads and transactions that etcd was asked for.",
                                        {{"result", result}}));
    }

    Followed answered_, failed_, moves_;
    Gauge reachable_;
};

// --- how mail is copied

class StreamFigures {
public:
    explicit StreamFigures(Metrics& metrics)
        : kept_(streams(metrics, "kept")),
          come_(streams(metrics, "come")),
          frames_sent_(frames(metrics, "sent")),
          frames_received_(frames(metrics, "received")),
          octets_sent_(octets(metrics, "sent")),
          octets_received_(octets(metrics, "received")) {}

    void follow(const replication::PeerStreamFigures& figures) {
        kept_.set(static_cast<double>(figures.up));
        come_.set(static_cast<double>(figures.in));
        frames_sent_.follow(figures.frames_sent);
        frames_received_.follow(figures.frames_received);
        octets_sent_.follow(figures.octets_sent);
        octets_received_.follow(figures.octets_received);
    }

private:
    static Gauge streams(Metrics& metrics, const char* way) {
        return metrics.gauge("posthorse_replication_streams",
                             "Streams of mail that are up: kept to holders, come from owners.",
                             {{"way", way}});
    }
    static Followed frames(Metrics& metrics, const char* way) {
        return Followed(metrics.counter("posthorse_replication_frames_total",
                                        "Frames between owners and holders.", {{"way", way}}));
    }
    static Followed octets(Metrics& metrics, const char* way) {
        return Followed(metrics.counter("posthorse_replication_bytes_total",
                                        "Octets of those, before encryption.", {{"way", way}}));
    }

    Gauge kept_, come_;
    Followed frames_sent_, frames_received_, octets_sent_, octets_received_;
};

}  // namespace

void export_streams(Metrics& metrics, std::function<replication::PeerStreamFigures()> streams) {
    metrics.before_scrape([figures = StreamFigures(metrics),
                           streams = std::move(streams)]() mutable { figures.follow(streams()); });
}

void export_etcd(Metrics& metrics, std::function<replication::EtcdFigures()> etcd) {
    metrics.before_scrape([counters = EtcdCounters(metrics), etcd = std::move(etcd)]() mutable {
        counters.follow(etcd());
    });
}

void export_pool(Metrics& metrics,
                 std::function<admin::PoolView()> view,
                 std::function<replication::PeerNetworkFigures()> peers) {
    metrics.before_scrape([members = MemberGauges(metrics), agreement = AgreementGauges(metrics),
                           partitions = PartitionGauges(metrics),
                           view = std::move(view)]() mutable {
        const auto now = view();
        members.set(now.committed);
        agreement.set(now);
        partitions.set(now);
    });
    metrics.before_scrape([counters = PeerCounters(metrics), peers = std::move(peers)]() mutable {
        counters.follow(peers());
    });
}

}  // namespace posthorse
