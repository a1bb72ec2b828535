// What etcd_core.h shows to people, and how peers are told apart.
#include "replication/core/etcd_core.h"

namespace posthorse::replication {

Refusal EtcdCore::judge(const Header& header) const {
    if (estranged_) return Refusal::not_ready;
    if (header.to != record_.self) return Refusal::wrong_node;
    if (header.from == record_.self && header.incarnation != record_.incarnation)
        return Refusal::stale_incarnation;
    if (is_of_another_pool(record_, header)) return Refusal::other_pool;
    if (!value()) return Refusal::not_ready;
    const auto* member = value()->member(header.from);
    if (header.pool_id.empty() || member == nullptr) return Refusal::not_a_member;
    const bool stale = header.incarnation != member->incarnation &&
                       header.incarnation.counter <= member->incarnation.counter;
    return stale ? Refusal::stale_incarnation : Refusal::none;
}

// A crash must not make this node forget what it said of itself.
Header EtcdCore::header(std::optional<NodeId> to) const {
    return header_of(gate_.on_disk(), settings_.facts, to);
}

ControlStatus EtcdCore::status(BootTime now) const {
    ControlStatus status;
    status.control = PoolControl::etcd;
    status.self = record_.self;
    status.incarnation = record_.incarnation;
    status.phase = phase();
    status.waits_for = waits_for(now);
    if (lease_.expires()) status.lease_left = std::max(*lease_.expires() - now, Duration{});
    for (const auto& member : committed().members) {
        const auto age = view_.lease_age(member.id, now);
        const auto* lease = view_.lease(member.id);
        const bool known = age && lease != nullptr && lease->incarnation == member.incarnation;
        if (!known || !member.live) continue;
        status.leases[member.id] = std::max(committed().settings.lease_ttl - *age, Duration{});
    }
    return status;
}

std::string EtcdCore::phase() const {
    if (estranged_) return "a stranger to its pool";
    if (left_) return "left";
    if (leaving_) return "leaving";
    if (trouble_ != Trouble::none || (!unreached_.empty() && !view_.watched()))
        return "waiting for etcd";
    if (running_) return "member";
    if (!value()) return "looking for a pool";
    const auto* member = value()->member(record_.self);
    return member != nullptr && member->live ? "waiting for its earlier start to end" : "joining";
}

std::string EtcdCore::waits_for(BootTime now) const {
    static constexpr const char* anew =
        "; when it is lost, `posthorse node remove ... --force` on one node begins anew with what "
        "that node knows";
    if (!view_.watched()) return "etcd" + (unreached_.empty() ? "" : ": " + unreached_);
    switch (trouble_) {
        case Trouble::emptied:
            return std::string(
                       "its pool: etcd holds none. Are prefix and endpoints right, or was "
                       "etcd emptied? Restore a backup of it") +
                   anew;
        case Trouble::other_pool:
            return std::string(
                       "its pool: etcd holds another one. Are prefix and endpoints right? "
                       "Restore a backup of etcd") +
                   anew;
        case Trouble::unreadable:
            return "a value of the pool that this release can read";
        case Trouble::went_back:
            return "what etcd has lost to be put back: it was restored from a backup";
        case Trouble::too_far_back:
            return std::string("its pool: etcd was put back further than this node remembers") +
                   anew;
        case Trouble::moved_away:
            return "pool.control to be set to \"embedded\": its pool has left etcd, and is found "
                   "by "
                   "pool.join";
        case Trouble::none:
            break;
    }
    if (value() || settings_.expect == 0) return {};
    const auto there = beginners(now).size();
    if (there < settings_.expect)
        return std::to_string(settings_.expect - there) + " more nodes of pool.expect";
    return "the node with the lowest id, which begins the pool";
}

}  // namespace posthorse::replication
