// An etcd in memory: what replication/core/etcd_port.h says of one, and what befalls real ones.
//
// Contract  Transactions, snapshots and the history since a revision, as etcd has them; compacted,
//           and put back to what it held before, whatever anybody heard since. Connections are for
//           the caller to break.
// Owner     One test or simulation.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "replication/core/etcd_port.h"

namespace posthorse::tests {

class MemoryEtcd {
public:
    struct Held {
        replication::Revision revision{1};
        std::map<replication::EtcdKey, std::pair<replication::Revision, replication::EtcdItem>>
            items;
    };

    replication::EtcdAnswer carry_out(const replication::EtcdTransaction& transaction) {
        using Outcome = replication::EtcdAnswer::Outcome;
        for (const auto& compare : transaction.when) {
            if (changed(compare.key) != compare.changed)
                return {Outcome::refused, held_.revision, snapshot(), {}};
        }
        replication::EtcdChanges changes{{held_.revision.value + 1}, {}, {}};
        for (const auto& key : transaction.deletes) {
            if (held_.items.erase(key) > 0) changes.deleted.push_back(key);
        }
        for (const auto& put : transaction.puts) {
            held_.items[put.key] = {changes.revision, put.item};
            changes.put.push_back({put.key, changes.revision, put.item});
        }
        if (changes.put.empty() && changes.deleted.empty())
            return {Outcome::done, held_.revision, {}, {}};
        held_.revision = changes.revision;
        history_.push_back(std::move(changes));
        return {Outcome::done, held_.revision, {}, {}};
    }

    replication::EtcdSnapshot snapshot() const {
        replication::EtcdSnapshot snapshot{held_.revision, {}};
        for (const auto& [key, item] : held_.items)
            snapshot.entries.push_back({key, item.first, item.second});
        return snapshot;
    }
    // nullopt: compacted.
    std::optional<std::vector<replication::EtcdChanges>> since(replication::Revision from) const {
        if (from <= compacted_) return std::nullopt;
        std::vector<replication::EtcdChanges> changes;
        for (const auto& one : history_) {
            if (one.revision >= from) changes.push_back(one);
        }
        return changes;
    }
    void compact() {
        compacted_ = held_.revision;
        history_.clear();
    }

    const Held& held() const noexcept { return held_; }
    // A restored backup: its history is gone.
    void put_back(Held held) {
        held_ = std::move(held);
        compact();
    }
    void put(const replication::EtcdKey& key, replication::EtcdItem item) {
        carry_out({{}, {{key, std::move(item)}}, {}});
    }

    replication::Revision changed(const replication::EtcdKey& key) const {
        const auto found = held_.items.find(key);
        return found == held_.items.end() ? replication::Revision{} : found->second.first;
    }
    const replication::EtcdPool* pool() const {
        const auto found = held_.items.find({});
        return found == held_.items.end()
                   ? nullptr
                   : std::get_if<replication::EtcdPool>(&found->second.second);
    }

private:
    Held held_;
    replication::Revision compacted_;
    std::vector<replication::EtcdChanges> history_;
};

}  // namespace posthorse::tests
