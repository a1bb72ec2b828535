"""Asks every node of a pool, all the time, how it sees the pool; keeps the newest answers.

Contract  One thread a node asks GetPool on the admin socket, about every `every_s`; a node that
          does not answer is asked again. What is asked for with `since` was asked after it, so
          that no answer of before a fault counts. Every answer goes into `history`; and into
          `naive`, which takes nodes at their word that have no lease: what that one finds shows
          that faults were hard enough, and that the checker sees.
Owner     `with Watch(...)`; nodes may be added while it runs.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import schemas  # before grpc: it sets up gRPC's environment
from harness.claims import ClaimHistory, Moment, believes

import grpc

# Below every lease: after a pause of the node, the answer tells of what it did then.
PATIENCE_S = 1.0
# A channel that failed is not used again, so that no back-off delays the next question.
OPTIONS = [("grpc.use_local_subchannel_pool", 1)]


class AdminApi:
    """GetPool over one admin socket."""

    def __init__(self, socket: Path) -> None:
        admin = schemas.messages("admin")
        self._request = admin.GetPoolRequest()
        self._channel = grpc.insecure_channel(f"unix:{socket}", OPTIONS)
        self._get_pool = self._channel.unary_unary(
            "/posthorse.v1.Admin/GetPool",
            request_serializer=admin.GetPoolRequest.SerializeToString,
            response_deserializer=admin.GetPoolResponse.FromString)

    def get_pool(self, timeout_s: float = PATIENCE_S):
        return self._get_pool(self._request, timeout=timeout_s)

    def close(self) -> None:
        self._channel.close()


class Watch:
    def __init__(self, every_s: float = 0.05) -> None:
        self.history = ClaimHistory()
        self.naive = ClaimHistory(believes)
        self._every_s = every_s
        self._newest: dict[Path, tuple[Moment, object]] = {}
        self._threads: list[threading.Thread] = []
        self._over = threading.Event()
        self._quiet = threading.Event()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(10)

    def add(self, socket: Path) -> None:
        thread = threading.Thread(target=self._follow, args=(socket,), daemon=True)
        self._threads.append(thread)
        thread.start()

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing is asked: what is measured meanwhile shares the processors with no questions."""
        self._quiet.set()
        try:
            yield
        finally:
            self._quiet.clear()

    def is_quiet(self) -> bool:
        return self._quiet.is_set()

    def _follow(self, socket: Path) -> None:
        api = AdminApi(socket)
        while not self._over.wait(self._every_s):
            if self.is_quiet():
                continue
            asked = time.monotonic()
            try:
                pool = api.get_pool()
            except grpc.RpcError:
                api.close()
                api = AdminApi(socket)
                continue
            moment = Moment(asked, time.monotonic())
            self.history.add(pool, moment)
            self.naive.add(pool, moment)
            self._newest[socket] = (moment, pool)
        api.close()

    def answer(self, socket: Path, since: float):
        """Its newest GetPoolResponse, when asked after `since`."""
        found = self._newest.get(socket)
        return found[1] if found and found[0].asked > since else None

    def answers(self, sockets: Iterable[Path], since: float) -> list | None:
        """Of each, or nothing when one is missing."""
        found = [self.answer(socket, since) for socket in sockets]
        return None if None in found else found
