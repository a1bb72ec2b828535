#!/usr/bin/env python3
"""The mutants of the whole pool that pool_sim must find; mutation.py says how they are made.

Files are named from the root of the project.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mutation import Edit, Mutant, main  # noqa: E402

BOOK = "storage/partition_book.cc"
COMMITS = "storage/commit_queue.cc"
HELD = "replication/held_partitions.cc"
OWNED = "replication/owned_partition.cc"
HEALING = "replication/core/healing.cc"
QUEUE = "replication/replicated_queue.cc"
DOUBTS = "replication/replicated_queue_doubts.cc"
DUTIES = "replication/core/leader_duties.cc"
POOL_STATE = "replication/core/pool_state.cc"

# Owners of the past are listened to for ever.
LISTENS_ON = Edit(
    HELD,
    "        const bool goes_on = partition != nullptr && partition->epoch <= held.slice.epoch && "
    "!mine;\n",
    "        const bool goes_on = partition != nullptr;\n")

MUTANTS = [
    Mutant("sync_off", "power", 500, (
        Edit(COMMITS, "const auto synced = disk_.sync(); !synced)",
             "const Result<void> synced; !synced)"),)),
    Mutant("reply_before_holders", "kills", 500, (
        Edit("replication/core/owner_fsm.cc",
             "    if (need == Need::local) return true;\n    return std::all_of",
             "    if (need != Need::received) return true;\n    return std::all_of"),)),
    Mutant("no_epoch_check", "pauses", 2000, (
        Edit(BOOK,
             "    if (stamp.epoch < mark.fence) return fenced(stamp.partition, stamp.epoch, "
             "mark.fence);\n", ""),
        Edit(BOOK,
             "    if (epoch < mark.fence) return fenced(partition, epoch, mark.fence);\n", ""),
        Edit(HELD,
             "    if (slice.epoch < partition->epoch || partition->owner != from.node ||\n"
             "        !pool.is_live(from.node, from.incarnation) || "
             "from.node == control_.self())\n",
             "    if (from.node == control_.self())\n"),
        LISTENS_ON)),
    Mutant("lease_on_wall_clock", "clocks", 500, (
        Edit(QUEUE,
             "    return control_.lease_live(clock_.boot(), settings_.drift_margin);\n",
             "    static std::map<NodeId, Duration> offsets;\n"
             "    const auto wall = clock_.wall().time_since_epoch();\n"
             "    const auto boot = clock_.boot().time_since_epoch();\n"
             "    const auto offset = offsets.try_emplace(control_.self(), wall - boot).first;\n"
             "    return control_.lease_live(BootTime{wall - offset->second},\n"
             "                               settings_.drift_margin);\n"),)),
    Mutant("failed_sync_ignored", "disks", 500, (
        Edit(COMMITS, "        refuse(written, synced.error());\n", ""),)),
    Mutant("settled_before_its_sync", "power", 500, (
        Edit(COMMITS, "    request.durable = is_durable(operation);\n",
             "    request.durable = is_durable(operation) && !is_patient(operation);\n"),)),
    Mutant("widening_taken_for_failed", "bad_network", 2000, (
        Edit(OWNED,
             "        const bool only_invited = invited() == node && !newcomer_->proposed;\n",
             "        const bool only_invited = invited() == node;\n"),
        Edit(OWNED, "        if (newcomer_->proposed) return due.silent.push_back(node);\n",
             ""))),
    Mutant("owner_restarts_in_its_epoch", "kills", 500, (
        Edit(POOL_STATE,
             "        if (partition != before || owner_began_anew) partition.epoch.value += 1;\n",
             "        if (partition != before) partition.epoch.value += 1;\n"),)),
    Mutant("solo_widened_open", "cuts", 500, (
        Edit(HEALING,
             "        if (state->solo && open) {\n",
             "        if (false) {\n"),
        Edit(POOL_STATE,
             "                    if (partition.solo && partition.phase == PartitionPhase::open)\n"
             "                        return conflict(\"a solo partition is closed before it is "
             "widened\");\n",
             ""))),
    Mutant("due_before_accepted", "pauses", 500, (
        Edit(COMMITS, "        claims_.born(commit->envelope, stamp.epoch);\n",
             "        claims_.born_free(commit->envelope);\n"),)),
    Mutant("late_refusal_without_bounce", "late_replies", 500, (
        Edit(DOUBTS,
             "                         claimed_.emplace(id, Claimed{*found, {}, {}});\n"
             "                         told_(*std::move(found), told.attempt.attempt, "
             "std::move(told.outcomes));\n",
             "                         auto after =\n"
             "                             storage::apply_outcomes(*found, told.outcomes, "
             "clock_.wall());\n"
             "                         const std::vector ended{told.attempt.attempt};\n"
             "                         if (after)\n"
             "                             after = storage::end_attempts(*after, ended, {});\n"
             "                         submit(id, storage::settle(*found, after, {}, ended),\n"
             "                                [](Result<void>) {});\n"),)),
    Mutant("old_epoch_after_answer", "bad_network", 1000, (
        Edit(BOOK, "    mark.fence = epoch;\n", ""),
        LISTENS_ON)),
    # A copy stands behind what it had no room for.
    Mutant("position_above_a_gap", "full_disks", 2000, (
        Edit(HELD, "    operate.operation.unbroken = true;\n", ""),)),
    # What one copy lost is read as what was removed.
    Mutant("lost_is_removed", "damage", 500, (
        Edit("replication/listing_source.cc",
             "        if (id > page.after && (page.last || id <= page.upto)) "
             "page.unreadable.push_back(id);\n",
             "        if (id < page.after) page.unreadable.push_back(id);\n"),)),
    # And a copy that was dropped is taken for one that is in sync.
    Mutant("dropped_copy_follows", "kills", 500, (
        Edit("replication/core/peer_progress.cc",
             "        else if (at == history.base && history.retained <= Sequence{1})\n",
             "        else if (at <= history.base && history.retained <= Sequence{1})\n"),)),
    Mutant("bounce_apart", "kills", 1000, (
        Edit(QUEUE,
             "storage::settle(before, std::move(after), std::move(settlement.notices),\n",
             "storage::settle(before, std::move(after), {},\n"),
        Edit(QUEUE, "               if (ok && notices) wake();\n",
             "               if (!ok || !notices) return;\n"
             "               for (auto& notice : settlement.notices) {\n"
             "                   const auto minted = notice.envelope.id;\n"
             "                   submit(minted, storage::Commit{notice.envelope, notice.head},\n"
             "                          while_alive([this, minted](Result<void>) {\n"
             "                              store_.release(minted);\n"
             "                              wake();\n"
             "                          }));\n"
             "               }\n"))),
    Mutant("intents_lost_at_restart", "kills", 500, (
        Edit("storage/recovery.cc", "            if (*there) continue;\n", ""),)),
    # Of a start that is over: the one that goes on now is ended by it.
    Mutant("delayed_leave", "leaves", 2000, (
        Edit("replication/core/control_messages.cc",
             "    return is_stale(header) && !coming ? Refusal::stale_incarnation"
             " : Refusal::none;\n",
             "    const bool refused = is_stale(header) && !coming && !going;\n"
             "    return refused ? Refusal::stale_incarnation : Refusal::none;\n"),
        Edit(DUTIES,
             "    const bool known = member != nullptr && "
             "member->incarnation.counter <= from.incarnation.counter;\n",
             "    const bool known = member != nullptr;\n"),
        Edit(DUTIES,
             "        if (member == nullptr || "
             "member->incarnation.counter > incarnation.counter) continue;\n",
             "        if (member == nullptr) continue;\n"),
        Edit(DUTIES,
             "        const bool earlier_lives = member->live && newest.incarnation != "
             "incarnation;\n",
             "        const bool earlier_lives = false;\n"))),
    Mutant("dot_before_intent", "pauses", 500, (
        Edit(OWNED,
             "    const auto sequence = fsm_.begin(need_of(change), now);\n",
             "    const bool intends = std::holds_alternative<storage::Intend>(change);\n"
             "    const auto sequence =\n"
             "        fsm_.begin(intends ? Need::local : need_of(change), now);\n"),)),
]

if __name__ == "__main__":
    sys.exit(main(MUTANTS, sys.argv[1:]))
