#include "daemon/pool_metrics.h"

#include <doctest/doctest.h>

#include "tests/unit/daemon/admin/pools.h"

namespace posthorse {
namespace {

using replication::PeerNetworkFigures;

bool has(const std::string& text, const std::string& line) {
    INFO(text);
    return text.find("\nposthorse_pool_" + line + "\n") != std::string::npos;
}

TEST_CASE("the pool in figures") {
    auto view = admin::test::three_nodes();
    view.set_aside = {"one"};
    PeerNetworkFigures peers;
    runtime::Metrics metrics;
    export_pool(metrics, [&] { return view; }, [&] { return peers; });

    auto text = metrics.text();
    for (const auto* line :
         {"members{state=\"live\"} 2", "members{state=\"draining\"} 0", "members{state=\"away\"} 1",
          "control{by=\"embedded\"} 1", "control{by=\"etcd\"} 0", "can_decide 1", "voters 3",
          "has_leader 1", "leads 1", "term 3", "version 17", "lease_seconds 8.49",
          "partitions{state=\"owned\"} 2", "partitions{state=\"in_sync\"} 3",
          "partitions_unowned 1", "partitions_short 1", "set_aside_copies 1"}) {
        CHECK_MESSAGE(has(text, line), line);
    }

    view.status.leader.reset();
    view.status.lease_left.reset();
    view.committed.members[1].draining = true;
    text = metrics.text();
    for (const auto* line : {"members{state=\"live\"} 1", "members{state=\"draining\"} 1",
                             "can_decide 0", "has_leader 0", "leads 0", "lease_seconds 0"}) {
        CHECK_MESSAGE(has(text, line), line);
    }
}

TEST_CASE("what there is not on etcd is no number") {
    auto view = admin::test::three_on_etcd();
    runtime::Metrics metrics;
    export_pool(metrics, [&] { return view; }, [] { return PeerNetworkFigures{}; });
    auto text = metrics.text();
    for (const auto* line :
         {"control{by=\"embedded\"} 0", "control{by=\"etcd\"} 1", "can_decide 1", "voters Nan",
          "has_leader Nan", "leads Nan", "term Nan", "version 17", "lease_seconds 8.49"}) {
        CHECK_MESSAGE(has(text, line), line);
    }
    view.status.lease_left = Duration{};
    text = metrics.text();
    CHECK(has(text, "can_decide 0"));
}

TEST_CASE("messages of peers are counters: what was counted elsewhere, once") {
    PeerNetworkFigures peers;
    runtime::Metrics metrics;
    export_pool(metrics, [] { return admin::PoolView{}; }, [&] { return peers; });
    CHECK(has(metrics.text(), "refused_messages_total{reason=\"other_pool\"} 0"));
    peers.sent = 5;
    peers.failed = 1;
    peers.dropped = 2;
    peers.received = 7;
    peers.refused["malformed"] = 4;
    peers.certificate_expires = WallTime{std::chrono::seconds{1000}};
    peers.refused["other_pool"] = 2;
    metrics.text();
    peers.refused["other_pool"] = 3;
    const auto text = metrics.text();
    CHECK(has(text, "messages_total{result=\"sent\"} 5"));
    CHECK(has(text, "messages_total{result=\"failed\"} 1"));
    CHECK(has(text, "messages_total{result=\"dropped\"} 2"));
    CHECK(has(text, "refused_messages_total{reason=\"malformed\"} 4"));
    CHECK(has(text, "certificate_expiry_seconds 1000"));
    CHECK(has(text, "messages_total{result=\"received\"} 7"));
    CHECK(has(text, "refused_messages_total{reason=\"other_pool\"} 3"));
    CHECK(has(text, "refused_messages_total{reason=\"wrong_node\"} 0"));
}

TEST_CASE("what etcd was asked, and whether it answers") {
    replication::EtcdFigures etcd;
    runtime::Metrics metrics;
    export_etcd(metrics, [&] { return etcd; });
    CHECK(has(metrics.text(), "etcd_reachable 1"));
    etcd.calls = 5;
    etcd.failed = 2;
    etcd.moves = 1;
    etcd.problem = "https://etcd-1:2379: connection refused";
    const auto text = metrics.text();
    CHECK(has(text, "etcd_requests_total{result=\"answered\"} 5"));
    CHECK(has(text, "etcd_requests_total{result=\"failed\"} 2"));
    CHECK(has(text, "etcd_moves_total 1"));
    CHECK(has(text, "etcd_reachable 0"));
}

TEST_CASE("a node without a pool has no leader and leads nothing") {
    runtime::Metrics metrics;
    export_pool(metrics, [] { return admin::PoolView{}; }, [] { return PeerNetworkFigures{}; });
    const auto text = metrics.text();
    CHECK(has(text, "has_leader 0"));
    CHECK(has(text, "leads 0"));
    CHECK(has(text, "members{state=\"live\"} 0"));
}

}  // namespace
}  // namespace posthorse
