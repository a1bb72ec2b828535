#include "replication/counting/pool_counts.h"

#include <algorithm>

namespace posthorse::replication {
namespace {

bool all_current(const PoolCounts::Levels& levels) {
    return std::ranges::all_of(levels, &CountLevel::current);
}

}  // namespace

PoolCounts::PoolCounts(NodeId self, Ports ports, CountCore::Settings settings)
    : self_(self), ports_(std::move(ports)), core_(self, settings) {}

CountCore::Now PoolCounts::now() const {
    return {ports_.clock.wall(), ports_.clock.boot()};
}

void PoolCounts::count(const CountKey& key, std::uint64_t amount) {
    core_.add(key, amount, now());
}

PoolCounts::Levels PoolCounts::look(const std::vector<CountKey>& keys) {
    Levels levels;
    for (const auto& key : keys) levels.push_back(core_.look(key, now()));
    return levels;
}

void PoolCounts::ask(std::vector<CountKey> keys, UniqueFunction<void(Levels)> answer) {
    follow_pool();
    auto levels = look(keys);
    if (all_current(levels)) return answer(std::move(levels));
    questions_.push_back({std::move(keys), std::move(answer), now().boot + patience});
    tell();
}

void PoolCounts::tick() {
    follow_pool();
    tell();
    answer_what_is_known(now().boot);
}

void PoolCounts::follow_pool() {
    std::vector<CountMember> live;
    for (const auto& member : ports_.pool().members) {
        if (member.live) live.push_back({member.id, member.incarnation});
    }
    core_.use_members(live);
}

void PoolCounts::tell() {
    for (auto& out : core_.tick(now())) {
        const auto* member = ports_.pool().member(out.to);
        if (member == nullptr) {
            core_.failed(out.to, now());
            continue;
        }
        ports_.send(*member, std::move(out.batch),
                    [this, to = out.to](Result<std::vector<std::uint64_t>> others) {
                        if (!others) return core_.failed(to, now());
                        core_.answered(to, *others, now());
                        answer_what_is_known(now().boot);
                    });
    }
}

// Answers may ask and count again: each leaves the list before it is called.
void PoolCounts::answer_what_is_known(BootTime at) {
    for (auto left = questions_.size(); left > 0; --left) {
        auto question = std::move(questions_.front());
        questions_.pop_front();
        auto levels = look(question.keys);
        if (!all_current(levels) && at < question.until) {
            questions_.push_back(std::move(question));
            continue;
        }
        if (std::ranges::any_of(levels, &CountLevel::degraded)) ++degraded_answers_;
        question.answer(std::move(levels));
    }
}

std::vector<std::uint64_t> PoolCounts::receive(const NodeId& from, const CountBatch& batch) {
    return core_.receive(from, batch, now());
}

void PoolCounts::stop() {
    answer_what_is_known(BootTime::max());
}

}  // namespace posthorse::replication
