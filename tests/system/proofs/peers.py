"""What others may do at the peer port: nothing, unless they are who they say.

Strangers of every kind speak to a pool that runs: without a certificate, with a wrong one, with
somebody else's name, pool, incarnation or epoch, and real nodes that belong elsewhere. Each is
refused for the reason that is its own, and the pool stays as it was.
"""

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import grpc

from harness import wait
from harness.claims import acts, value_of
from harness.peer import METHOD, SHARED_NAME, Identity, Peer, call
from harness.pool import PEER_PORT, Authority, Pool, PoolNode
from proofs.figures import Figures, require

Code = grpc.StatusCode
REASONS = {"other_pool", "not_a_member", "stale_incarnation", "wrong_node", "malformed"}
OTHER_METHODS = ["/posthorse.v1.Admin/GetPool", "/posthorse.v1.Admin/GetStatus",
                 "/posthorse.v1.Admin/RemoveMember", "/grpc.health.v1.Health/Check",
                 "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]


class Unmoved:
    """Whatever is said inside this `with`: the pool is afterwards what it was before."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def _state(self) -> list:
        seen = [self._pool.fresh(node) for node in self._pool.nodes]
        return [(one.pool_id, one.pool_incarnation, one.version, one.term, one.leader_id,
                 value_of(one)) for one in seen]

    def __enter__(self) -> None:
        self._pool.settled()
        self._before = []
        wait.until(self._rests, "the pool comes to rest", 60, every_s=1)

    def _rests(self) -> bool:
        before, self._before = self._before, self._state()
        return before == self._before

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self._pool.settled()
            after = self._state()
            require(after == self._before, f"the pool changed:\n{self._before}\n{after}")


class Answers:
    """Counts answers that were as expected, and keeps those that were not."""

    def __init__(self) -> None:
        self.right = 0
        self.wrong: list[str] = []

    def expect(self, what: str, expected: set[Code], got: tuple[Code, str]) -> None:
        if got[0] in expected:
            self.right += 1
        else:
            self.wrong.append(f"{what}: {got[0].name} ({got[1]}), not "
                              f"{' or '.join(code.name for code in expected)}")

    def require(self) -> None:
        require(not self.wrong, "\n".join(self.wrong))


def expired_identity(authority: Authority, folder: Path) -> Identity:
    """Signed by the authority, and over since yesterday."""
    key, request, chain = folder / "old.key", folder / "old.csr", folder / "old.pem"
    for command in (
            ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key],
            ["req", "-new", "-key", key, "-subj", f"/CN={SHARED_NAME}", "-out", request],
            ["x509", "-req", "-in", request, "-CA", authority.ca, "-CAkey",
             authority.folder / "ca.key", "-CAcreateserial", "-days", "-1", "-out", chain]):
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True)
    return Identity(authority.ca, chain, key)


# ------------------------------------------------------------------ before a message is read

def handshakes(pool: Pool, figures: Figures) -> None:
    """Who shows no certificate of the authority says nothing to anybody."""
    other = Authority(pool.folder / "other-ca")
    theirs = Identity.of(other.issue("pool"))
    strangers = {
        "no certificate": Identity(pool.authority.ca),
        "of another authority": Identity(pool.authority.ca, theirs.certificate, theirs.key),
        "expired": expired_identity(pool.authority, pool.folder),
    }
    answers = Answers()
    with member_peer(pool) as peer, Unmoved(pool):
        hello = peer.request(hello={"asked_at": pool.nodes[0].peer_address})
        for node in pool.nodes:
            for name, identity in strangers.items():
                with identity.channel(node.peer_address) as channel:
                    answers.expect(name, {Code.UNAVAILABLE}, call(channel, hello))
            with grpc.insecure_channel(node.peer_address) as channel:
                answers.expect("in clear", {Code.UNAVAILABLE}, call(channel, hello))
            for octets in (b"EHLO stranger.test\r\n", bytes(range(256)) * 64,
                           b"\x16\x03\x01\xff\xff" + bytes(100)):
                answers.expect("garbage", {Code.UNAVAILABLE}, (throw(node, octets), ""))
        require(not peer.heard, f"a stranger was answered: {peer.heard}")
        answers.expect("the pool's own", {Code.OK}, peer.send(pool.nodes[0].peer_address, hello))
        peer.hears("hello_reply")
    answers.require()
    figures.add("refused before a message is read", answers.right - 1)


def throw(node: PoolNode, octets: bytes) -> Code:
    """Octets that are no handshake; whether the node hangs up."""
    with socket.create_connection((node.address, PEER_PORT), timeout=30) as connection:
        try:
            connection.sendall(octets)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
        except ConnectionError:
            pass
        except TimeoutError:
            return Code.DEADLINE_EXCEEDED
    return Code.UNAVAILABLE


def member_peer(pool: Pool, name: str = "stranger") -> Peer:
    """A peer with the pool's certificate that says it is of the pool; no member yet."""
    peer = Peer(pool.network.gateway, Identity.of(pool.certificate), name)
    seen = pool.fresh(pool.settled())
    peer.pool = (seen.pool_id, seen.pool_incarnation)
    return peer


# ------------------------------------------------------------------ headers

def headers(pool: Pool, figures: Figures) -> None:
    """Who speaks of another pool, as another node, or not at all as one should."""
    answers = Answers()
    with member_peer(pool) as peer, Unmoved(pool):
        leader = pool.settled()
        member = bytes.fromhex(pool.fresh(leader).this_node.id)
        node = next(node for node in pool.nodes if node is not leader)
        seen = pool.fresh(leader)
        counter, word = incarnation_of(peer, node, member)
        renewal_of = {"sent_ms": 1, "acted_on": seen.version, "facts": {"name": "x"}}
        stale = {Code.FAILED_PRECONDITION}
        cases = [
            ("not a member", {Code.PERMISSION_DENIED}, peer.header()),
            ("no pool", {Code.PERMISSION_DENIED}, peer.header(pool_id="", pool_incarnation=0)),
            ("another pool", stale, peer.header(pool_id="0" * 26)),
            ("an earlier incarnation of the pool", stale,
             peer.header(pool_incarnation=seen.pool_incarnation - 1)),
            ("for another node", stale, peer.header(to=peer.node_id)),
            ("an earlier start of a member", stale, peer.header(
                **{"from": member}, incarnation={"counter": counter - 1, "random": word})),
            ("in the receiver's own name", stale, peer.header(
                **{"from": bytes.fromhex(pool.fresh(node).this_node.id)})),
            ("the same start, another random", stale, peer.header(
                **{"from": member}, incarnation={"counter": counter, "random": word ^ 1})),
        ]
        for what, expected, header in cases:
            answers.expect(what, expected, peer.send(node.peer_address,
                                                     peer.request(header, renew=renewal_of)))
        malformed(peer, node, answers)
        counted = refusals(node)
        require(counted.keys() >= REASONS, f"refusals that were counted: {counted}")
    answers.require()
    figures.add("headers and messages refused, each for its reason", answers.right)
    figures.add("  counted by the metrics", f"{sum(counted.values()):.0f}")


def refusals(node: PoolNode) -> dict[str, float]:
    """What a node's metrics count, by reason."""
    prefix = 'posthorse_pool_refused_messages_total{reason="'
    return {name[len(prefix):-2]: value for name, value in node.metrics().items()
            if name.startswith(prefix) and value}


def incarnation_of(peer: Peer, node: PoolNode, member: bytes) -> tuple[int, int]:
    """What the pool knows of a member, from the answer to a greeting in its name."""
    header = peer.header(**{"from": member})
    peer.send(node.peer_address, peer.request(header, hello={"asked_at": node.peer_address}))
    known = peer.hears("hello_reply", matching=lambda one: one.is_member).hello_reply.incarnation
    return known.counter, known.random


def malformed(peer: Peer, node: PoolNode, answers: Answers) -> None:
    wrong = {Code.INVALID_ARGUMENT}
    hello = {"asked_at": node.peer_address}
    for what, header in {
            "a short id": peer.header(**{"from": b"../"}),
            "no id": peer.header(**{"from": b""}),
            "a long receiver": peer.header(to=bytes(17)),
            "an address that is none": peer.header(address="unix:/etc/passwd"),
            "no address": peer.header(address=""),
            "a long name": peer.header(name="n" * 300),
            "a long pool id": peer.header(pool_id="p" * 65)}.items():
        answers.expect(what, wrong, peer.send(node.peer_address,
                                              peer.request(header, hello=hello)))
    answers.expect("no message", wrong, peer.send(node.peer_address, peer.request()))
    answers.expect("many addresses", wrong, peer.send(
        node.peer_address, peer.request(hello={**hello, "known": ["192.0.2.1:1"] * 200})))
    answers.expect("5 MB", {Code.RESOURCE_EXHAUSTED}, peer.send(
        node.peer_address, peer.request(estranged={"why": "x" * 5_000_000})))
    # What gRPC says of it, differs by its version.
    answers.expect("no protobuf", wrong | {Code.INTERNAL, Code.UNIMPLEMENTED},
                   peer.send(node.peer_address, b"\xff" * 9))


def other_doors(pool: Pool, figures: Figures) -> None:
    """Operators' calls are not served to peers, nor peers' to operators."""
    answers = Answers()
    with Identity.of(pool.certificate).channel(pool.nodes[0].peer_address) as channel:
        for method in OTHER_METHODS:
            answers.expect(method, {Code.UNIMPLEMENTED}, call(channel, b"", method))
    with grpc.insecure_channel(f"unix:{pool.nodes[0].socket}") as channel:
        answers.expect(METHOD, {Code.UNIMPLEMENTED}, call(channel, b"", METHOD))
    answers.require()
    figures.add("methods of the other port refused", answers.right)


# ------------------------------------------------------------------ as a member

def proposals(pool: Pool, figures: Figures) -> None:
    """A member that owns something asks for what it may not have."""
    refused = 0
    with member_peer(pool, "puppet") as peer:
        leader, mine = becomes_member(pool, peer)
        theirs = next(one for one in pool.fresh(leader).partitions
                      if one.owner_id and one.owner_id != peer.node_id.hex())
        partition = {"partition": mine.id, "node_id": peer.node_id}
        later = peer.header(incarnation={"counter": 9, "random": 9})
        asked = [
            (None, {"retire": {"partition": mine.id, "epoch": mine.epoch - 1}}),
            (None, {"retire": {"partition": mine.id, "epoch": mine.epoch + 7}}),
            (None, {"add_holder": {**partition, "epoch": mine.epoch - 1}}),
            (None, {"drop_holder": {**partition, "epoch": mine.epoch + 7}}),
            (None, {"drop_holder": {**partition, "epoch": mine.epoch}}),
            (None, {"hand_over": {"partition": theirs.id, "epoch": theirs.epoch,
                                  "node_id": peer.node_id}}),
            (None, {"close": theirs.id}),
            (None, {"open": {"in_sync": [peer.node_id]}}),
            (None, {"evict": {"ended": [{"node_id": bytes.fromhex(theirs.owner_id)}]}}),
            (None, {"start": {"node_id": bytes(range(16)),
                              "incarnation": {"counter": 1, "random": 1},
                              "facts": {"name": "x", "address": peer.address}}}),
            # Last: the pool hears of a later start, and the earlier one is stale from then on.
            (later, {"add_holder": {**partition, "epoch": mine.epoch}}),
        ]
        for number, (header, change) in enumerate(asked, 1):
            peer.renew(leader.peer_address, pool.fresh(leader).version)
            answer = peer.propose(leader.peer_address, number, header, **change)
            require(answer.HasField("error"), f"proposal {change} was not refused")
            refused += 1
        seen = {one.id: (one.owner_id, one.epoch, list(one.in_sync_ids))
                for one in pool.fresh(leader).partitions}
        require(seen.get(theirs.id) == (theirs.owner_id, theirs.epoch, list(theirs.in_sync_ids)),
                "a partition changed by what was refused")
        code, _ = peer.send(leader.peer_address, peer.request(heartbeat={"term": 1}))
        require(code == Code.FAILED_PRECONDITION, f"an earlier start was heard: {code}")
    gone = peer.node_id.hex()
    wait.until(lambda: not any(one.id == gone and one.live
                               for one in pool.fresh(pool.settled()).members),
               "who does not renew is evicted", 30)
    pool.settled().cli("node", "remove", gone, "--force", "--yes")
    figures.add("proposals refused, with an answer", refused)


def becomes_member(pool: Pool, peer: Peer) -> tuple[PoolNode, object]:
    """Joins, and returns the leader and a partition that is the peer's."""
    leader = pool.settled()
    peer.join(leader.peer_address)
    own = peer.node_id.hex()

    def owned():
        seen = pool.fresh(leader)
        peer.renew(leader.peer_address, seen.version)
        return next((one for one in seen.partitions if one.owner_id == own and not one.solo), None)

    return leader, wait.until(owned, "the peer owns a partition", 10)


# ------------------------------------------------------------------ real nodes from elsewhere

def strangers(pool: Pool, figures: Figures) -> None:
    """A node with another authority, and one that is of another pool already."""
    everybody = [node.peer_address for node in pool.nodes]
    other = Authority(pool.folder / "elsewhere")
    foreign = stranger(pool, {"pool": {**other.issue("pool"), "join": everybody, "expect": 0}})
    alone = stranger(pool, {"pool": {"expect": 1}})
    alone.configure({"pool": {"join": [alone.peer_address]}})
    alone.start()
    own_pool = pool.fresh(alone).pool_id
    alone.stop()
    alone.configure({"pool": {"join": everybody + [alone.peer_address]}})
    with Unmoved(only(pool, foreign, alone)):
        at = time.monotonic()
        foreign.launch()
        alone.launch()
        wait.until(lambda: time.monotonic() > at + 6, "both have tried for a while", 10)
        seen, lost = pool.fresh(alone), pool.fresh(foreign)
        require(seen.pool_id == own_pool and len(seen.members) == 1,
                f"a node of another pool left it:\n{pool.described()}")
        require(not lost.pool_id and not acts(lost) and lost.this_node.waits_for != "",
                f"a node of another authority:\n{pool.described()}")
        require(foreign.http("/readyz")[0] != 200, "a node without a pool is ready")
        require("certificate" in foreign.tail(200).lower(),
                f"it does not say why it is no member:\n{foreign.tail()}")
        foreign.stop()
        alone.stop()
    pool.nodes = [node for node in pool.nodes if node not in (foreign, alone)]
    figures.add("nodes from elsewhere that stayed outside", 2)


def stranger(pool: Pool, settings: dict) -> PoolNode:
    return pool.add_node(pool.network.add_host(), settings)


def only(pool: Pool, *without: PoolNode) -> Pool:
    """The same pool, seen without some nodes."""
    seen = object.__new__(Pool)
    seen.__dict__.update(pool.__dict__)
    seen.nodes = [node for node in pool.nodes if node not in without]
    return seen


# ------------------------------------------------------------------ renewal

def renewal(pool: Pool, figures: Figures) -> None:
    """A file that is no certificate is refused and named; a good one is taken without a restart."""
    node = pool.settled()
    own = {key: pool.folder / f"own-{path.name}" for key, path in pool.certificate.items()}
    for key, path in pool.certificate.items():
        shutil.copy(path, own[key])
    node.configure({"pool": own})
    node.stop()
    node.start()
    pool.settled()
    before = shown_certificate(pool, node)
    with Unmoved(pool):
        own["certificate_file"].write_text("-----BEGIN CERTIFICATE-----\nhorse\n")
        failed = refusal_of(lambda: node.cli("reload"))
        require("exited 1" in failed and str(own["certificate_file"]) in failed,
                f"reload with a garbage certificate said: {failed}")
        require(shown_certificate(pool, node) == before, "garbage changed what is shown")
        renewed = pool.authority.issue("renewed")
        for key in ("key_file", "certificate_file"):
            shutil.copy(renewed[key], own[key])
        node.cli("reload")
        wait.until(lambda: shown_certificate(pool, node) != before, "the new one is shown", 10)
    # And peers take it: one that starts anew makes new connections.
    peer = next(other for other in pool.nodes if other is not node)
    peer.stop()
    peer.start()
    pool.settled()
    figures.add("certificate: garbage refused and named, renewal taken", "without a restart")


def refusal_of(command: Callable[[], object]) -> str:
    try:
        command()
    except AssertionError as refused:
        return str(refused)
    raise AssertionError("a command that must fail did not")


def shown_certificate(pool: Pool, node: PoolNode) -> bytes:
    context = ssl.create_default_context(cafile=str(pool.authority.ca))
    context.check_hostname = False
    context.load_cert_chain(pool.certificate["certificate_file"], pool.certificate["key_file"])
    with socket.create_connection((node.address, PEER_PORT), timeout=10) as connection:
        with context.wrap_socket(connection) as channel:
            return channel.getpeercert(binary_form=True)


# ------------------------------------------------------------------ one certificate a node

def names(figures: Figures) -> None:
    """certificates = "node": nobody speaks as somebody else."""
    answers = Answers()
    with Pool(2, {"pool": {"certificates": "node"}}) as pool:
        for node in pool.nodes:
            node.configure({"pool": pool.authority.issue(node.name, node.name)})
        pool.start()
        identity = Identity.of(pool.authority.issue("intruder", "intruder"))
        with Peer(pool.network.gateway, identity, "intruder") as peer, Unmoved(pool):
            target = pool.nodes[0].peer_address
            hello = {"asked_at": target}
            channel = identity.channel(target, pool.nodes[0].name)
            own, stolen = peer.header(), peer.header(name=pool.nodes[1].name)
            answers.expect("its own name", {Code.OK},
                           call(channel, peer.request(own, hello=hello)))
            answers.expect("another's name", {Code.PERMISSION_DENIED},
                           call(channel, peer.request(stolen, hello=hello)))
            answers.expect("no name", {Code.PERMISSION_DENIED},
                           call(channel, peer.request(peer.header(name=""), hello=hello)))
            channel.close()
    answers.require()
    figures.add("names that the certificate does not carry, refused", answers.right - 1)


def main(full: bool) -> None:
    figures = Figures("the peer port")
    with Pool(3) as pool:
        pool.start()
        for part in (handshakes, headers, other_doors, proposals, strangers, renewal):
            part(pool, figures)
        overlaps = pool.watch.history.overlaps()
        require(not overlaps, "\n".join(overlaps[:20]))
    names(figures)
    figures.show()
