"""What a pool's metrics say of its mail: how much lies where, and how long a takeover took."""

from harness import wait
from harness.crowd import Habits
from harness.mail_pool import MailPool
from harness.node import answer_of

LEASE_S = 3.0


def total(pool: MailPool, name: str) -> float:
    return sum(node.metrics()[name] for node in pool.running())


def test_octets_are_counted_on_every_disk_and_a_takeover_is_timed():
    with MailPool(3, {"sink.test": "defer"}, {"pool": {"lease_ttl": f"{LEASE_S:.0f}s"}}) as pool:
        pool.start()
        wait.until(pool.nodes[0].ready, "the first node takes mail", 30)
        habits = Habits(sizes=(1000, 600_000), null_senders=0, many=0)
        sent = pool.crowd(habits, "figures", nodes=pool.nodes[:1]).run(20)
        assert all(one.taken for one in sent)
        pool.copied()
        octets = sum(message["size_bytes"] for message in pool.nodes[1].queue())
        assert octets > 20 * 1000
        wait.until(lambda: total(pool, "posthorse_queue_bytes") == octets, "owners count it all")
        wait.until(lambda: total(pool, "posthorse_held_bytes") == octets, "and so do holders")
        assert total(pool, "posthorse_under_replicated_age_seconds") == 0

        dead = pool.fresh(pool.nodes[0]).this_node.id
        pool.kill(pool.nodes[0])
        wait.until(lambda: total(pool, "posthorse_queue_bytes") == octets, "others own it", 30)
        takeovers = total(pool, "posthorse_takeover_seconds_count")
        assert takeovers >= 1
        mean = total(pool, "posthorse_takeover_seconds_sum") / takeovers
        assert 0 < mean < 2 * LEASE_S + 2
        pool.copied()
        assert total(pool, "posthorse_held_bytes") == octets

        remove = ("--config", str(pool.nodes[1].config), "node", "remove", dead, "--force", "--yes")
        wait.until(lambda: answer_of(*remove).returncode == 0, "nothing waits for the dead", 30)
        pool.set_modes("accept")
        pool.flush()
        pool.drain()
        for name in ("posthorse_queue_bytes", "posthorse_held_bytes"):
            wait.until(lambda name=name: total(pool, name) == 0, f"{name} is 0 without mail", 30)
