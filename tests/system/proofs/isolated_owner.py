"""An owner that loses its lease in the middle of a delivery sends no dot: there is one copy.

The owner of a message delivers it to a server that reads slowly, or has closed its window before
the dot. Meanwhile the owner is cut off from its peers, not from the server, or is stopped, for
longer than its lease. Then the server reads on. No final dot leaves the old owner; the sibling that
took over delivers; at the server there is exactly one copy.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from harness import wait
from harness.crowd import Habits
from harness.mail_pool import MailPool
from harness.pool import PoolNode
from harness.recording_sink import Mode
from harness.records import Attempt, Sent
from proofs.figures import Figures, require
from proofs.moments import AGREE_S, TAKEOVER_S, given_away, id_of, others_than, timed

SIZE_BYTES = 2_000_000


@dataclass(frozen=True)
class Run:
    pool: MailPool
    lease_s: float
    sent: list[Sent]


@dataclass(frozen=True)
class Fault:
    name: str
    begin: Callable[[MailPool, PoolNode], None]
    end: Callable[[MailPool, PoolNode], None]


def cut_off(pool: MailPool, owner: PoolNode) -> None:
    pool.cut_off(owner.host)
    pool.network.isolate(owner.host)


def stop(pool: MailPool, owner: PoolNode) -> None:
    pool.pause(owner)


FAULTS = (Fault("cut off from its peers", cut_off, lambda pool, _: pool.heal()),
          Fault("stopped", stop, lambda pool, owner: pool.go_on(owner)))


def attempt_at(pool: MailPool, recipient: str) -> Attempt | None:
    """Of a delivery that has begun and does not get on."""
    found = [one for one in pool.sink.attempts() if recipient in one.recipients]
    return found[-1] if found else None


def one_message(run: Run, name: str, node: PoolNode) -> Sent:
    habits = Habits(sessions=1, sizes=(SIZE_BYTES,), many=0, null_senders=0)
    [sent] = run.pool.crowd(habits, name, nodes=[node]).run(1)
    require(sent.taken, f"{name}: {sent.reply}")
    run.sent.append(sent)
    return sent


def beyond_the_lease(run: Run, name: str, mode: Mode, fault: Fault) -> tuple[float, float]:
    """Seconds from the fault until siblings own the mail, and until the message has arrived."""
    pool, sink = run.pool, run.pool.sink
    leader = pool.settled()
    owner = others_than(pool, leader)[0]
    rest, lost = others_than(pool, owner), id_of(pool, owner)
    sink.stall()
    sink.set_mode(mode)
    sent = one_message(run, name, owner)
    begun = wait.until(lambda: attempt_at(pool, sent.recipients[0]), "its delivery begins")
    require(begun.peer == owner.address, f"{name}: another node than the one that took it delivers")
    sink.set_mode("accept")  # for who comes next
    at = time.monotonic()
    fault.begin(pool, owner)
    taken_over = timed(given_away(pool, rest, [lost], at), f"{name}: siblings own it",
                       run.lease_s + TAKEOVER_S, at, pool)
    require(not sink.copies().get(sent.message_id), f"{name}: it arrived before its owner was gone")
    sink.resume()
    if fault.name == "stopped":
        fault.end(pool, owner)
    wait.until(lambda: sink.copies().get(sent.message_id), f"{name}: the sibling delivers", AGREE_S)
    arrived = time.monotonic() - at
    fault.end(pool, owner)
    wait.until(lambda: not sink.standing, f"{name}: the old connection has ended", AGREE_S)
    pool.settled(timeout_s=AGREE_S)
    copies = sink.copies()[sent.message_id]
    require([copy.peer for copy in copies if copy.peer == owner.address] == [],
            f"{name}: the old owner sent a dot")
    require(len(copies) == 1, f"{name}: {len(copies)} copies")
    return taken_over, arrived


def main(full: bool) -> None:
    figures = Figures("an owner without its lease")
    lease_s = 10 if full else 3
    # Read to the end, a message takes the old owner far beyond its lease.
    pace = int(SIZE_BYTES / (5 * lease_s))
    modes = {"the server reads slowly": Mode(pace_bytes_s=pace),
             "the window is closed": Mode(stall_after_bytes=SIZE_BYTES // 2)}
    settings = {"pool": {"lease_ttl": f"{lease_s}s"}}
    with MailPool(3, settings=settings, small_windows=True) as pool:
        pool.start()
        run = Run(pool, lease_s, [])
        for number in range(5 if full else 1):
            for how, mode in modes.items():
                for fault in FAULTS:
                    name = f"isolated-{len(run.sent)}"
                    owned, arrived = beyond_the_lease(run, name, mode, fault)
                    if number == 0:
                        figures.add(f"{how}, {fault.name}: siblings own, it has arrived",
                                    f"{owned:.2f} s, {arrived:.2f} s")
        pool.drain()
        verdict = pool.verdict(run.sent)
        figures.add_verdict(verdict)
        require(verdict.counts["repeated"] == 0, "a message came twice")
    figures.show()
