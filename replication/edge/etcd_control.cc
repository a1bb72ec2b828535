#include "replication/edge/etcd_control.h"

#include <algorithm>

namespace posthorse::replication {
namespace {

constexpr int deadlines_per_lease = 5;
constexpr Duration deadline_least = std::chrono::milliseconds{500};

// So soon that several endpoints can be tried within a lease.
EtcdClient::Settings in_haste(EtcdClient::Settings etcd, const EtcdCore::Settings& settings) {
    const auto share = std::max(settings.pool.lease_ttl / deadlines_per_lease, deadline_least);
    etcd.deadline = std::min(etcd.deadline, share);
    return etcd;
}

}  // namespace

Result<std::unique_ptr<EtcdControl>> EtcdControl::open(std::string directory,
                                                       EtcdCore::Settings settings,
                                                       EtcdClient::Settings etcd,
                                                       ControlPorts ports) {
    auto record = open_record(directory, ports.random);
    if (!record) return record.error();
    auto client = EtcdClient::open(in_haste(std::move(etcd), settings), ports.home);
    if (!client) return client.error();
    return std::unique_ptr<EtcdControl>(new EtcdControl(std::move(directory), *std::move(record),
                                                        std::move(settings), *std::move(client),
                                                        std::move(ports)));
}

Result<std::unique_ptr<EtcdControl>> EtcdControl::go_on(std::string directory,
                                                        Passed passed,
                                                        EtcdCore::Settings settings,
                                                        EtcdClient::Settings etcd,
                                                        ControlPorts ports) {
    auto client = EtcdClient::open(in_haste(std::move(etcd), settings), ports.home);
    if (!client) return client.error();
    std::unique_ptr<EtcdControl> control(
        new EtcdControl(std::move(directory), std::move(passed.record), std::move(settings),
                        *std::move(client), std::move(ports)));
    control->go_on_with(passed.lease);
    return control;
}

EtcdControl::EtcdControl(std::string directory,
                         ControlRecord record,
                         EtcdCore::Settings settings,
                         std::unique_ptr<EtcdClient> client,
                         ControlPorts ports)
    : ControlDriver(std::move(directory), std::move(record), std::move(settings), std::move(ports)),
      client_(std::move(client)) {}

void EtcdControl::tick() {
    client_->tick(now());
    ControlDriver::tick();
}

void EtcdControl::receive(const Header&, const Message&, UniqueFunction<void(Refusal)> verdict) {
    verdict(Refusal::not_ready);
}

Refusal EtcdControl::judge(const Header& header) const {
    return ended() ? Refusal::not_ready : core().judge(header);
}

void EtcdControl::stop(UniqueFunction<void()> done) {
    end();
    client_->stop(std::move(done));
}

void EtcdControl::say(EtcdEffects& effects) {
    if (effects.read) read_all();
    if (effects.watch_from) watch_from(*effects.watch_from);
    for (const auto& request : effects.transactions) transact(request);
}

void EtcdControl::read_all() {
    client_->read(while_alive([this](Result<EtcdSnapshot> answer) {
        tell([&](EtcdCore& core, BootTime at, EtcdEffects& out) {
            if (answer) {
                core.read(*std::move(answer), at, out);
            } else {
                core.read_failed(answer.error().what, at, out);
            }
        });
    }));
}

void EtcdControl::watch_from(Revision revision) {
    client_->watch(revision, {while_alive([this](EtcdChanges changes) {
                                  tell([&](EtcdCore& core, BootTime at, EtcdEffects& out) {
                                      core.watched(std::move(changes), at, out);
                                  });
                              }),
                              while_alive([this](std::string why) {
                                  tell([&](EtcdCore& core, BootTime at, EtcdEffects& out) {
                                      core.watch_ended(std::move(why), at, out);
                                  });
                              })});
}

void EtcdControl::transact(const EtcdEffects::Request& request) {
    client_->transact(request.transaction,
                      while_alive([this, number = request.number](EtcdAnswer answer) {
                          tell([&](EtcdCore& core, BootTime at, EtcdEffects& out) {
                              core.answered(number, std::move(answer), at, out);
                          });
                      }));
}

}  // namespace posthorse::replication
