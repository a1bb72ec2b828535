// Before a restarted node votes, acknowledges or owns anything, it asks who it is: its disk may
// have gone back, or be a copy of one that is in use.
//
// Place     Pure, inside control_core.h.
// Contract  Over when every other voter answered and time enough passed for another process with
//           this node's name to be heard of, or after `patience` when somebody answered: whom
//           nobody answers can do nothing yet. At once for a node that votes alone. What no
//           reachable peer can see is not found.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "replication/core/control_message.h"

namespace posthorse::replication {

// Why this start is not this node's newest: one with the same number, or a later one, is known.
std::optional<std::string> later_start(const Incarnation& own, const HelloReply& reply);

std::string another_process(const std::string& address);

class Inquiry {
public:
    static constexpr Duration at_least = std::chrono::milliseconds{600};
    static constexpr Duration patience = std::chrono::milliseconds{1500};

    Inquiry(const ControlRecord& self, BootTime now);

    // Why this node is not who its disk says; nullopt: nothing speaks against it.
    std::optional<std::string> take(const Header& from, const HelloReply& reply);
    bool over(BootTime now) const;
    // The highest that anybody knows.
    Term term() const noexcept { return term_; }

private:
    const NodeId self_;
    const Incarnation incarnation_;
    const Place accepted_;
    const BootTime begun_;
    std::set<NodeId> unheard_;  // other voters
    const bool alone_;
    bool answered_ = false;
    Term term_;
};

}  // namespace posthorse::replication
