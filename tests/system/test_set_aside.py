"""Mail of a data directory that went back: listed, taken into the queue by an operator, removed."""

import json
import shutil

import pytest

from harness import wait
from harness.crowd import Habits
from harness.mail_pool import MailPool
from harness.node import answer_of
from harness.pool import PoolNode


class Aside:
    """A pool of three; its first node came back with an old disk, where four messages lay alone.

    Of one copy each, so that nobody else had them; what is adopted has two.
    """

    def __init__(self, pool: MailPool) -> None:
        self.pool = pool
        self.node: PoolNode = pool.nodes[0]
        self.message_ids: dict[str, str] = {}  # by queue id
        self.old_node_id = ""

    def make(self) -> None:
        node = self.node
        self.pool.start()
        wait.until(node.ready, "the first node takes mail", 30)
        habits = Habits(sizes=(1000, 600_000), null_senders=0, many=0)
        sent = self.pool.crowd(habits, "aside", nodes=[node]).run(4)
        self.message_ids = {one.reply.rsplit(" ", 1)[1]: one.message_id for one in sent}
        self.old_node_id = self.pool.fresh(node).this_node.id
        self._go_back()

    def _go_back(self) -> None:
        node, snapshot = self.node, self.node.folder / "snapshot"
        node.kill()
        shutil.copytree(node.data, snapshot)
        node.launch()
        self.pool.settled()
        node.kill()
        shutil.rmtree(node.data)
        snapshot.rename(node.data)
        node.launch()
        node.wait_dead(60)
        assert "stranger" in node.tail(5), node.tail()
        node.configure({"pool": {"copies": 2}})
        node.launch()
        self.pool.settled(timeout_s=60)
        wait.until(node.ready, "it is back as a new node", 60)
        for other in self.pool.nodes[1:]:
            other.configure({"pool": {"copies": 2}})
            other.stop()
            other.start()
        wait.until(lambda: self.pool.fresh(node).copies == 2, "new mail gets two copies", 30)

    def run(self, *words: str):
        return answer_of("--config", str(self.node.config), "queue", *words)

    def listed(self) -> list[dict]:
        answer = self.run("ls", "--set-aside", "--json")
        assert answer.returncode in (0, 75), answer.stderr
        return [json.loads(line) for line in answer.stdout.splitlines()]

    def presences(self) -> set[str]:
        return {message["presence"] for message in self.listed()}

    def directories(self) -> list[str]:
        return sorted(path.name for path in (self.node.data / "set-aside").iterdir())

    def counted(self) -> float:
        return self.node.metrics()["posthorse_pool_set_aside_copies"]

    def audited(self, action: str) -> list[str]:
        lines = self.node.log.read_text().splitlines()
        return [line for line in lines if f"operator_action action={action} " in line]


@pytest.fixture
def aside():
    with MailPool(3, {"sink.test": "defer"}, {"pool": {"copies": 1}}) as pool:
        made = Aside(pool)
        made.make()
        yield made


def test_a_copy_is_listed_adopted_once_delivered_once_and_gone(aside):
    pool, old_ids = aside.pool, list(aside.message_ids)
    listed = aside.listed()
    assert [message["id"] for message in listed] == sorted(old_ids)
    assert aside.directories() == sorted({message["directory"] for message in listed})
    assert all(message["pending"] and message["why"] for message in listed)
    assert aside.counted() == 1

    # Whoever has the disk that went back might still come: nobody can tell what became of it.
    assert aside.presences() == {"unknown"}
    refused = aside.run("adopt", "--all")
    assert refused.returncode == 1 and "cannot be told" in refused.stdout
    assert len(aside.audited("adopt")) == 4
    pool.nodes[1].cli("node", "remove", aside.old_node_id, "--force", "--yes")
    wait.until(lambda: aside.presences() == {"gone"}, "the pool has given the old node up", 30)

    dry = aside.run("adopt", "--all", "--dry-run")
    assert dry.returncode == 0 and "-- 4 would be done, 0 not" in dry.stdout
    assert pool.nodes[1].queue() == [] and len(aside.listed()) == 4

    first, unwanted, *others = old_ids
    adopted = aside.run("adopt", first, "--json", "--reason", "asked by sales")
    assert adopted.returncode == 0, adopted.stdout + adopted.stderr
    new_id = json.loads(adopted.stdout)["adopted_as"]
    [message] = pool.nodes[2].queue()
    assert message["id"] == new_id != first
    assert message["message_id"].strip("<>") == aside.message_ids[first].strip("<>")
    history = pool.nodes[2].cli("queue", "show", new_id)
    assert f"adopted from {first} of {listed[0]['directory']}, 2 copies" in history
    again = aside.run("adopt", first)
    assert again.returncode == 1 and "not found" in again.stdout

    removed = aside.run("rm", "--set-aside", unwanted)
    assert removed.returncode == 0 and "1 done, 0 not" in removed.stdout
    assert sorted(message["id"] for message in aside.listed()) == sorted(others)
    assert aside.counted() == 1
    rest = aside.run("adopt", "--all")
    assert rest.returncode == 0 and "-- 2 done, 0 not" in rest.stdout
    assert aside.listed() == [] and aside.directories() == []
    wait.until(lambda: aside.counted() == 0, "the figure follows")
    assert not pool.fresh(aside.node).set_aside

    pool.set_modes("accept")
    pool.flush()
    pool.drain()
    wanted = {aside.message_ids[one].strip("<>") for one in (first, *others)}
    arrived = pool.servers["sink.test"].copies()
    assert {one: len(copies) for one, copies in arrived.items()} == dict.fromkeys(wanted, 1)
    done = [line for line in aside.audited("adopt") if "outcome=OUTCOME_DONE" in line]
    assert len(done) == 3 and 'reason="asked by sales"' in done[0]
    assert len(aside.audited("remove_set_aside")) == 1
