#include "tests/sim/etcd/server.h"

#include <memory>

namespace posthorse::sim::etcd {
namespace {

using namespace std::chrono_literals;

constexpr Duration patience = 2s;

}  // namespace

std::size_t Server::add_link() {
    cut_.push_back(false);
    return cut_.size() - 1;
}

void Server::stop() {
    if (!up_) return;
    journal_.note("etcd stops");
    up_ = false;
    ++life_;
    changed();
}

void Server::begin() {
    if (up_) return;
    journal_.note("etcd runs");
    up_ = true;
}

void Server::restore(MemoryEtcd::Held held) {
    journal_.note("etcd is put back to revision " + std::to_string(held.revision.value));
    etcd_.put_back(std::move(held));
}

void Server::read(std::size_t link, std::function<void(std::optional<EtcdSnapshot>)> done) {
    if (!up_) return world_.after(way(), [done] { done(std::nullopt); });
    if (cut_[link]) return world_.after(patience, [done] { done(std::nullopt); });
    const auto life = life_;
    world_.after(way(), [this, life, link, done] {
        if (!reaches(link) || life != life_)
            return world_.after(patience, [done] { done(std::nullopt); });
        auto snapshot = std::make_shared<EtcdSnapshot>(etcd_.snapshot());
        world_.after(way(), [this, link, snapshot, done] {
            if (cut_[link]) return world_.after(patience, [done] { done(std::nullopt); });
            done(*snapshot);
        });
    });
}

EtcdAnswer Server::carry_out(const EtcdTransaction& transaction) {
    auto answer = etcd_.carry_out(transaction);
    if (answer.outcome != EtcdAnswer::Outcome::done) return answer;
    for (const auto& put : transaction.puts) {
        if (const auto* pool = std::get_if<EtcdPool>(&put.item)) pool_is(*pool);
    }
    changed();
    return answer;
}

void Server::ask(std::size_t link,
                 EtcdTransaction transaction,
                 std::function<void(EtcdAnswer)> done) {
    journal_.counts.messages += 1;
    const auto life = life_;
    const auto asked = world_.boot();
    const auto given_up = std::make_shared<bool>(false);
    const auto unknown = [done, given_up] {
        if (!std::exchange(*given_up, true)) done({});
    };
    world_.at(asked + patience, unknown);
    const bool late = by_thousand(quality.late);
    const auto takes = late ? world_.between(100ms, 12s) : way();
    const bool lost = by_thousand(quality.lost) || (holds && holds(transaction));
    const bool answered = !by_thousand(quality.unanswered);
    world_.after(takes, [=, this, transaction = std::move(transaction)] {
        // A cut link keeps what is on its way for a while, as TCP does: `late` is that too.
        if (lost || !up_ || life != life_ || (cut_[link] && !late)) return;
        auto answer = std::make_shared<EtcdAnswer>(carry_out(transaction));
        if (!answered) return;
        world_.after(way(), [this, link, answer, given_up, done] {
            if (cut_[link] || std::exchange(*given_up, true)) return;
            done(*answer);
        });
    });
}

}  // namespace posthorse::sim::etcd
