"""A node that leaves tells first how its attempts ended whose messages are others' meanwhile."""

import time

from harness import schemas, wait
from harness.crowd import Habits
from harness.mail_pool import MailPool, partition_of
from harness.pool import PoolNode
from harness.recording_sink import Mode
from harness.records import Attempt
from proofs.moments import given_away, id_of, others_than

# Each is sent at most five messages at once.
DOMAINS = {f"slow{number}.test": Mode(delay_s=(4, 4)) for number in range(6)}
MESSAGES = 2 * len(DOMAINS)
HABITS = Habits(sessions=1, sizes=(1000,), domains=tuple(DOMAINS), many=0, null_senders=0)
OPEN = schemas.messages("admin").PARTITION_PHASE_OPEN
SETTINGS = {"pool": {"lease_ttl": "3s", "copies": 3}, "queue": {"in_doubt_wait": "120s"}}


def attempts(pool: MailPool) -> list[Attempt]:
    return [one for domain in DOMAINS for one in pool.servers[domain].attempts()]


def under_way(pool: MailPool, node: PoolNode) -> None:
    """Messages whose ends their server has and has not answered."""
    pool.crowd(HABITS, "late", nodes=[node]).run(MESSAGES)
    wait.until(lambda: sum(bool(one.dot) for one in attempts(pool)) == MESSAGES,
               "all are under way")


def shares(pool: MailPool, node: PoolNode) -> bool:
    """The others have what it takes now, and each of them may own some of it after it."""
    seen = pool.fresh(node)
    everywhere = [one for one in seen.partitions
                  if one.owner_id == seen.this_node.id and one.phase == OPEN and
                  len(one.in_sync_ids) == len(seen.members)]
    return len(everywhere) > 1


def in_doubt(node: PoolNode) -> list[dict]:
    """Of the mail in reach: what the stopped one has alone is not."""
    return node.queue_and_missing("--in-doubt")[0]


def owned_by(pool: MailPool, heir: PoolNode, messages: list[dict]) -> list[dict]:
    seen = pool.fresh(heir)
    own = {one.id for one in seen.partitions if one.owner_id == seen.this_node.id}
    return [one for one in messages if partition_of(one["id"]) in own]


def drains(pool: MailPool, asked: PoolNode, node_id: str) -> bool:
    """As another one knows; it owns nothing any more."""
    return any(one.id == node_id and one.draining and one.partitions_owned == 0
               for one in pool.fresh(asked).members)


def test_who_leaves_waits_until_the_owner_of_its_late_message_has_asked():
    with MailPool(3, DOMAINS, SETTINGS) as pool:
        leader = pool.start()
        leaver, heir = others_than(pool, leader)
        leaver_id = id_of(pool, leaver)
        for node in pool.nodes:
            wait.until(node.ready, f"{node.name} takes mail", 30)
        wait.until(lambda: shares(pool, leaver), "both others have copies")
        under_way(pool, leaver)
        at = time.monotonic()
        pool.pause(leaver)
        wait.until(given_away(pool, [leader, heir], [leaver_id], at), "the others own its mail", 30)
        doubts = wait.until(lambda: len(found := in_doubt(leader)) == MESSAGES and found,
                            "all are in doubt")
        unasked = owned_by(pool, heir, doubts)
        assert 0 < len(unasked) < MESSAGES

        # It hears of its own lateness from the leader, and nothing from the other one.
        pool.network.reset((leaver.host, heir.host))
        pool.go_on(leaver)
        wait.until(lambda: len(in_doubt(leader)) == len(unasked), "the leader has asked", 30)
        leaver.terminate()
        wait.until(lambda: drains(pool, leader, leaver_id), "it has nothing else to do")
        assert len(in_doubt(leader)) == len(unasked)
        pool.network.heal()
        wait.until(lambda: not heir.queue(), "the other one has asked", 30)
        assert leaver.wait_ended()
        assert len(attempts(pool)) == MESSAGES
