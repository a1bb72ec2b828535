"""kill -9 at any moment loses nothing that was answered 250, and repeats only what was in flight.

1. Under load, SIGKILL at random moments (30; 300 with --full): every message that got its 250
   arrives; those that arrive twice were in delivery when the node was killed.
2. SIGKILL at every fdatasync of a start, and at every fdatasync of a run (strace injects it).
3. A trace of system calls: between the read of each end of data and the write of its 250 an
   fdatasync began and completed.

That kill -9 leaves the page cache alone is why 3 is here, and why the unit tests run the store on a
file system that loses what was not synced.
"""

import random
import shutil
import time
from dataclasses import dataclass, field

from harness import wait
from harness.loader import Loader, Tally
from harness.node import TRUSTING, Node, merged, routes_to
from harness.sinks import Sink
from harness.strace import attached, custody_faults, killing_at, parse
from proofs.figures import Figures, require

CONNECTIONS = 10  # to the one destination
SWEEP_MAX = 200   # fdatasyncs of a start or run; more means that something loops


def crash_node(sink: Sink) -> Node:
    quick = {"delivery": {"connections_max": CONNECTIONS,
                          "connections_per_destination_max": CONNECTIONS},
             # Kills come so fast that they may meet a message three times: it is not to be held.
             "queue": {"min_retry_age": "1s", "max_retry_age": "2s", "poison_attempts": 0}}
    return Node(merged(merged(routes_to({"sink.test": sink.port}), TRUSTING), quick))


@dataclass
class Kills:
    at: list[float] = field(default_factory=list)
    restart_s: list[float] = field(default_factory=list)
    in_flight: list[int] = field(default_factory=list)  # attempts without an outcome at each kill


def kill_and_restart(node: Node, kills: Kills) -> None:
    kills.at.append(time.monotonic())
    node.kill()
    began = time.monotonic()
    node.start()
    kills.restart_s.append(time.monotonic() - began)
    # A final dot is never sent before its intent is recorded: those that have no outcome on disk
    # are what was in flight.
    kills.in_flight.append(int(node.status()["attempts_in_doubt"]))


def everything_arrived(tally: Tally, sink: Sink) -> bool:
    return set(tally.acknowledged) <= set(sink.by_message_id())


def duplicates_by_kill(sink: Sink, kills: Kills) -> list[int]:
    """For each kill, the messages that arrived before it and again after; the rest is a fault.

    What a node had sent when it died, the receiver may record a little later: until the next start
    is ready it counts as before the kill.
    """
    counts = [0] * len(kills.at)
    ready_at = [at + restart_s for at, restart_s in zip(kills.at, kills.restart_s)]
    for message_id, copies in sink.by_message_id().items():
        for first, second in zip(copies, copies[1:]):
            between = [n for n, at in enumerate(kills.at)
                       if first.at <= ready_at[n] and at <= second.at]
            require(bool(between), f"{message_id} arrived twice without a kill between")
            counts[between[0]] += 1
    return counts


def random_kills(count: int, seed: int, figures: Figures) -> None:
    rng = random.Random(seed)
    kills = Kills()
    with Sink(keep_content=False) as sink, crash_node(sink) as node:
        with Loader(node.ports["mx"], sessions=8) as load:
            for _ in range(count):
                # Random in what the node has done: so it means the same on any machine.
                target = len(load.tally.acknowledged) + rng.randint(1, 150)
                wait.until(lambda: len(load.tally.acknowledged) >= target, "mail is accepted", 120,
                           every_s=rng.uniform(0.0005, 0.005))
                kill_and_restart(node, kills)
            tally = load.stop()
        wait.until(lambda: everything_arrived(tally, sink) or not node.running(),
                   f"all {len(tally.acknowledged)} acknowledged messages arrive", 300, every_s=0.2)
        wait.until(lambda: not node.queue(), "the queue is empty", 120, every_s=0.2)
    lost = set(tally.acknowledged) - set(sink.by_message_id())
    per_kill = duplicates_by_kill(sink, kills)
    figures.add("random kills (seed)", f"{count} ({seed})")
    figures.add("acknowledged", len(tally.acknowledged))
    figures.add("without an answer, then delivered",
                len(tally.unknown & set(sink.by_message_id())))
    figures.add("lost", len(lost))
    figures.add("duplicates: all, most at one kill", f"{sum(per_kill)}, {max(per_kill)}")
    figures.add("in flight at the kills: all, most", f"{sum(kills.in_flight)}, "
                                                     f"{max(kills.in_flight)}")
    figures.add("restart, median", f"{sorted(kills.restart_s)[count // 2]:.2f} s")
    require(not lost, f"lost: {sorted(lost)[:10]}")
    for number, (twice, in_flight) in enumerate(zip(per_kill, kills.in_flight)):
        require(twice <= in_flight, f"kill {number}: {twice} duplicates, {in_flight} in flight")


def check_after(node: Node, sink: Sink, tally: Tally, when: str) -> int:
    """The killed node comes back and delivers what it had acknowledged; how much of it twice."""
    node.start()
    wait.until(lambda: everything_arrived(tally, sink), f"acknowledged mail arrives, {when}", 60)
    wait.until(lambda: not node.queue(), f"the queue is empty, {when}", 60)
    in_flight = int(node.status()["attempts_in_doubt"])
    mine = set(tally.acknowledged) | tally.unknown
    twice = sum(len(copies) - 1 for message_id, copies in sink.by_message_id().items()
                if message_id in mine)
    require(twice <= in_flight, f"{when}: {twice} duplicates, {in_flight} in flight at the kill")
    fresh = Loader(node.ports["mx"], 1, name=f"after-{when.replace(' ', '-')}").run(1)
    wait.until(lambda: everything_arrived(fresh, sink), f"new mail arrives, {when}", 60)
    node.stop()
    return twice


def sweep_of_starts(figures: Figures) -> None:
    """SIGKILL at the first, second, ... fdatasync of a start on an empty disk."""
    killed = 0
    with Sink(keep_content=False) as sink:
        node = crash_node(sink)
        for number in range(1, SWEEP_MAX):
            shutil.rmtree(node.data, ignore_errors=True)
            node.launch(["strace", "-f", *killing_at(number)])
            wait.until(lambda: not node.running() or node.ready(), "ready or killed")
            if node.running():  # so many fdatasyncs no thread of a start makes
                node.stop_or_killed()
                break
            killed += 1
            check_after(node, sink, Tally(), f"start {number}")
        shutil.rmtree(node.folder)
    figures.add("kills at every fdatasync of a start", killed)


def sweep_of_runs(figures: Figures) -> None:
    """SIGKILL at the first, second, ... fdatasync after the node is ready, its stop included."""
    killed = duplicates = 0
    with Sink(keep_content=False) as sink:
        node = crash_node(sink)
        for number in range(1, SWEEP_MAX):
            tally = one_run(node, sink, number)
            if tally is None:
                break
            killed += 1
            duplicates += check_after(node, sink, tally, f"run {number}")
        shutil.rmtree(node.folder)
    require(killed > 1, "the run was never killed: does the node sync with fdatasync?")
    figures.add("kills at every fdatasync of a run", killed)
    figures.add("lost, duplicates of those runs", f"0, {duplicates}")


def one_run(node: Node, sink: Sink, number: int) -> Tally | None:
    """A start, a few mails and a stop, killed at an fdatasync; None when it had fewer."""
    shutil.rmtree(node.data, ignore_errors=True)
    node.start()
    with attached(node, killing_at(number)):
        with Loader(node.ports["mx"], sessions=2, name=f"run-{number}") as load:
            wait.until(lambda: not node.running() or len(load.tally.acknowledged) >= 5,
                       "five mails are taken, or the node is killed")
            tally = load.stop()
        if node.running():
            wait.until(lambda: not node.running() or everything_arrived(tally, sink),
                       "acknowledged mail arrives, or the node is killed")
        if node.running() and node.stop_or_killed():
            return None
    node.wait_dead()
    return tally


def traced_custody(figures: Figures) -> None:
    """Every 250 to an end of data was preceded by an fdatasync that covers it."""
    with Sink(keep_content=False) as sink, crash_node(sink) as node:
        trace = node.folder / "trace"
        calls = "fdatasync,fsync,read,readv,recvfrom,recvmsg,sendto,sendmsg,write,writev"
        options = ["-s", "16384", "-o", str(trace), "-e", f"trace={calls}"]
        with attached(node, options):
            tally = Loader(node.ports["mx"], sessions=4, size_bytes=600).run(100)
            wait.until(lambda: everything_arrived(tally, sink), "100 mails arrive")
        seen, faults = custody_faults(parse(trace.read_text(errors="replace")))
    require(len(tally.acknowledged) == 100, f"acknowledged {len(tally.acknowledged)} of 100")
    require(seen == 100, f"the trace shows {seen} of 100 receipts")
    require(not faults, "250 without an fdatasync before it:\n" + "\n".join(faults[:10]))
    figures.add("traced receipts, each after an fdatasync", seen)


def main(full: bool) -> None:
    figures = Figures("kill -9")
    traced_custody(figures)
    sweep_of_starts(figures)
    sweep_of_runs(figures)
    random_kills(300 if full else 30, random.SystemRandom().randrange(1 << 30), figures)
    figures.show()
