// What both halves of peer_exchange.h share: home, who judges, who receives, what is counted.
//
// Place     Owned by PeerExchange.
// Owner     On home, but for the counters.
#pragma once

#include <array>
#include <atomic>
#include <functional>

#include "proto/types/executor.h"
#include "replication/core/control_message.h"
#include "replication/edge/peer_limits.h"
#include "replication/edge/peer_network.h"
#include "replication/peer_streams.h"

namespace posthorse::replication {

// Both gRPC's threads and home count.
struct ExchangeCounters {
    std::atomic<std::uint64_t> frames_sent = 0;
    std::atomic<std::uint64_t> octets_sent = 0;
    std::atomic<std::uint64_t> frames_received = 0;
    std::atomic<std::uint64_t> octets_received = 0;
    std::array<std::atomic<std::uint64_t>, refused_reasons> refused{};  // as PeerCounters'
};

struct ExchangePorts {
    Executor& home;
    const PeerCertificates certificates;
    const std::function<Refusal(const Header&)> judge;
    const std::function<Header(NodeId)> header;
    PeerStreams::Receiver* receiver = nullptr;  // null before receive(), and after end()
    ExchangeCounters counters{};

    Refusal judged(const Header& from) const {
        return receiver == nullptr || !judge ? Refusal::not_ready : judge(from);
    }
    void refused(std::size_t reason) { ++counters.refused[reason]; }
    void refused(Refusal refusal) { refused(static_cast<std::size_t>(refusal)); }
};

}  // namespace posthorse::replication
