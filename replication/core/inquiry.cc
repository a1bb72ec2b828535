#include "replication/core/inquiry.h"

namespace posthorse::replication {
namespace {

std::set<NodeId> other_voters(const ControlRecord& record) {
    const auto& accepted = record.agreement.accepted;
    std::set<NodeId> nodes(accepted.configuration.voters.begin(),
                           accepted.configuration.voters.end());
    nodes.insert(accepted.committed.voters.begin(), accepted.committed.voters.end());
    nodes.erase(record.self);
    return nodes;
}

}  // namespace

std::optional<std::string> later_start(const Incarnation& own, const HelloReply& reply) {
    if (!reply.is_member || reply.incarnation.counter < own.counter || reply.incarnation == own)
        return std::nullopt;
    return "the disk went back, or is a copy: the pool knows start " +
           std::to_string(reply.incarnation.counter) + " of this node, and this is number " +
           std::to_string(own.counter);
}

std::string another_process(const std::string& address) {
    return "another process runs on a copy of this node's data directory, at " + address;
}

Inquiry::Inquiry(const ControlRecord& self, BootTime now)
    : self_(self.self),
      incarnation_(self.incarnation),
      accepted_{self.agreement.accepted.term, self.agreement.accepted.version},
      begun_(now),
      unheard_(other_voters(self)),
      alone_(unheard_.empty() && self.agreement.accepted.configuration.contains(self.self)) {}

std::optional<std::string> Inquiry::take(const Header& from, const HelloReply& reply) {
    if (from.from == self_ && from.incarnation != incarnation_)
        return another_process(from.address);
    answered_ = true;
    unheard_.erase(from.from);
    if (reply.standing != PoolStanding::member) return std::nullopt;
    term_ = std::max(term_, reply.term);
    if (reply.another_lives)
        return "another process runs on a copy of this node's data directory: the pool hears it";
    if (!reply.is_member) return std::nullopt;
    if (auto why = later_start(incarnation_, reply)) return why;
    if (reply.acknowledged > accepted_)
        return "the disk went back: this node acknowledged version " +
               std::to_string(reply.acknowledged.version.value) + " of the pool and remembers " +
               std::to_string(accepted_.version.value);
    return std::nullopt;
}

bool Inquiry::over(BootTime now) const {
    if (alone_) return true;
    if (!answered_) return false;
    return now - begun_ >= (unheard_.empty() ? at_least : patience);
}

}  // namespace posthorse::replication
