"""A pool on an etcd of its own: what a pool does anyway, it does there, and etcd may be restored.

1. On one etcd and on three, over TLS: nodes begin a pool without `join` and take mail; one that
   dies is taken over within its lease and 2 s, one leaves; the last one goes on alone.
2. Who does not reach etcd stops, and its mail goes on elsewhere; nodes that reach etcd, but not
   each other, stay what they are. A member of etcd is replaced, and nobody notices.
3. A backup of etcd is restored under load: a new incarnation of the pool, nothing lost, nothing
   owned twice. An etcd without its content begins no pool, until an operator says so.
4. The acceptance test and the rolling replacement of the proof `handover`.
5. A running pool is moved to etcd and back under load: no node starts anew, nothing is lost or sent
   twice; one that was away follows when it comes back.
"""

import os
import subprocess
import time
from dataclasses import dataclass

from harness import wait
from harness.claims import acts
from harness.crowd import Habits
from harness.mail_pool import MailPool
from harness.pool import Pool, PoolNode
from proofs import handover
from proofs.figures import Figures, require
from proofs.moments import (AGREE_S, TAKEOVER_S, given_away, id_of, others_than, pause_until,
                            takes_mail, timed, views)


CONFORMANCE = "build/tests/unit/replication/edge/unit_replication_etcd"


@dataclass(frozen=True)
class Run:
    full: bool
    lease_s: float
    figures: Figures

    def settings(self) -> dict:
        return {"pool": {"lease_ttl": f"{self.lease_s:.0f}s"}}


def not_twice(pool: Pool) -> None:
    overlaps = pool.watch.history.overlaps()
    require(not overlaps, "\n".join(overlaps[:20]))


def live_starts(answer) -> set[tuple[str, int]]:
    return {(member.id, member.incarnation) for member in answer.members if member.live}


# ------------------------------------------------------------------ what every control plane does

def conformance(run: Run) -> None:
    """The suite of both control planes, which unit tests run on an etcd of one member, on three."""
    subprocess.run(["ninja", "-C", "build", CONFORMANCE.removeprefix("build/")], check=True)
    done = subprocess.run([CONFORMANCE, "--test-case=every control plane*"], check=False,
                          capture_output=True, text=True,
                          env={**os.environ, "POSTHORSE_TEST_ETCD_MEMBERS": "3"})
    require(done.returncode == 0, f"the suite fails on three members:\n{done.stdout[-4000:]}")
    run.figures.add("suite for control planes, on an etcd of three members",
                    next(line for line in done.stdout.splitlines() if "test cases:" in line))


# ------------------------------------------------------------------ a life

def a_life(run: Run, members: int) -> None:
    with Pool(3, run.settings(), etcd=members) as pool:
        at = time.monotonic()
        pool.start()
        began_s = time.monotonic() - at
        seen = [pool.fresh(node) for node in pool.nodes]
        require({one.control for one in seen} == {"etcd"} and
                not any(one.leader_id or one.voter_ids for one in seen), "somebody leads or votes")
        require(all(takes_mail(node, f"life-{node.name}") for node in pool.nodes),
                "a pool on etcd did not take all mail")

        victim = pool.nodes[0]
        lost, at = id_of(pool, victim), time.monotonic()
        victim.kill()
        rest = others_than(pool, victim)
        within = run.lease_s + TAKEOVER_S
        taken_s = timed(given_away(pool, rest, [lost], at), "a dead node owns nothing", within, at,
                        pool)
        victim.launch()
        pool.settled(timeout_s=AGREE_S)

        leaver = pool.nodes[1]
        at = time.monotonic()
        leaver.stop()
        left_s = time.monotonic() - at
        pool.nodes[2].kill()
        pool.settled([victim], timeout_s=AGREE_S)
        lone = wait.until(lambda: [one for one in views(pool, [victim], at)
                                   if len(live_starts(one)) == 1], "one is left", AGREE_S)
        require(acts(lone[0]) and takes_mail(victim, "alone"),
                "who is left does not go on")
        not_twice(pool)
    name = f"on {members} etcd: pool begun; dead one's mail elsewhere (bound {within:.0f} s); left"
    run.figures.add(name, f"{began_s:.2f} s; {taken_s:.2f} s; {left_s:.2f} s")


# ------------------------------------------------------------------ ways to etcd

def ways_to_etcd(run: Run) -> None:
    with Pool(3, run.settings(), etcd=3) as pool:
        pool.start()
        cut_off(run, pool)
        among_themselves(run, pool)
        if run.full:
            replaced_member(run, pool)
        not_twice(pool)


def cut_off(run: Run, pool: Pool) -> None:
    """From etcd alone: its peers it reaches."""
    node = pool.nodes[0]
    lost, at = id_of(pool, node), time.monotonic()
    pool.network.cut(*[(node.host, host) for host in pool.etcd.hosts])
    taken_s = timed(given_away(pool, others_than(pool, node), [lost], at),
                    "who is cut off from etcd owns nothing", run.lease_s + TAKEOVER_S, at, pool)
    seen = pool.fresh(node)
    require(not acts(seen), f"a node without etcd acts\n{pool.described()}")
    require(not node.ready(), "a node without etcd says that it is ready")
    require(bool(seen.this_node.waits_for), "it does not say what is missing")
    at = time.monotonic()
    pool.network.heal()
    pool.settled(timeout_s=AGREE_S)
    run.figures.add("cut off from etcd: owns nothing after; back after healing",
                    f"{taken_s:.2f} s; {time.monotonic() - at:.2f} s")


def among_themselves(run: Run, pool: Pool) -> None:
    before = live_starts(pool.fresh(pool.settled()))
    a, b, c = (node.host for node in pool.nodes)
    pool.network.cut((a, b), (b, c), (a, c))
    pause_until(time.monotonic() + run.lease_s * 1.5)
    require(live_starts(pool.fresh(pool.settled())) == before,
            f"nodes that all reach etcd were evicted\n{pool.described()}")
    pool.network.heal()


def replaced_member(run: Run, pool: Pool) -> None:
    before = live_starts(pool.fresh(pool.settled()))
    at = time.monotonic()
    pool.etcd.replace(pool.etcd.members[0])
    pool.etcd.compact()
    took_s = time.monotonic() - at
    require(live_starts(pool.fresh(pool.settled())) == before,
            f"a new member of etcd ended nodes\n{pool.described()}")
    run.figures.add("a member of etcd replaced, its history compacted; nobody evicted",
                    f"{took_s:.2f} s")


# ------------------------------------------------------------------ etcd goes back

def restored(run: Run) -> None:
    with MailPool(3, {"sink.test": "defer"}, run.settings(), etcd=3) as pool:
        pool.start()
        snapshot = pool.etcd.snapshot()
        with pool.crowd(Habits(rate=40), "restored") as crowd:
            wait.until(lambda: crowd.acknowledged > 50, "mail is accepted", 60)
            # So that the value goes on, and what is in the backup is old.
            pool.kill(pool.nodes[0])
            pool.nodes[0].launch()
            pool.settled(timeout_s=AGREE_S)
            before = pool.fresh(pool.nodes[0])
            addresses = [node.address for node in pool.nodes]
            pool.log.begin("etcd", *addresses)
            at = time.monotonic()
            pool.etcd.restore(snapshot)
            wait.until(lambda: all(one.pool_incarnation > before.pool_incarnation and acts(one)
                                   for one in views(pool, pool.nodes, at)) and
                       views(pool, pool.nodes, at), "the pool has another incarnation", 60)
            took_s = time.monotonic() - at
            pool.log.end("etcd", *addresses)
            seen = crowd.acknowledged
            wait.until(lambda: crowd.acknowledged > seen + 50, "mail is accepted again", 60)
            sent = crowd.stop()
        after = pool.fresh(pool.settled())
        require(after.pool_id == before.pool_id and after.version > before.version and
                {one[0] for one in live_starts(after)} == {one[0] for one in live_starts(before)},
                f"not the same pool:\n{pool.described()}")
        pool.set_modes("accept")
        pool.drain()
        run.figures.add("a backup of etcd restored under load, until all act again",
                        f"{took_s:.2f} s")
        run.figures.add_verdict(pool.verdict(sent))
        not_twice(pool)


def emptied(run: Run) -> None:
    """Nobody begins a pool while somebody remembers one; an operator names who goes on."""
    with Pool(2, run.settings(), etcd=1) as pool:
        pool.start()
        old = pool.fresh(pool.nodes[0])
        for node in pool.nodes:
            node.kill()
        pool.etcd.empty()
        at = time.monotonic()
        pool.launch()
        wait.until(lambda: all(one.this_node.waits_for for one in views(pool, pool.nodes, at)) and
                   views(pool, pool.nodes, at), "both say what they wait for", AGREE_S)
        pause_until(at + run.lease_s * 2)
        require(not pool.etcd.keys() or all("waiting" in key for key in pool.etcd.keys()),
                f"a pool began in an emptied etcd: {pool.etcd.keys()}")
        goes_on, stays = pool.nodes
        lost = pool.fresh(stays).this_node.id
        stays.kill()
        goes_on.cli("node", "remove", lost, "--force", "--yes")
        pool.settled([goes_on], timeout_s=AGREE_S)
        anew = pool.fresh(goes_on)
        require(anew.pool_id == old.pool_id and len(anew.members) == 1 and
                anew.pool_incarnation > old.pool_incarnation, f"not anew:\n{pool.described()}")
        require(takes_mail(goes_on, "anew"), "who went on alone did not take all mail")
        comes_back(pool, stays, lost)
        not_twice(pool)
    run.figures.add("an emptied etcd: one node begins anew by an operator, the other comes as",
                    "a new node")


def comes_back(pool: Pool, node: PoolNode, old_id: str) -> None:
    node.launch()
    node.wait_dead(30)
    require("stranger" in node.tail(), f"it does not say that it is a stranger:\n{node.tail()}")
    node.launch()
    pool.settled(timeout_s=AGREE_S)
    require(pool.fresh(node).this_node.id != old_id, "a stranger kept its id")


# ------------------------------------------------------------------ moving there and back

def moved(run: Run) -> None:
    with MailPool(3, {"sink.test": "accept"}, run.settings(), etcd=3) as pool:
        pool.decide_by_themselves()
        pool.start()
        before = live_starts(pool.fresh(pool.settled()))
        with pool.crowd(Habits(rate=40), "moved") as crowd:
            for to in ("etcd", "embedded", "etcd") if run.full else ("etcd", "embedded"):
                seen, at = crowd.acknowledged, time.monotonic()
                pool.nodes[0].cli("pool", "move", "--to", to)
                took_s = time.monotonic() - at
                after = pool.fresh(pool.settled(timeout_s=AGREE_S))
                require(after.control == to, f"the pool is on {after.control}")
                require(live_starts(after) == before, f"a node began anew:\n{pool.described()}")
                # Longer than a lease: what was given on the other side is over.
                pause_until(time.monotonic() + run.lease_s * 1.5)
                require(live_starts(pool.fresh(pool.settled())) == before,
                        f"a node was evicted after the move:\n{pool.described()}")
                wait.until(lambda seen=seen: crowd.acknowledged > seen + 100, "mail goes on", 60)
                run.figures.add(f"three nodes moved to {to} under load: all have followed after",
                                f"{took_s:.2f} s")
            away_meanwhile(run, pool)
            sent = crowd.stop()
        pool.drain()
        verdict = pool.verdict(sent)
        run.figures.add_verdict(verdict)
        require(not verdict.repeats, f"sent twice: {verdict.repeats}")
        not_twice(pool)


def away_meanwhile(run: Run, pool: MailPool) -> None:
    """It leaves on purpose, so that nothing is in doubt, and its pool moves."""
    away, *others = reversed(pool.nodes)
    away.stop()
    pool.settled(others, timeout_s=AGREE_S)
    to = "embedded" if pool.fresh(others[0]).control == "etcd" else "etcd"
    others[0].cli("pool", "move", "--to", to)
    at = time.monotonic()
    away.launch()
    pool.settled(timeout_s=AGREE_S)
    require({one.control for one in views(pool, pool.nodes, at)} == {to}, pool.described())
    run.figures.add(f"one that was away while its pool moved to {to} follows after",
                    f"{time.monotonic() - at:.2f} s")


# ------------------------------------------------------------------ all of it

def main(full: bool) -> None:
    figures = Figures("a pool on etcd")
    run = Run(full, 10 if full else 3, figures)
    figures.add("lease", f"{run.lease_s:.0f} s")
    if full:
        conformance(run)
    for members in (1, 3) if full else (1,):
        a_life(run, members)
    ways_to_etcd(run)
    restored(run)
    moved(run)
    if full:
        emptied(run)
    on_three = handover.Run(full, run.lease_s, figures, etcd=3)
    handover.acceptance(on_three)
    if full:
        handover.rolling(on_three)
        handover.half_leaves(on_three)
    figures.show()
