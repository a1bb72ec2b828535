#!/usr/bin/env python3
"""The mutants of the control plane on etcd that etcd_sim must find; mutation.py says how."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mutation import Edit, Mutant, main  # noqa: E402

MUTANTS = [
    # A renewal is granted to who does not know what the pool agreed on since.
    Mutant("renewed_unread", "drift", 1000, (
        Edit("etcd_core.cc", "{{{key, view_.changed(key)}, {pool_key(), pool_changed_}},",
             "{{{key, view_.changed(key)}},"),)),
    Mutant("lease_from_answer", "unknowns", 1000, (
        Edit("etcd_core.cc", "lease_.granted(record_.incarnation, sent.when, ttl);",
             "lease_.granted(record_.incarnation, now, ttl);"),)),
    # Whoever renewed in the last moment is evicted all the same.
    Mutant("evicted_uncompared", "unknowns", 1000, (
        Edit("etcd_duties.cc",
             "    next.when.push_back({lease_key(node), view.changed(lease_key(node))});\n", ""),)),
    # What a node did not see while it was cut off counts as silence of the others.
    Mutant("counts_go_on", "all_cut", 500, (
        Edit("etcd_view.cc", "    if (now - heard_ > gap()) {\n        restart(now);",
             "    if (now - heard_ > gap()) {"),
        Edit("etcd_change.cc", "const bool sure = view_.settled(now) || is_alone();",
             "const bool sure = true;"))),
    Mutant("fork_taken", "restores", 500, (
        Edit("etcd_lineage.cc",
             "if (*mark != older.marks.front()) return Descent::forked;",
             "if (*mark != older.marks.front()) return Descent::newer;"),)),
    # A lease at once, though what a lost history granted may go on elsewhere.
    Mutant("lease_unsettled", "restore_and_return", 500, (
        Edit("etcd_core.cc",
             "return lease_.live(now, {}) || view_.settled(now) || is_alone();",
             "return true;"),
        Edit("etcd_change.cc", "const bool sure = view_.settled(now) || is_alone();",
             "const bool sure = true;"))),
    # The same, with a word for it that nobody gave.
    Mutant("vouched_by_all", "restore_and_return", 500, (
        Edit("etcd_view.cc", "return lease != nullptr && lease->beat > 0;",
             "return lease != nullptr;"),
        Edit("etcd_view.cc", "vouched_ = find(pool_key()) == nullptr;", "vouched_ = true;"))),
    Mutant("no_drift_margin", "drift", 1000, (
        Edit("lease.cc", "sent + ttl - drift_margin(ttl);", "sent + ttl;"),)),
]

if __name__ == "__main__":
    sys.exit(main(MUTANTS, sys.argv[1:]))
