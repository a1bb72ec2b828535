"""A peer that is not Posthorse: speaks to the peer ports of a pool, and hears what is sent to it.

Contract  `Peer` has a node id, a name and an address of its own (`gateway` of the network), where
          it takes messages as a node would. `send` returns the status of the call; whatever comes
          back later is a message of its own, in `heard`.
"""

import os
import threading
import time
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

from harness import schemas  # before grpc: it sets up gRPC's environment
from harness import wait
from harness.ports import free_port

import grpc

METHOD = "/posthorse.v1.Pool/Deliver"
SHARED_NAME = "posthorse-pool"  # of the certificates of `posthorse pool ca issue`


@dataclass(frozen=True)
class Identity:
    """What a peer shows in its TLS handshake, and whom it believes."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def of(cls, settings: dict[str, Path]) -> "Identity":
        """Of settings as `Authority.issue` makes them."""
        return cls(settings["ca_file"], settings["certificate_file"], settings["key_file"])

    def channel(self, address: str, name: str = SHARED_NAME) -> grpc.Channel:
        shown = [file.read_bytes() if file else None for file in (self.key, self.certificate)]
        credentials = grpc.ssl_channel_credentials(self.ca.read_bytes(), *shown)
        return grpc.secure_channel(address, credentials,
                                   [("grpc.ssl_target_name_override", name)])


def call(channel: grpc.Channel, request, method: str = METHOD,
         timeout_s: float = 5) -> tuple[grpc.StatusCode, str]:
    """One call: its status and what it says. `request`: a message, or octets as they are."""
    octets = request if isinstance(request, bytes) else request.SerializeToString()
    try:
        channel.unary_unary(method)(octets, timeout=timeout_s)
    except grpc.RpcError as error:
        return error.code(), error.details() or ""
    return grpc.StatusCode.OK, ""


class Peer:
    def __init__(self, host: str, identity: Identity, name: str = "stranger") -> None:
        self.schema = schemas.messages("pool")
        self.node_id = os.urandom(16)
        self.incarnation = (1, int.from_bytes(os.urandom(8), "little"))
        self.name = name
        self.pool: tuple[str, int] = ("", 0)
        self.heard: list = []
        self._port = free_port()
        self.address = f"{host}:{self._port}"
        self.identity = identity
        self._channels: dict[str, grpc.Channel] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> "Peer":
        handler = grpc.method_handlers_generic_handler("posthorse.v1.Pool", {
            "Deliver": grpc.unary_unary_rpc_method_handler(
                self._take, self.schema.DeliverRequest.FromString,
                self.schema.DeliverResponse.SerializeToString)})
        self._server = grpc.server(futures.ThreadPoolExecutor(2), [handler])
        shown = [(self.identity.key.read_bytes(), self.identity.certificate.read_bytes())]
        self._server.add_secure_port(self.address, grpc.ssl_server_credentials(
            shown, self.identity.ca.read_bytes(), require_client_auth=True))
        self._server.start()
        return self

    def __exit__(self, *_) -> None:
        self._server.stop(0).wait(10)
        for channel in self._channels.values():
            channel.close()

    def _take(self, request, _context):
        with self._lock:
            self.heard.append(request)
        return self.schema.DeliverResponse()

    def header(self, **changes):
        """As of a node of the pool; `changes` are fields of PeerHeader."""
        counter, word = self.incarnation
        fields = {"pool_id": self.pool[0], "pool_incarnation": self.pool[1],
                  "from": self.node_id, "incarnation": {"counter": counter, "random": word},
                  "name": self.name, "address": self.address, **changes}
        return self.schema.PeerHeader(**fields)

    def request(self, header=None, **message):
        return self.schema.DeliverRequest(header=header or self.header(), **message)

    def send(self, address: str, request) -> tuple[grpc.StatusCode, str]:
        if address not in self._channels:
            self._channels[address] = self.identity.channel(address)
        return call(self._channels[address], request)

    def hears(self, kind: str, timeout_s: float = 10, matching=lambda message: True):
        """Waits for a message of the kind, also an earlier one: its DeliverRequest."""
        def find():
            with self._lock:
                heard = list(self.heard)
            return next((one for one in heard if one.WhichOneof("message") == kind
                         and matching(getattr(one, kind))), None)
        return wait.until(find, f"{kind} is sent to the peer", timeout_s)

    # ------------------------------------------------------------------ as a member

    def _facts(self) -> dict:
        return {"name": self.name, "address": self.address, "release": "test", "features": 1}

    def join(self, leader_address: str) -> None:
        """Asks to be a member; it lives until a lease after its last `renew`."""
        self.send(leader_address, self.request(ask_to_join={"facts": self._facts()}))

    def renew(self, leader_address: str, version: int) -> None:
        self.send(leader_address, self.request(renew={
            "sent_ms": int(time.monotonic() * 1000), "acted_on": version,
            "facts": self._facts()}))

    def propose(self, address: str, number: int, header=None, **change) -> object:
        """The answer to a proposal: a Proposed."""
        code, said = self.send(address, self.request(header, propose={"request": number,
                                                                      "change": change}))
        if code != grpc.StatusCode.OK:
            raise AssertionError(f"a proposal was not taken: {code} {said}")
        return self.hears("proposed", matching=lambda one: one.request == number).proposed
