"""Memory has bounds: large messages stream, and a deferred message is no object in memory.

1. 20 clients submit 50 MB each at the same time, and a server receives them: the peak of the node's
   resident memory (VmHWM) stays below 200 MB.
2. 100,000 deferred messages: the node's resident memory is within 40 MB of what it is with an empty
   queue, both after the same work (as many messages accepted) and freshly started.
"""

import tempfile
import threading
from pathlib import Path

from harness import postfix, wait
from harness.node import TRUSTING, Node, merged, routes_to
from harness.postfix_root import PostfixRoot
from harness.rawclient import send_large
from proofs.figures import Figures, require

LARGE_BYTES = 50_000_000
LARGE_AT_ONCE = 20
PEAK_MAX_KIB = 200_000_000 // 1024
DEFERRED = 100_000
GROWTH_MAX_KIB = 40_000_000 // 1024
KEEP_DEFERRED = {"queue": {"min_retry_age": "1h", "max_retry_age": "2h"}}


def large_messages(root: PostfixRoot, scratch: Path, figures: Figures) -> None:
    with postfix.SmtpSink(root, scratch / "sink.log") as sink:
        with Node(merged(routes_to({"sink.test": sink.port}), TRUSTING)) as node:
            before = node.memory_kib("VmHWM")
            replies: list[str] = []
            threads = [threading.Thread(target=lambda: replies.append(
                send_large(node.ports["mx"], LARGE_BYTES))) for _ in range(LARGE_AT_ONCE)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(300)
            require(len(replies) == LARGE_AT_ONCE and all(r.startswith("250") for r in replies),
                    f"not every large message was taken: {replies}")
            wait.until(lambda: not node.queue(), "the large messages are delivered", 300, 0.2)
            peak = node.memory_kib("VmHWM")
    figures.add("50 MB messages at once", LARGE_AT_ONCE)
    figures.add("peak of the idle node", f"{before / 1024:.0f} MiB")
    figures.add("peak with them, in and out", f"{peak / 1024:.0f} MiB (below 190.7 = 200 MB)")
    require(peak < PEAK_MAX_KIB, f"the node's peak was {peak} KiB")


def fill(root: PostfixRoot, node: Node, messages: int) -> None:
    postfix.smtp_source(root, node.ports["mx"],
                        postfix.Load(messages, sessions=20, size_bytes=1000, kept=True))


def settled_memory_kib(node: Node) -> int:
    """Resident memory once it no longer changes."""
    seen: list[int] = []

    def settled() -> bool:
        seen.append(node.memory_kib())
        return len(seen) > 10 and max(seen[-10:]) - min(seen[-10:]) < 1024

    wait.until(settled, "memory settles", 120, every_s=0.2)
    return seen[-1]


def after_load(root: PostfixRoot, scratch: Path, sink_options: tuple[str, ...],
               left: int) -> tuple[int, int]:
    """Memory after DEFERRED messages of which `left` stay queued; and of the node started anew."""
    with postfix.SmtpSink(root, scratch / "sink.log", sink_options) as sink:
        settings = merged(merged(routes_to({"sink.test": sink.port}), TRUSTING), KEEP_DEFERRED)
        with Node(settings) as node:
            fill(root, node, DEFERRED)
            wait.until(lambda: holds(node, left), f"{left} messages stay queued", 600, 0.5)
            worked = settled_memory_kib(node)
            node.stop()
            node.start()
            wait.until(lambda: holds(node, left), "the queue is back", 120, 0.2)
            return worked, settled_memory_kib(node)


def holds(node: Node, messages: int) -> bool:
    """Whether so many messages are queued and none of them is being delivered."""
    status = node.status()
    return int(status["messages"]) == messages and int(status["active"]) == 0


def deferred_messages(root: PostfixRoot, scratch: Path, figures: Figures) -> None:
    empty = after_load(root, scratch, (), left=0)
    full = after_load(root, scratch, ("-r", "rcpt"), left=DEFERRED)
    figures.add("deferred messages", DEFERRED)
    for name, without, with_them in zip(("after the same work", "freshly started"), empty, full):
        figures.add(f"{name}: empty, deferred, growth",
                    f"{without / 1024:.0f}, {with_them / 1024:.0f}, "
                    f"{(with_them - without) / 1024:.0f} MiB (within 38.1 = 40 MB)")
    for without, with_them in zip(empty, full):
        require(with_them - without < GROWTH_MAX_KIB, f"{without} KiB grew to {with_them} KiB")


def main(full: bool) -> None:
    figures = Figures("memory")
    faults = []
    with tempfile.TemporaryDirectory() as scratch, PostfixRoot() as root:
        for part in (large_messages, deferred_messages):
            try:
                part(root, Path(scratch), figures)
            except AssertionError as fault:
                faults.append(str(fault))
    figures.show()
    require(not faults, "\n".join(faults))
