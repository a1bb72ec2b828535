#!/usr/bin/env python3
"""The mutants of the control plane that control_sim must find; mutation.py says how it is done."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mutation import Edit, Mutant, main  # noqa: E402

MUTANTS = [
    # Messages leave before what they say is on the disk.
    Mutant("no_gate", "power", 500, (
        Edit("control_core.cc",
             "    gated_.push_back(outgoing(to, address, std::move(message)));",
             "    sends_.push_back(outgoing(to, address, std::move(message)));"),)),
    Mutant("no_drift_margin", "drift", 500, (
        Edit("lease.cc", "sent + ttl - drift_margin(ttl);", "sent + ttl;"),)),
    # A leader that was deposed without knowing it goes on granting.
    Mutant("renew_without_round", "leader_one_way", 500, (
        Edit("lease.cc", "        if (waiting.round > round) return false;\n", ""),)),
    Mutant("start_on_accepted", "cuts", 500, (
        Edit("lease.cc", "auto state = committed;", "auto state = accepted;"),)),
    Mutant("no_new_leader_ttl", "flapping_leader", 500, (
        Edit("lease.cc", "        if (member.live) begin(member, now, ttl_);\n    }\n    versions_",
             "        if (member.live) begin(member, now, Duration{});\n    }\n    versions_"),)),
    Mutant("evict_in_flight_renewed", "evict_in_flight", 500, (
        Edit("lease.cc",
             "        if (entry->second.ending || ends_in(accepted, renewal.node, "
             "renewal.incarnation))\n            return true;\n", ""),)),
    # The exception for two voters, by one of two configurations.
    Mutant("judged_together", "voters_cut", 500, (
        Edit("lease.cc",
             "return accepted.committed.needs(self) && accepted.configuration.needs(self);",
             "return accepted.configuration.needs(self);"),)),
    Mutant("judged_by_the_old", "voters_cut", 2000, (
        Edit("lease.cc",
             "return accepted.committed.needs(self) && accepted.configuration.needs(self);",
             "return accepted.committed.needs(self);"),)),
    # A dead voter's vote becomes one without which nothing can be decided.
    Mutant("voters_unasked", "lost_then_leaves", 100, (
        Edit("leader_duties.cc", "return wish_->voters.is_majority(answering);",
             "return true;"),)),
    # Leases go to nodes, whichever of their starts asks.
    Mutant("clone_shares_lease", "unseen_clone", 500, (
        Edit("pool_state.cc", "known->live && known->incarnation == of;", "known->live;"),
        Edit("lease.cc",
             "entry == entries_.end() || entry->second.incarnation != renewal.incarnation)",
             "entry == entries_.end())"),
        Edit("leader_duties.cc",
             "    if (member->incarnation != from.incarnation) return hear(",
             "    if (member->incarnation != from.incarnation) hear("))),
]

if __name__ == "__main__":
    sys.exit(main(MUTANTS, sys.argv[1:]))
