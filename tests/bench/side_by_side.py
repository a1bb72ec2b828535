#!/usr/bin/env python3
"""Postfix and Posthorse side by side: the same load, the same receiver, in turn, in one run.

Place     `./dev bench [--full]`. Load and receiver are Postfix's own smtp-source and smtp-sink.
Contract  Both queues are on the same disk, both sync before 250, both relay to one smtp-sink on
          loopback, log to a file and sign nothing. Rounds alternate (the machine's speed drifts);
          the table has medians, the ratios come last, and it can be pasted into docs/bench.md.
          accepted/s    messages by the time until smtp-source has its last 250
          delivered/s   messages by the time until smtp-sink has them all
          CPU           user and system time of the server's processes for a message, out and in
          p50, p99      end of data to 250, at the client, in a round of its own with 8 sessions
"""

import os
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from harness import postfix, wait
from harness.loader import Loader
from harness.node import TRUSTING, Node, merged, routes_to
from harness.postfix_root import PostfixRoot
from harness.processes import cpu_seconds, descendants

SESSIONS = 20
SIZE_BYTES = 4096
COLUMNS = ["accepted/s", "delivered/s", "CPU us/message", "p50 ms", "p99 ms"]
# Below this a clock tick of /proc (10 ms) would be seen in the CPU of a message.
MESSAGES, MESSAGES_FULL = 4000, 20000
ROUNDS, ROUNDS_FULL = 3, 7


@dataclass
class Server:
    name: str
    port: int
    pid: int


@dataclass
class Plan:
    messages: int
    rounds: int


def measure(root: PostfixRoot, sink: postfix.SmtpSink, server: Server, kept: bool,
            messages: int) -> list[float]:
    """One round: throughput and CPU by smtp-source, then latencies by a client of ours."""
    there = sink.count()
    cpu_before = cpu_seconds(descendants(server.pid))
    began = time.monotonic()
    postfix.smtp_source(root, server.port, postfix.Load(messages, SESSIONS, SIZE_BYTES, kept))
    accepted = time.monotonic()
    wait.until(lambda: sink.count() >= there + messages, f"{server.name} delivered all", 600)
    delivered = time.monotonic()
    cpu = cpu_seconds(descendants(server.pid)) - cpu_before
    waited = Loader(server.port, 8, SIZE_BYTES, kept).run(messages // 4).waited_s
    wait.until(lambda: sink.count() >= there + messages + len(waited), "the rest is delivered", 600)
    percentiles = statistics.quantiles(waited, n=100)
    return [messages / (accepted - began), messages / (delivered - began), cpu / messages * 1e6,
            percentiles[49] * 1e3, percentiles[98] * 1e3]


def rounds(root: PostfixRoot, sink: postfix.SmtpSink, servers: list[Server], kept: bool,
           plan: Plan) -> dict[str, list[float]]:
    """Medians of each server's columns; a first round warms up and does not count."""
    results: dict[str, list[list[float]]] = {server.name: [] for server in servers}
    for number in range(plan.rounds + 1):
        for server in servers:
            messages = plan.messages if number else plan.messages // 4
            row = measure(root, sink, server, kept, messages)
            print(f"  round {number} {server.name:<10} " +
                  "  ".join(f"{value:.1f}" for value in row), flush=True)
            if number:
                results[server.name].append(row)
    return {name: [statistics.median(column) for column in zip(*rows)]
            for name, rows in results.items()}


def table(title: str, medians: dict[str, list[float]]) -> str:
    lines = [f"\n### {title}\n", "| | " + " | ".join(COLUMNS) + " |",
             "|---|" + "---:|" * len(COLUMNS)]
    for name, row in medians.items():
        lines.append(f"| {name} | " + " | ".join(f"{value:.1f}" for value in row) + " |")
    ours, theirs = medians["Posthorse"], medians["Postfix"]
    ratios = [f"{a / b:.2f}" for a, b in zip(ours, theirs)]
    lines.append("| **Posthorse / Postfix** | " + " | ".join(ratios) + " |")
    return "\n".join(lines)


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} x {model[0] if model else 'CPU'}, "
            f"{memory:.0f} GiB, Linux {platform.release()}")


def run(root: PostfixRoot, scratch: Path, plan: Plan) -> None:
    with postfix.SmtpSink(root, scratch / "sink.log") as sink:
        settings = {"default_transport": f"smtp:[127.0.0.1]:{sink.port}",
                    "smtp_connection_cache_on_demand": "yes"}
        ours = Node(merged(routes_to({"sink.test": sink.port}), TRUSTING), folder=scratch / "node")
        with postfix.Postfix(root, scratch / "postfix", settings) as theirs, ours:
            servers = [Server("Postfix", theirs.port, theirs.pid),
                       Server("Posthorse", ours.ports["mx"], ours.pid)]
            print(f"Postfix {theirs.version()}, postconf -n:\n{theirs.postconf()}")
            tables = [table(title, rounds(root, sink, servers, kept, plan)) for title, kept in
                      (("A new connection for each message", False),
                       ("Connections kept", True))]
    print(f"\n{machine()}; {plan.messages} messages of {SIZE_BYTES} bytes a round, {SESSIONS} "
          f"sessions, medians of {plan.rounds} rounds in turn")
    print("\n".join(tables))


def main() -> int:
    plan = (Plan(MESSAGES_FULL, ROUNDS_FULL) if "--full" in sys.argv
            else Plan(MESSAGES, ROUNDS))
    # On the disk, not in a file system of memory: both queues are to sync for real.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch, PostfixRoot() as root:
        run(root, Path(scratch), plan)
    return 0


if __name__ == "__main__":
    sys.exit(main())
