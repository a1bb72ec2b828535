#!/usr/bin/env python3
"""Makes deliberate faults in production source, for the models to find.

Place     Run by the build: `mutate.py MODEL --names`, `mutate.py MODEL MUTANT ROOT OUT`; by the
          proof: `mutate.py MODEL --scopes`.
Contract  A mutant is one replacement of text that stands exactly once in its file; anything else
          fails, so that a mutant cannot silently become the correct code when the source changes.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

MACHINE = "replication/core/coordination_fsm.cc"


@dataclass(frozen=True)
class Mutant:
    name: str
    scope: str  # the first one that finds it
    file: str
    old: str
    new: str


COORDINATION = [
    # A majority of only one configuration.
    Mutant("elects_by_committed_alone", "any_change_from_ABC", MACHINE,
           "return durable_.accepted.committed.is_majority(votes) &&\n"
           "           durable_.accepted.configuration.is_majority(votes);",
           "return durable_.accepted.committed.is_majority(votes);"),
    Mutant("elects_by_accepted_alone", "any_change_from_ABC", MACHINE,
           "return durable_.accepted.committed.is_majority(votes) &&\n"
           "           durable_.accepted.configuration.is_majority(votes);",
           "return durable_.accepted.configuration.is_majority(votes);"),
    Mutant("commits_by_old_alone", "any_change_from_ABC", MACHINE,
           "    if (!unsaved_.published_configuration.is_majority(unsaved_.accepted_by)) "
           "return std::nullopt;\n", ""),
    Mutant("commits_by_new_alone", "any_change_from_ABC", MACHINE,
           "    if (!durable_.accepted.committed.is_majority(unsaved_.accepted_by)) "
           "return std::nullopt;\n", ""),
    Mutant("half_is_a_majority", "one_term_from_A", MACHINE,
           "return 2 * votes_in(*this, votes) > voters.size();",
           "return 2 * votes_in(*this, votes) + 1 > voters.size();"),
    # What is older replaces what is newer, in one term.
    Mutant("accepts_older", "two_values", MACHINE,
           "if (place <= accepted()) return std::nullopt;", ""),
    Mutant("accepts_other_terms", "any_change_from_ABC", MACHINE,
           "if (published.term != durable_.current_term) return std::nullopt;", ""),
    Mutant("votes_twice", "one_term_from_A", MACHINE,
           "if (term <= durable_.current_term) return std::nullopt;",
           "if (term < durable_.current_term) return std::nullopt;"),
    Mutant("joins_from_before_restart", "one_term_from_A", MACHINE,
           "    if (!unsaved_.entered_term) return false;\n", ""),
    Mutant("joins_of_other_terms", "two_values", MACHINE,
           "    if (join.term != durable_.current_term) return false;\n", ""),
    Mutant("keeps_votes", "two_values", MACHINE, "    unsaved_ = {};\n", ""),
    Mutant("late_commit", "any_change_from_ABC", MACHINE,
           "if (place.term != durable_.current_term || place != accepted()) return false;",
           "if (place.term != durable_.current_term) return false;"),
    Mutant("candidate_may_be_older", "two_values", MACHINE,
           "    if (Place{join.accepted_term, join.accepted_version} > accepted()) return false;\n",
           ""),
    Mutant("two_changes_in_flight", "any_change_from_ABC", MACHINE,
           "return accepted.committed == accepted.configuration &&\n"
           "           configuration.is_majority(unsaved_.joins);",
           "return configuration.is_majority(unsaved_.joins);"),
    Mutant("configuration_has_not_joined", "one_term_from_A", MACHINE,
           "return accepted.committed == accepted.configuration &&\n"
           "           configuration.is_majority(unsaved_.joins);",
           "return accepted.committed == accepted.configuration;"),
    Mutant("next_before_own_accepted", "one_term_from_A", MACHINE,
           "!unsaved_.elected || unsaved_.published != durable_.accepted.version",
           "!unsaved_.elected"),
    Mutant("counts_late_acceptances", "two_values", MACHINE,
           "if (place != Place{durable_.current_term, unsaved_.published}) return std::nullopt;",
           "if (place.term != durable_.current_term) return std::nullopt;"),
    Mutant("acceptances_of_the_last", "two_values", MACHINE,
           "    unsaved_.accepted_by.clear();\n", ""),
]

LEASES = "replication/core/lease.cc"
POOL = "replication/core/pool_state.cc"

LEASE = [
    # --- the node's end
    Mutant("no_drift_margin", "evict", LEASES, "sent + ttl - drift_margin(ttl)", "sent + ttl"),
    Mutant("grant_of_another_incarnation", "clone", LEASES,
           "    if (incarnation != incarnation_) return false;\n", ""),
    # --- what a node may act on
    Mutant("starts_on_accepted", "two_voters", LEASES,
           "auto state = committed;", "auto state = accepted;"),
    Mutant("stops_on_committed_alone", "two_voters", LEASES,
           "if (lives && newest != nullptr && newest->owner == self) continue;",
           "if (committed.is_live(self, incarnation)) continue;"),
    Mutant("another_incarnation_acts", "leader_restarts", LEASES,
           "committed.is_live(self, incarnation) && accepted.is_live(self, incarnation)",
           "committed.is_live(self) && accepted.is_live(self)"),
    # --- two voters
    Mutant("configurations_together", "third_comes", LEASES,
           "accepted.committed.needs(self) && accepted.configuration.needs(self)",
           "accepted.committed.needs(self) || accepted.configuration.needs(self)"),
    Mutant("committed_configuration_alone", "third_comes", LEASES,
           "accepted.committed.needs(self) && accepted.configuration.needs(self)",
           "accepted.committed.needs(self)"),
    Mutant("accepted_configuration_alone", "third_goes", LEASES,
           "accepted.committed.needs(self) && accepted.configuration.needs(self)",
           "accepted.configuration.needs(self)"),
    # --- the leader's end
    Mutant("renews_what_it_ends", "evict_discarded", LEASES,
           "if (entry->second.ending || ends_in(accepted, renewal.node, renewal.incarnation))",
           "if (false)"),
    Mutant("grants_without_a_round", "next_leader", LEASES,
           "if (waiting.round > round) return false;", ""),
    Mutant("grants_by_an_earlier_round", "next_leader", LEASES,
           "push_back({renewal, newest_round + 1, now})",
           "push_back({renewal, newest_round, now})"),
    Mutant("counts_no_grant", "evict", LEASES,
           "entry->second.expires = std::max(entry->second.expires, waiting.arrived + ttl_);",
           ""),
    Mutant("new_leader_gives_no_time", "third_comes", LEASES,
           "    if (member.live) begin(member, now, ttl_);",
           "    if (member.live) begin(member, now, Duration{});"),
    Mutant("lapses_early", "evict", LEASES, "if (entry.expires <= now) ended",
           "if (entry.expires - Duration{5} <= now) ended"),
    Mutant("renews_who_lags", "behind", LEASES,
           "        if (lags(renewal, now, ttl_)) return true;\n", ""),
    # --- the value
    Mutant("start_ends_an_earlier_one", "clone", POOL,
           "    if (member->live) return conflict(\"an earlier incarnation of the node has not "
           "ended\");\n", ""),
]

MUTANTS = {"coordination": COORDINATION, "lease": LEASE}



def mutated(root: Path, mutant: Mutant) -> str:
    text = (root / mutant.file).read_text(encoding="utf-8")
    found = text.count(mutant.old)
    if found != 1:
        raise SystemExit(f"mutate.py: {mutant.name}: its old text stands {found} times in "
                         f"{mutant.file}, not once: adapt the mutant to the source")
    return text.replace(mutant.old, mutant.new)


def main(arguments: list[str]) -> int:
    mutants = {mutant.name: mutant for mutant in MUTANTS[arguments[0]]}
    if arguments[1:] == ["--names"]:
        print("\n".join(mutants))
        return 0
    if arguments[1:] == ["--scopes"]:
        print("\n".join(f"{mutant.name} {mutant.scope}" for mutant in mutants.values()))
        return 0
    name, root, out = arguments[1:]
    Path(out).write_text(mutated(Path(root), mutants[name]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
