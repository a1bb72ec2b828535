"""A pool of nodes as real processes, each on a host of its own, and what is known of it.

Contract  `Pool(5)` makes network, authority, certificates and configurations; nodes are launched
          by who uses it. They trust this process to submit on the port of kind `mx`, and deliver
          the domain sink.test to `sink`. `settled` waits until nodes agree; `watch` has seen every
          claim of every node since the start. With `etcd=3` they agree through an etcd of three
          members, on hosts of their own behind those of the nodes; it runs from `with` on.
Owner     `with Pool(...)`: at the end all processes are killed; after a failure the folder stays.
"""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from harness import wait
from harness.certificates import Certificates, make
from harness.claims import acts
from harness.etcd import Etcd
from harness.network import Host, Network
from harness.node import Node, merged, run_posthorse
from harness.sinks import Sink
from harness.watch import Watch

PEER_PORT = 9626


class Authority:
    """`posthorse pool ca`, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        run_posthorse("pool", "ca", "init", "--dir", str(folder))

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def issue(self, prefix: str, *names: str) -> dict[str, Path]:
        """A certificate, as settings of [pool]; without names it is the pool's."""
        path = self.folder / prefix
        options = [option for name in names for option in ("--name", name)]
        run_posthorse("pool", "ca", "issue", "--dir", str(self.folder), "--out", str(path),
                      *options)
        return {"ca_file": self.ca, "certificate_file": path.with_suffix(".pem"),
                "key_file": path.with_suffix(".key")}


def has_its_votes(pool) -> bool:
    """A GetPoolResponse: one, two, three, or of seven nodes five vote, and all of them live."""
    if pool.control == "etcd":
        return True  # nobody votes
    live = {member.id for member in pool.members if member.live and not member.draining}
    wanted = 5 if len(live) >= 7 else min(len(live), 3)
    return (not pool.voters_changing and len(pool.voter_ids) == wanted
            and live.issuperset(pool.voter_ids))


def agree_who_lives(pools) -> bool:
    """Whether these GetPoolResponses list the same live members, those that answered among them."""
    lists = {frozenset(member.id for member in pool.members if member.live) for pool in pools}
    return len(lists) == 1 and next(iter(lists)).issuperset(pool.this_node.id for pool in pools)


class PoolNode(Node):
    """A node on a host; its data may be replaced by an empty disk."""

    def __init__(self, host: Host, folder: Path, certificates: Certificates,
                 settings: dict) -> None:
        self.host = host
        self.name = folder.name
        self._settings = settings
        self._disks = 1
        super().__init__(settings, folder, certificates, host.address)

    def _defaults(self) -> dict:
        ours = {"host_name": f"{self.name}.posthorse.test",
                "pool": {"name": self.name, "address": self.address, "port": PEER_PORT}}
        return merged(super()._defaults(), ours)

    @property
    def socket(self) -> Path:
        return self.folder / "admin.sock"

    @property
    def peer_address(self) -> str:
        return f"{self.address}:{PEER_PORT}"

    def launch(self, wrapper: Iterable[str] = ()) -> None:
        super().launch([*self.host.wrapper, *wrapper])

    def configure(self, settings: dict) -> None:
        self._settings = merged(self._settings, settings)
        self.write_config(self._settings)

    def empty_disk(self) -> None:
        """The next start is that of a new machine under this name."""
        self._disks += 1
        self.use_disk(self.folder / f"data-{self._disks}")

    def use_disk(self, data: Path) -> None:
        """From its next start on."""
        self.data = data
        self.write_config(self._settings)

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


class Pool:
    folder_parent = "/tmp"

    def __init__(self, size: int, settings: dict | None = None, etcd: int = 0) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ph-", dir=self.folder_parent))
        self.network = self.make_network(size)
        self.servers = self.make_servers()
        self.watch = Watch()
        self.authority = Authority(self.folder / "ca")
        self.certificate = self.authority.issue("pool")
        self._tls = make(self.folder / "tls")
        self.nodes: list[PoolNode] = []
        hosts = list(self.network.hosts)
        self.etcd = self._make_etcd(etcd) if etcd else None
        self._everybody = [f"{host.address}:{PEER_PORT}" for host in hosts]
        finds = self.etcd.settings if self.etcd else {"join": self._everybody}
        shared = {"pool": {**finds, "expect": size, "lease_ttl": "3s"}}
        for host in hosts:
            self.add_node(host, merged(shared, settings or {}))

    def decide_by_themselves(self) -> None:
        """From their next start on, unless their pool is on etcd already: where it is they know."""
        for node in self.nodes:
            node.configure({"pool": {"control": "embedded", "join": self._everybody}})

    def _make_etcd(self, size: int) -> Etcd:
        return Etcd([self.network.add_host() for _ in range(size)], self.folder / "etcd")

    def make_network(self, size: int) -> Network:
        return Network(size)

    def make_servers(self) -> dict[str, Sink]:
        """By the domain whose mail they receive."""
        return {"sink.test": Sink(keep_content=False, host=self.network.gateway)}

    @property
    def sink(self) -> Sink:
        return self.servers["sink.test"]

    def add_node(self, host: Host, settings: dict) -> PoolNode:
        """With the pool's certificate and join list unless `settings` say otherwise."""
        ours = {
            "pool": self.certificate,
            "intake": {"trusted_networks": [f"{self.network.gateway}/32"],
                       "sessions_per_client_max": 1000},
            "delivery": {"route": [
                {"domain": domain, "next_hop": f"smtp:[{self.network.gateway}]:{server.port}"}
                for domain, server in self.servers.items()]},
        }
        node = PoolNode(host, self.folder / f"n{len(self.nodes) + 1}", self._tls,
                        merged(ours, settings))
        self.nodes.append(node)
        self.watch.add(node.socket)
        return node

    def __enter__(self) -> "Pool":
        for server in self.servers.values():
            server.__enter__()
        if self.etcd:
            self.etcd.start()
        return self

    def __exit__(self, kind, *_) -> None:
        self.watch.__exit__()
        for node in self.nodes:
            if node.running():
                node.kill()
        for server in self.servers.values():
            server.__exit__()
        if self.etcd:
            self.etcd.close()
        self.network.close()
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            print(f"the pool's folder is kept: {self.folder}")
            for node in self.nodes:
                print(f"last lines of {node.name}:\n{node.tail(12)}")
            for member in self.etcd.members if self.etcd else []:
                print(f"last lines of etcd's {member.name}:\n{member.tail()}")

    # ------------------------------------------------------------------ what nodes say

    def answer(self, node: PoolNode, since: float = 0):
        return self.watch.answer(node.socket, since)

    def fresh(self, node: PoolNode, timeout_s: float = 10):
        """Its GetPoolResponse, asked for after this call."""
        since = time.monotonic()
        return wait.until(lambda: self.answer(node, since), f"{node.name} answers", timeout_s)

    def node_of(self, node_id: str) -> PoolNode | None:
        for node in self.nodes:
            pool = self.answer(node)
            if pool and pool.this_node.id == node_id:
                return node
        return None

    def settled(self, nodes: Iterable[PoolNode] | None = None, timeout_s: float = 30) -> PoolNode:
        """Waits until the nodes are live members of one pool under one leader: the leader.

        On etcd nobody leads: one of them, when all say the same of who lives.
        """
        since = time.monotonic()
        nodes = self.nodes if nodes is None else list(nodes)

        def leader() -> PoolNode | None:
            pools = self.watch.answers([node.socket for node in nodes], since)
            if not pools or not all(acts(pool) for pool in pools):
                return None
            views = {(pool.pool_id, pool.term, pool.leader_id, pool.control) for pool in pools}
            if len(views) > 1:
                return None
            if pools[0].control == "etcd":
                return nodes[0] if agree_who_lives(pools) else None
            return self.node_of(pools[0].leader_id)

        try:
            return wait.until(leader, f"{', '.join(n.name for n in nodes)} agree", timeout_s)
        except wait.GaveUp as gave_up:
            raise AssertionError(f"{gave_up}\n{self.described()}") from None

    def votes_settled(self, timeout_s: float = 30) -> None:
        """Waits until who serves has the votes: of a pool of three with two, both are needed."""
        since = time.monotonic()

        def settled() -> bool:
            pools = self.watch.answers([node.socket for node in self.nodes], since)
            return bool(pools) and all(has_its_votes(pool) for pool in pools)

        try:
            wait.until(settled, "the votes are settled", timeout_s)
        except wait.GaveUp as gave_up:
            raise AssertionError(f"{gave_up}\n{self.described()}") from None

    def described(self) -> str:
        """How each node sees the pool, for a failure's text."""
        lines = []
        for node in self.nodes:
            pool = self.answer(node, time.monotonic() - 3)
            if pool is None:
                lines.append(f"{node.name}: no answer; {'runs' if node.running() else 'ended'}")
                continue
            own = pool.this_node
            members = " ".join(f"{m.name}({m.id[:4]}{'' if m.live else ' away'}"
                               f"{' draining' if m.draining else ''}"
                               f"{' voter' if m.voter else ''})" for m in pool.members)
            lines.append(
                f"{node.name}: {own.id[:4]}/{own.incarnation} {own.phase} "
                f"[{own.waits_for}] lease {own.lease_left.ToMilliseconds()} ms, pool "
                f"{pool.pool_id[:8]} version {pool.version} term {pool.term} leader "
                f"{pool.leader_id[:4]}: {members}")
        return "\n".join(lines + self._short())

    def _short(self) -> list[str]:
        """Partitions that wait for an owner or for copies, as the newest answer has them."""
        answers = [pool for node in self.nodes if (pool := self.answer(node))]
        if not answers:
            return []
        newest = max(answers, key=lambda pool: pool.version)
        names = {member.id: member.name for member in newest.members}
        return [f"partition {one.id} epoch {one.epoch} {'closing' if one.phase == 2 else 'open'}"
                f"{' solo' if one.solo else ''}: owner {one.owner_name or 'none'}, in sync "
                f"{' '.join(names.get(node_id, node_id[:4]) for node_id in one.in_sync_ids)}"
                for one in newest.partitions if one.short_of_copies or not one.owner_id]

    def launch(self, nodes: Iterable[PoolNode] | None = None) -> None:
        for node in self.nodes if nodes is None else nodes:
            node.launch()

    def start(self, timeout_s: float = 60) -> PoolNode:
        self.launch()
        return self.settled(timeout_s=timeout_s)
