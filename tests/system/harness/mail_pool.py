"""A pool that mail goes through, with everything that the ledger wants to know of it.

Contract  Every domain has a `RecordingSink` of its own; bounces go to `box.test`. What is done to
          nodes by this class is in the log of faults. `verdict` compares what clients sent with
          what arrived, what is listed and what was done.
"""

import datetime
import email
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable

from harness import wait
from harness.crowd import Crowd, Habits
from harness.doubts import ever_in_doubt
from harness.ledger import Evidence, Rules, Verdict, judge
from harness.network import Host
from harness.node import merged
from harness.pool import Pool, PoolNode
from harness.recording_sink import Mode, RecordingSink
from harness.records import Dump, FaultLog, Notice, Queued, Sent

MAILBOX = "box.test"
# Retries soon enough for a proof; at most as many connections as a small machine likes.
QUICK = {"queue": {"min_retry_age": "1s", "max_retry_age": "3s", "delay_warning": "0s",
                   "in_doubt_wait": "4s"},
         "delivery": {"connections_max": 40, "connections_per_destination_max": 20,
                      "idle_connection": "1s"}}


QUEUE_ID = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{26}\b")


def utc_now() -> str:
    """As in the logs of nodes."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z"


def notices_in(mailbox: RecordingSink) -> list[Notice]:
    """What its messages say has failed, and of which message."""
    found = []
    for attempt in mailbox.attempts():
        if not attempt.arrived:
            continue
        report = email.message_from_bytes(mailbox.contents[attempt.message_id])
        about, failed = "", []
        for part in report.walk():
            if part.get_content_type() == "text/rfc822-headers":
                original = email.message_from_string(part.get_payload())
                about = original.get("Message-ID", "").strip("<> ")
            elif part.get("Final-Recipient") and part.get("Action") == "failed":
                failed.append(part["Final-Recipient"].split(";", 1)[1].strip())
        found.append(Notice(attempt, about, tuple(failed)))
    return found


DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's


def partition_of(queue_id: str) -> int:
    """48 bits of time, 32 of partition, 48 more."""
    number = 0
    for digit in queue_id:
        number = 32 * number + DIGITS.index(digit)
    return number >> 48 & 0xFFFF_FFFF


def queued(message: dict) -> Queued:
    pending = tuple(one["address"] for one in message["recipients"] if one["state"] == "pending")
    return Queued(message["id"], message["message_id"], pending, message["attempts_in_doubt"])


class MailPool(Pool):
    def __init__(self, size: int, domains: dict[str, str | Mode] | None = None,
                 settings: dict | None = None, small_windows: bool = False,
                 etcd: int = 0) -> None:
        self._domains = domains or {"sink.test": "accept"}
        self._small_windows = small_windows
        self.log = FaultLog()
        self.dumps: list[Dump] = []
        super().__init__(size, merged(QUICK, settings or {}), etcd)

    def make_servers(self) -> dict[str, RecordingSink]:
        gateway = self.network.gateway
        servers = {domain: RecordingSink(gateway, mode, small_window=self._small_windows)
                   for domain, mode in self._domains.items()}
        return {**servers, MAILBOX: RecordingSink(gateway, keep_content=True)}

    # ------------------------------------------------------------------ mail

    def doors(self, nodes: Iterable[PoolNode] | None = None) -> list[tuple[str, int]]:
        nodes = self.nodes if nodes is None else nodes
        return [(node.address, node.ports["mx"]) for node in nodes]

    def crowd(self, habits: Habits = Habits(), name: str = "crowd", seed: int = 1,
              nodes: Iterable[PoolNode] | None = None) -> Crowd:
        return Crowd(self.doors(nodes), habits, name, seed)

    def set_modes(self, mode: str | Mode) -> None:
        """Of all receiving servers but the mailbox."""
        for domain in self._domains:
            self.servers[domain].set_mode(mode)

    def running(self) -> list[PoolNode]:
        return [node for node in self.nodes if node.running()]

    # ------------------------------------------------------------------ faults

    def kill(self, *nodes: PoolNode) -> None:
        addresses = [node.address for node in nodes]
        self.log.begin("kill", *addresses)
        for node in nodes:
            node.kill()
        self.log.end("kill", *addresses)

    def leave(self, node: PoolNode, timeout_s: float = 130) -> float:
        """SIGTERM, and the seconds until it has ended with exit code 0."""
        self.log.begin("leave", node.address)
        began = time.monotonic()
        node.stop(timeout_s)
        self.log.end("leave", node.address)
        return time.monotonic() - began

    def destroy_disk(self, node: PoolNode) -> None:
        """Of a node that has ended; its next start is on an empty one."""
        shutil.rmtree(node.data)
        node.empty_disk()

    def pause(self, node: PoolNode) -> None:
        self.log.begin("pause", node.address)
        node.pause()

    def go_on(self, node: PoolNode) -> None:
        node.go_on()
        self.log.end("pause", node.address)

    def cut_off(self, *hosts: Host) -> None:
        """What happens to links is up to the caller; these lose peers by it."""
        self.log.begin("cut", *[host.address for host in hosts])

    def heal(self) -> None:
        self.network.heal()
        self.log.end("cut")

    # ------------------------------------------------------------------ what became of it

    def dump(self, node: PoolNode) -> Dump:
        at = time.monotonic()
        listed, missing = node.queue_and_missing()
        found = Dump(node.address, at, tuple(queued(message) for message in listed),
                     tuple(f"{part['partitions']} {part['reason']}" for part in missing))
        self.dumps.append(found)
        return found

    def believed_alive(self) -> set[str]:
        """Live members that no process is: until their lease ends they count as holders."""
        pools = [self.fresh(node) for node in self.running()]
        ours = {pool.this_node.id for pool in pools}
        return {member.id for pool in pools for member in pool.members
                if member.live and member.id not in ours}

    def copied(self, timeout_s: float = 90) -> float:
        """Waits until every message has its copies: seconds."""
        began = time.monotonic()

        lacking: dict[str, int] = {}

        def nothing_lacks() -> bool:
            lacking.update({node.name: node.status()["under_replicated"]
                            for node in self.running()})
            return not any(lacking.values()) and not self.believed_alive()

        try:
            wait.until(nothing_lacks, "every message has its copies", timeout_s, every_s=0.2)
        except wait.GaveUp:
            raise AssertionError(f"after {timeout_s:.0f} s messages lack copies: {lacking}\n"
                                 f"{self.described()}") from None
        return time.monotonic() - began

    def forget_the_dead(self) -> int:
        """An operator says that nodes whose disks are gone will never come back: how many."""
        leader = self.settled()
        ours = {self.fresh(node).this_node.id for node in self.running()}

        def ended() -> bool:
            return not any(member.live for member in self.fresh(leader).members
                           if member.id not in ours)

        wait.until(ended, "the leases of dead nodes end", 60)
        dead = [member.id for member in self.fresh(leader).members if member.id not in ours]
        for node_id in dead:
            leader.cli("node", "remove", node_id, "--force", "--yes")
        return len(dead)

    def owned(self, ids: Iterable[str]) -> dict[str, int]:
        """How many of these messages each node owns, by its name; empty: nobody does."""
        pool = self.fresh(self.running()[0])
        owners = {partition.id: partition.owner_name for partition in pool.partitions}
        return dict(Counter(owners.get(partition_of(one), "") for one in ids))

    def count(self, node: PoolNode, domain: str) -> int:
        """Messages for a domain, of what this node reaches of the pool."""
        summary, _ = node.summary_and_missing("--domain", domain)
        return summary["total"]["messages"]

    def flush(self) -> None:
        """Everything is due now: asked again while a part is just changing its owner."""
        def flushed() -> bool:
            self.running()[0].cli("queue", "flush")  # IncompleteError: not yet
            return True

        wait.until(flushed, "all of the queue is flushed", 60, every_s=0.5)

    def drain(self, timeout_s: float = 120) -> float:
        """Waits until no node lists anything: seconds."""
        began = time.monotonic()
        left: list[str] = []

        def empty() -> bool:
            dumps = [self.dump(node) for node in self.running()]
            left[:] = [f"{dump.node}: {len(dump.messages)} {' '.join(dump.missing)}"
                       for dump in dumps]
            return not any(dump.messages or dump.missing for dump in dumps)

        try:
            wait.until(empty, "every queue is empty", timeout_s, every_s=0.3)
        except wait.GaveUp:
            raise AssertionError(f"after {timeout_s:.0f} s the queue is not empty: "
                                 f"{'; '.join(left)}\n{self.described()}") from None
        return time.monotonic() - began

    def evidence(self, sent: Iterable[Sent]) -> Evidence:
        attempts = [attempt for domain in self._domains
                    for attempt in self.servers[domain].attempts()]
        return Evidence(list(sent), attempts, notices_in(self.servers[MAILBOX]), self.dumps,
                        self.log.whole(), self.log.minorities, ever_in_doubt(self.nodes))

    def verdict(self, sent: Iterable[Sent], rules: Rules = Rules()) -> Verdict:
        verdict = judge(self.evidence(sent), rules)
        verdict.broken[:5] = [self._with_logs(line) for line in verdict.broken[:5]]
        return verdict

    def _with_logs(self, line: str) -> str:
        """Followed by what nodes logged of the queue ids in it, and by what was done to them."""
        ids = QUEUE_ID.findall(line)
        logs = [(path.parent.name, path) for path in self.folder.glob("n*/node.log")]
        found = [f"    {text[:24]} {name}:{text[24:]}" for name, path in logs
                 for text in path.read_text(errors="replace").splitlines()
                 if any(one in text for one in ids)]
        storm = self.folder / "storm.log"
        if found and storm.exists():
            found += [f"    {text}" for text in storm.read_text().splitlines()]
        return "\n".join([f"{line} (moment {time.monotonic():.3f} is {utc_now()})",
                          *sorted(found)])
