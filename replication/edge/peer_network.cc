#include "replication/edge/peer_network.h"

#include "proto/types/assert.h"
#include "replication/edge/peer_channel.h"
#include "replication/edge/peer_client.h"
#include "replication/edge/peer_credentials.h"
#include "replication/edge/peer_exchange.h"
#include "replication/edge/peer_server.h"

namespace posthorse::replication {
namespace {

std::string reason_name(std::size_t reason) {
    switch (reason) {
        case refused_malformed:
            return "malformed";
        case refused_wrong_name:
            return "wrong_name";
        case refused_no_certificate:
            return "no_certificate";
        case refused_too_many:
            return "too_many";
        default:
            return to_string(static_cast<Refusal>(reason));
    }
}

template <class Counts>
std::map<std::string, std::uint64_t> by_name(const Counts& counts) {
    std::map<std::string, std::uint64_t> named;
    for (std::size_t reason = 1; reason < refused_reasons; ++reason)
        named[reason_name(reason)] = counts[reason];
    return named;
}

}  // namespace

PeerNetwork::PeerNetwork(Settings settings, Executor& home)
    : settings_(std::move(settings)), home_(home), counters_(std::make_unique<PeerCounters>()) {}

PeerNetwork::~PeerNetwork() {
    PH_ASSERT(parts_running_ == 0);
}

Result<std::unique_ptr<PeerNetwork>> PeerNetwork::open(Settings settings,
                                                       Executor& home,
                                                       Receive receive,
                                                       Identity identity) {
    prepare_grpc();
    auto network = std::unique_ptr<PeerNetwork>(new PeerNetwork(std::move(settings), home));
    const auto& set = network->settings_;
    const bool named = set.certificates == PeerCertificates::node;
    auto credentials =
        PeerCredentials::open(set.files, named ? std::optional(set.name) : std::nullopt);
    if (!credentials) return credentials.error();
    network->credentials_ = *std::move(credentials);
    auto& counters = *network->counters_;
    const auto channels = network->credentials_->channel();
    network->exchange_ = std::make_unique<PeerExchange>(
        home, set.certificates, std::move(identity.judge), std::move(identity.header), channels);
    network->server_ = std::make_unique<PeerServer>(
        home, std::make_unique<PeerService>(set.certificates, home, std::move(receive), counters));
    auto services = set.services;
    services.push_back(&network->exchange_->service());
    auto opened =
        network->server_->open(set.address, set.port, network->credentials_->server(), services);
    if (!opened) return opened.error();
    network->client_ = std::make_unique<PeerClient>(channels, home, set.deadline, counters);
    network->parts_running_ = 2;
    return network;
}

void PeerNetwork::send(Outgoing outgoing) {
    client_->send(outgoing);
}

std::shared_ptr<grpc::Channel> PeerNetwork::channel(const std::string& address) {
    return client_->channel(address);
}

Result<void> PeerNetwork::reload() {
    return credentials_->reload();
}

PeerStreams& PeerNetwork::streams() {
    return *exchange_;
}

PeerNetworkFigures PeerNetwork::figures() const {
    PeerNetworkFigures figures{.sent = counters_->sent,
                               .failed = counters_->failed,
                               .dropped = counters_->dropped,
                               .received = counters_->received,
                               .certificate_expires = credentials_->expires()};
    figures.refused = by_name(counters_->refused);
    return figures;
}

PeerStreamFigures PeerNetwork::stream_figures() const {
    const auto& counters = exchange_->counters();
    return {.up = exchange_->up(),
            .in = exchange_->in(),
            .frames_sent = counters.frames_sent,
            .octets_sent = counters.octets_sent,
            .frames_received = counters.frames_received,
            .octets_received = counters.octets_received,
            .refused = by_name(counters.refused)};
}

std::vector<PeerProblem> PeerNetwork::problems() const {
    return client_->problems();
}

std::vector<PeerProblem> PeerNetwork::stream_problems() const {
    return exchange_->problems();
}

std::uint16_t PeerNetwork::port() const {
    return server_->port();
}

void PeerNetwork::stop(UniqueFunction<void()> done) {
    PH_ASSERT(!stopped_ && parts_running_ == 2);
    stopped_ = std::move(done);
    exchange_->end();
    client_->stop([this] { part_stopped(); });
    server_->stop([this] { exchange_->join([this] { part_stopped(); }); });
}

void PeerNetwork::part_stopped() {
    if (--parts_running_ == 0) std::exchange(stopped_, {})();
}

}  // namespace posthorse::replication
