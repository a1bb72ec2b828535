"""A pool agrees, whatever happens to its nodes and links: never two owners, and soon one again.

Every node is asked 20 times a second what it owns (harness/claims.py); in between come kill -9,
SIGSTOP, cut links and empty disks. Bounds are of what the pool promises; the time it takes a
node to start is its own.
"""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from harness import wait
from harness.claims import acts
from harness.dns_server import DnsServer
from harness.node import GoneError, merged
from harness.pool import Pool, PoolNode
from proofs.figures import Figures, require
from proofs.moments import (AGREE_S, TAKEOVER_S, given_away, id_of, others_than, pause_until,
                            spread, takes_mail, timed, views)

ELECTION_S = 2.0    # from the loss of a leader to the next


@dataclass
class Tally:
    """What all pools of a proof went through."""

    faults: int = 0
    answers: int = 0
    claims: int = 0
    overlaps: list[str] = field(default_factory=list)
    without_leases: int = 0

    def take(self, pool: Pool) -> None:
        history = pool.watch.history
        self.answers += history.answers
        self.claims += history.claims
        self.overlaps += history.overlaps()
        self.without_leases += len(pool.watch.naive.overlaps())


@dataclass(frozen=True)
class Run:
    full: bool
    lease_s: float
    figures: Figures
    tally: Tally
    etcd: int = 0  # the pools are on an etcd of so many members

    def pool(self, size: int, settings: dict | None = None) -> Pool:
        ours = {"pool": {"lease_ttl": f"{self.lease_s:.0f}s"}}
        return Pool(size, merged(ours, settings or {}), etcd=self.etcd)

    @property
    def roles(self) -> tuple[tuple[str, bool], ...]:
        """Whom it may hit, and whether that one leads: on etcd nobody does."""
        return (("node", False),) if self.etcd else (("follower", False), ("leader", True))

    def one_of(self, pool: Pool, leads: bool) -> PoolNode:
        leader = pool.settled()
        if self.etcd:
            return random.choice(pool.nodes)
        return leader if leads else random.choice(others_than(pool, leader))

    def takeover_s(self, led: bool) -> float:
        """How long what was owned by one that leads, or by another, may wait for a new owner."""
        return self.lease_s * (2 if led else 1) + TAKEOVER_S


def led_anew(pool: Pool, nodes: list[PoolNode], term: int, since: float) -> Callable[[], bool]:
    """Whether all of them follow one leader of a later term, which is one of them."""
    def condition() -> bool:
        seen = views(pool, nodes, since)
        ids = {one.this_node.id for one in seen}
        leaders = {(one.term, one.leader_id) for one in seen}
        return len(leaders) == 1 and all(t > term and who in ids for t, who in leaders)
    return condition


# ------------------------------------------------------------------ kill -9

def leader_kills(run: Run, pool: Pool) -> None:
    elections, returns = [], []
    for _ in range(50 if run.full else 4):
        leader = pool.settled()
        others, term = others_than(pool, leader), pool.fresh(leader).term
        at = time.monotonic()
        leader.kill()
        run.tally.faults += 1
        elections.append(timed(led_anew(pool, others, term, at), "another leads", ELECTION_S, at,
                               pool))
        at = time.monotonic()
        leader.launch()
        pool.settled(timeout_s=AGREE_S)
        returns.append(time.monotonic() - at)
    run.figures.add("kill -9 of the leader, until all follow another: median, worst",
                    spread(elections))
    run.figures.add("  until the killed one is back: median, worst", spread(returns))


def kills_for_good(run: Run, pool: Pool) -> None:
    """Until the others know that what it owned is not its any more."""
    for name, leads in run.roles:
        times = []
        for _ in range(5 if run.full else 1):
            victim = run.one_of(pool, leads)
            lost, at = id_of(pool, victim), time.monotonic()
            victim.kill()
            run.tally.faults += 1
            within = run.takeover_s(leads)
            rest = others_than(pool, victim)
            times.append(timed(given_away(pool, rest, [lost], at), f"a dead {name} owns nothing",
                               within, at, pool))
            victim.launch()
        pool.settled(timeout_s=AGREE_S)
        run.figures.add(f"kill -9 of a {name}, until it owns nothing: median, worst",
                        f"{spread(times)}; bound {within:.0f} s")


# ------------------------------------------------------------------ SIGSTOP

def pauses(run: Run, pool: Pool) -> None:
    """Longer than the lease: who wakes up owns nothing, and comes back as another incarnation."""
    lengths = [1.2, 2, 5] if run.full else [1.5]
    times = []
    for _, leads in run.roles:
        for length in lengths:
            paused = run.one_of(pool, leads)
            before, at = pool.fresh(paused).this_node, time.monotonic()
            paused.pause()
            run.tally.faults += 1
            rest = others_than(pool, paused)
            timed(given_away(pool, rest, [before.id], at), "a paused node owns nothing",
                  run.takeover_s(leads), at, pool)
            pause_until(at + length * run.lease_s)
            at = time.monotonic()
            paused.go_on()
            pool.settled(timeout_s=AGREE_S)
            times.append(time.monotonic() - at)
            after = pool.fresh(paused).this_node
            require(after.id == before.id and after.incarnation > before.incarnation,
                    f"a node that was paused is {after.id}/{after.incarnation} and was "
                    f"{before.id}/{before.incarnation}")
    run.figures.add("SIGSTOP beyond the lease, then SIGCONT, until back: median, worst",
                    spread(times))


# ------------------------------------------------------------------ cut links

def part_of_voters(pool: Pool, leader: PoolNode) -> set[PoolNode]:
    seen = pool.fresh(leader)
    return {node for node in pool.nodes if id_of(pool, node) in seen.voter_ids}


def split_and_heal(run: Run, pool: Pool, part: list[PoolNode], name: str,
                   healed: list[float]) -> None:
    """The side with most voters goes on; the other side owns nothing once its leases are over."""
    leader = pool.settled()
    voters = part_of_voters(pool, leader)
    rest = others_than(pool, *part)
    winners, losers = (part, rest) if 2 * len(voters & set(part)) > len(voters) else (rest, part)
    lost, term = [id_of(pool, node) for node in losers], pool.fresh(leader).term
    at = time.monotonic()
    pool.network.split([node.host for node in part])
    run.tally.faults += 1
    led = leader in losers
    if led:
        timed(led_anew(pool, winners, term, at), f"{name}: another leads", ELECTION_S, at, pool)
    timed(given_away(pool, winners, lost, at), f"{name}: those cut off own nothing",
          run.takeover_s(led), at, pool)
    seen = views(pool, losers, time.monotonic() - 2)
    require(bool(seen) and not any(acts(one) for one in seen),
            f"{name}: a node that is cut off still acts\n{pool.described()}")
    heal(pool, healed)


def heal(pool: Pool, healed: list[float]) -> None:
    at = time.monotonic()
    pool.network.heal()
    pool.settled(timeout_s=AGREE_S)
    healed.append(time.monotonic() - at)


def quiet_link(run: Run, pool: Pool) -> None:
    """Two followers that do not reach each other are no reason for anything."""
    leader = pool.settled()
    a, b = random.sample(others_than(pool, leader), 2)
    before = pool.fresh(leader)
    pool.network.cut((a.host, b.host))
    run.tally.faults += 1
    pause_until(time.monotonic() + run.lease_s * 1.5)
    after = pool.fresh(pool.settled())
    live = {(member.id, member.incarnation) for member in before.members if member.live}
    require(after.term == before.term and live == {(member.id, member.incarnation)
                                                   for member in after.members if member.live},
            f"a cut between two followers changed the pool\n{pool.described()}")
    pool.network.heal()


def leader_link(run: Run, pool: Pool, one_way: bool, healed: list[float]) -> None:
    """A follower out of the leader's reach: all the others go on as before or under another."""
    leader = pool.settled()
    follower = random.choice(others_than(pool, leader))
    if one_way:
        pool.network.cut_one_way(leader.host, follower.host)
    else:
        pool.network.cut((leader.host, follower.host))
    run.tally.faults += 1
    pause_until(time.monotonic() + run.lease_s * 1.5)
    pool.settled(others_than(pool, leader, follower), timeout_s=AGREE_S)
    heal(pool, healed)


def partitions(run: Run, pool: Pool) -> None:
    healed: list[float] = []
    for _ in range(3 if run.full else 1):
        leader = pool.settled()
        split_and_heal(run, pool, [leader], "leader isolated", healed)
        leader = pool.settled()
        split_and_heal(run, pool, [random.choice(others_than(pool, leader))], "one isolated",
                       healed)
        pool.settled()
        split_and_heal(run, pool, random.sample(pool.nodes, 2), "halves", healed)
        leader = pool.settled()
        voters = part_of_voters(pool, leader)
        split_and_heal(run, pool, random.sample(sorted(voters, key=lambda n: n.name), 2),
                       "two voters against three nodes", healed)
        quiet_link(run, pool)
        leader_link(run, pool, one_way=False, healed=healed)
        leader_link(run, pool, one_way=True, healed=healed)
    run.figures.add("cut links, from healing until all agree: median, worst", spread(healed))


# ------------------------------------------------------------------ many at once

def no_majority(run: Run, pool: Pool) -> None:
    """Without most voters nobody may act for long; with them all is as before."""
    leader = pool.settled()
    voters = sorted(part_of_voters(pool, leader), key=lambda node: node.name)
    lost = random.sample(voters, len(voters) // 2 + 1)
    at = time.monotonic()
    for node in lost:
        node.kill()
    run.tally.faults += len(lost)
    rest = others_than(pool, *lost)

    def nobody_acts() -> bool:
        seen = views(pool, rest, at)
        return bool(seen) and not any(acts(one) for one in seen)

    took = timed(nobody_acts, "without a majority nobody acts", run.lease_s + TAKEOVER_S, at, pool)
    at = time.monotonic()
    pool.launch(lost)
    pool.settled(timeout_s=AGREE_S)
    run.figures.add("most voters killed, until nobody acts; restarted, until all agree",
                    f"{took:.2f} s, {time.monotonic() - at:.2f} s")


def blackouts(run: Run, pool: Pool) -> None:
    """All die at once, and all come back: the same pool."""
    times = []
    for _ in range(5 if run.full else 2):
        before = pool.fresh(pool.settled()).pool_id
        for node in pool.nodes:
            node.kill()
        run.tally.faults += len(pool.nodes)
        at = time.monotonic()
        pool.launch()
        leader = pool.settled(timeout_s=AGREE_S)
        times.append(time.monotonic() - at)
        require(pool.fresh(leader).pool_id == before, "another pool began")
    run.figures.add("all killed and restarted, until all agree: median, worst", spread(times))


class Storm:
    """Faults on top of each other, by chance."""

    def __init__(self, pool: Pool, lease_s: float, seed: int) -> None:
        self._pool, self._lease_s = pool, lease_s
        self._random = random.Random(seed)
        self._paused: set[PoolNode] = set()
        self.faults = 0

    def steps(self) -> tuple[Callable, ...]:
        return (self._kill, self._kill, self._launch, self._launch, self._pause, self._go_on,
                self._go_on, self._cut, self._cut, self._pool.network.heal)

    def blow(self, for_s: float) -> None:
        over, steps = time.monotonic() + for_s, self.steps()
        while time.monotonic() < over:
            self._random.choice(steps)()
            pause_until(time.monotonic() + self._random.uniform(0, self._lease_s / 2))

    def calm(self) -> None:
        self._pool.network.heal()
        while self._paused:
            self._go_on()
        self._pool.launch([node for node in self._pool.nodes if not node.running()])

    def _one(self, nodes: Iterable[PoolNode]) -> list[PoolNode]:
        """One of them, when there is one."""
        found = [node for node in self._pool.nodes if node in nodes]
        return [self._random.choice(found)] if found else []

    def _awake(self) -> set[PoolNode]:
        return {node for node in self._pool.nodes if node.running()} - self._paused

    def _kill(self) -> None:
        for node in self._one(self._awake()):
            node.kill()
            self.faults += 1

    def _launch(self) -> None:
        for node in self._one({node for node in self._pool.nodes if not node.running()}):
            node.launch()

    def _pause(self) -> None:
        for node in self._one(self._awake()):
            try:
                node.pause()
            except GoneError:  # it has not even started
                return
            self._paused.add(node)
            self.faults += 1

    def _go_on(self) -> None:
        for node in self._one(self._paused):
            node.go_on()
            self._paused.discard(node)

    def _cut(self) -> None:
        hosts = self._pool.network.hosts
        ways = [(a, b) for a in hosts for b in hosts if a != b]
        for a, b in self._random.sample(ways, self._random.randint(1, len(ways) // 2)):
            self._pool.network.cut_one_way(a, b)
        self.faults += 1


def storms(run: Run, pool: Pool, kind: type[Storm] = Storm,
           bounded: tuple[int, int] = (2, 4)) -> None:
    """`bounded`: how many, of how many leases."""
    count, leases = (10, 6) if run.full else bounded
    times, seed = [], random.SystemRandom().randrange(1 << 30)
    for number in range(count):
        pool.settled(timeout_s=AGREE_S)
        storm = kind(pool, run.lease_s, seed + number)
        storm.blow(leases * run.lease_s)
        run.tally.faults += storm.faults
        at = time.monotonic()
        storm.calm()
        pool.settled(timeout_s=2 * AGREE_S)
        times.append(time.monotonic() - at)
    run.figures.add("faults on top of each other (seed), until all agree: median, worst",
                    f"({seed}) {spread(times)}")


# ------------------------------------------------------------------ nodes come and go

def replacements(run: Run, pool: Pool) -> None:
    """Each node dies with its disk, and a new one comes under its name."""
    pool.settled()
    first = {id_of(pool, node) for node in pool.nodes}
    times = []
    for node in list(pool.nodes):
        old = id_of(pool, node)
        node.kill()
        run.tally.faults += 1
        node.empty_disk()
        at = time.monotonic()
        node.launch()
        wait.until(lambda: any(acts(one) and one.this_node.id != old
                               for one in views(pool, [node], at)), f"{node.name} is a member", 60)
        times.append(time.monotonic() - at)
        wait.until(lambda: not any(old in one.voter_ids for one in views(pool, pool.nodes, at)) and
                   views(pool, pool.nodes, at), f"{node.name}'s vote is another's", 60)
        pool.settled(timeout_s=AGREE_S)
    run.figures.add("replaced by an empty disk, until a member: median, worst", spread(times))
    removed = remove_dead(pool, first)
    run.figures.add("dead members removed", removed)


def remove_dead(pool: Pool, dead: set[str]) -> int:
    at, leader = time.monotonic(), pool.settled()
    wait.until(given_away(pool, pool.nodes, dead, at), "the leases of dead members end", 60)
    for node_id in sorted(dead):
        # What only the dead one had is given up: its disk is gone.
        leader.cli("node", "remove", node_id, "--force", "--yes")
    left = {member.id for member in pool.fresh(leader).members}
    require(not left & dead and len(left) == len(pool.nodes),
            f"members after the removal: {pool.described()}")
    return len(dead)


def grow_and_shrink(run: Run) -> None:
    with run.pool(3, {"pool": {"expect": 0}}) as pool:
        first, *rest = pool.nodes
        first.configure({"pool": {"join": [first.peer_address], "expect": 1}})
        at = time.monotonic()
        first.launch()
        pool.settled([first])
        alone = time.monotonic() - at
        require(takes_mail(first, "alone"), "a node alone did not take all mail")
        at = time.monotonic()
        pool.launch(rest)
        pool.settled()
        joined = time.monotonic() - at
        require(all(takes_mail(node, f"three-{node.name}") for node in pool.nodes),
                "a pool of three did not take all mail")
        wait.until(lambda: len(pool.sink.by_message_id()) == 20, "20 mails arrive", 60)
        leaves = []
        for node in rest:
            at = time.monotonic()
            node.stop()
            run.tally.faults += 1
            leaves.append(time.monotonic() - at)
        pool.settled([first])
        require(takes_mail(first, "alone-again"), "who remained did not take all mail")
        run.tally.take(pool)
    run.figures.add("1 to 3 to 1: one begins, two join, two leave (exit 0)",
                    f"{alone:.2f} s, {joined:.2f} s, {max(leaves):.2f} s")


def two_halves(run: Run) -> None:
    """Nobody can evict one of two: each goes on with its own."""
    with run.pool(2) as pool:
        pool.start()
        wait.until(lambda: all(node.ready() for node in pool.nodes), "both hold what both own", 30)
        incarnations = [pool.fresh(node).this_node.incarnation for node in pool.nodes]
        at = time.monotonic()
        pool.network.isolate(pool.nodes[0].host)
        run.tally.faults += 1
        pause_until(at + run.lease_s * 2 + TAKEOVER_S)
        for node in pool.nodes:
            require(acts(pool.fresh(node)) and node.ready(),
                    f"{node.name} is half of a pool of two and does not act: "
                    f"{node.http('/readyz')}\n{pool.described()}")
            require(takes_mail(node, f"half-{node.name}"), f"{node.name} did not take all mail")
        healed: list[float] = []
        heal(pool, healed)
        require(incarnations == [pool.fresh(node).this_node.incarnation for node in pool.nodes],
                "a half was ended")
        run.tally.take(pool)
    run.figures.add("two halves of a pool of two took mail; after healing agreed in",
                    f"{healed[0]:.2f} s")


def lost_half(run: Run) -> None:
    """One of two is lost for good: the other begins anew, and who comes back is a new node."""
    with run.pool(2) as pool:
        pool.start()
        lost, left = pool.nodes
        old = pool.fresh(lost)
        lost.kill()
        run.tally.faults += 1
        wait.until(lambda: not pool.fresh(left).leader_id, "the other hears no leader", 30)
        left.cli("node", "remove", old.this_node.id, "--force", "--yes")
        pool.settled([left])
        anew = pool.fresh(left)
        require(anew.pool_id == old.pool_id and len(anew.members) == 1 and
                anew.pool_incarnation > old.pool_incarnation, f"not anew:\n{pool.described()}")
        require(takes_mail(left, "anew"), "who went on alone did not take all mail")
        lost.launch()
        lost.wait_dead(30)
        require("stranger" in lost.tail(), f"it does not say that it is a stranger:\n{lost.tail()}")
        lost.launch()
        pool.settled()
        require(pool.fresh(lost).this_node.id != old.this_node.id, "a stranger kept its id")
        require(len(pool.fresh(lost).set_aside) == 1, "its copies were not set aside")
        run.tally.take(pool)
    run.figures.add("one of two lost for good: removed, came back as", "a new node")


def bootstraps(run: Run) -> None:
    times = []
    for number in range(10 if run.full else 2):
        with run.pool(3) as pool, DnsServer(host=pool.network.gateway) as dns:
            if number % 2:
                by_name(pool, dns)
            at = time.monotonic()
            pool.start()
            times.append(time.monotonic() - at)
            pools = {pool.fresh(node).pool_id for node in pool.nodes}
            require(len(pools) == 1 and all(len(pool.fresh(node).members) == 3
                                            for node in pool.nodes), "not one pool of three")
            run.tally.take(pool)
    run.figures.add("three start at once, until one pool: median, worst", spread(times))


def by_name(pool: Pool, dns: DnsServer) -> None:
    dns.zone.records[("pool.test", "A")] = [node.address for node in pool.nodes]
    for node in pool.nodes:
        node.configure({"pool": {"join": ["pool.test"]},
                        "delivery": {"dns_servers": [dns.address]}})


# ------------------------------------------------------------------ all of it

def five_nodes(run: Run) -> None:
    with run.pool(5) as pool:
        pool.start()
        for part in (leader_kills, kills_for_good, pauses, partitions, no_majority, blackouts,
                     storms, replacements):
            part(run, pool)
            found = pool.watch.history.overlaps()
            require(not found, f"{part.__name__}:\n" + "\n".join(found[:20]))
        run.tally.take(pool)


def main(full: bool) -> None:
    figures, tally = Figures("control plane under faults"), Tally()
    run = Run(full, 10 if full else 3, figures, tally)
    figures.add("lease", f"{run.lease_s:.0f} s")
    for part in (bootstraps, grow_and_shrink, two_halves, lost_half, five_nodes):
        part(run)
    figures.add("faults", tally.faults)
    figures.add("answers; claims in them", f"{tally.answers}; {tally.claims}")
    figures.add("overlaps", len(tally.overlaps))
    figures.add("overlaps, were there no leases", tally.without_leases)
    figures.show()
    require(tally.without_leases > 0, "the faults, or the checker, are too weak to find anything")
    require(not tally.overlaps, "\n".join(tally.overlaps[:20]))
