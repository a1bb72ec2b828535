"""A node with much mail leaves: what it owns belongs to its siblings at once.

The queue holds 5,000 deferred messages (100,000 with --full), all taken by one node.
1. `posthorse node drain`: until it owns nothing, bound 5 s; it takes no mail; `node resume`, and it
   takes mail again.
2. SIGTERM: until it owns nothing, bound 5 s; it exits with 0, and its disk is destroyed.
At the end the destination opens, and everything arrives once.
"""

import time

from harness import wait
from harness.crowd import Habits
from harness.mail_pool import MailPool
from harness.pool import PoolNode
from proofs.figures import Figures
from proofs.moments import AGREE_S, id_of, others_than, owned_by_others, timed
from proofs.takeover import BULK, DRAIN_S, LIVE, PATIENT, Run, copied, departure, loaded, richest


def drained_and_resumed(run: Run, node: PoolNode) -> None:
    pool = run.pool
    rest, own = others_than(pool, node), id_of(pool, node)
    at = time.monotonic()
    rest[0].cli("node", "drain", node.name)
    took = timed(owned_by_others(pool, rest, own, at), "the drained node owns nothing", DRAIN_S, at,
                 pool)
    wait.until(lambda: not node.ready(), "it is not ready", AGREE_S)
    rest[0].cli("node", "resume", node.name)
    wait.until(node.ready, "it is ready again", AGREE_S)
    run.figures.add("node drain: until it owns nothing", f"{took:.2f} s; bound {DRAIN_S:.0f} s")


def main(full: bool) -> None:
    figures = Figures("leaving")
    count, lease_s = (100_000, 10) if full else (5000, 3)
    settings = {**PATIENT, "pool": {"lease_ttl": f"{lease_s}s"}}
    with MailPool(3, {BULK: "defer", LIVE: "accept"}, settings) as pool:
        pool.start()
        run = Run(pool, count, lease_s, full, figures)
        sent = loaded(run)
        ids = [one.reply.rsplit(" ", 1)[1] for one in sent]
        copied(run)
        drained_and_resumed(run, richest(run, ids)[0])
        copied(run)
        live = Habits(sessions=4, sizes=(1000, 4000), domains=(LIVE,), rate=50, null_senders=0)
        with pool.crowd(live, "live") as crowd:
            departure(run, ids, crowd)
            sent += crowd.stop()
        pool.set_modes("accept")
        pool.running()[0].cli("queue", "flush")
        pool.drain(120 + count / 100)
        figures.add_verdict(pool.verdict(sent))
    figures.show()
