"""Remembers which messages were ever listed as in doubt: the ledger wants to see them there.

Contract  Asks running nodes in turn for the messages of the whole pool with an attempt in doubt,
          about every `every_s`. What was in doubt for a shorter time may be missed.
Owner     `with DoubtWatch(pool)`: a thread of its own.
"""

import threading

from harness import schemas  # before grpc: it sets up gRPC's environment
from harness.pool import Pool

import grpc

PATIENCE_S = 2.0


class DoubtWatch:
    def __init__(self, pool: Pool, every_s: float = 0.25) -> None:
        self._pool, self._every_s = pool, every_s
        self._admin = schemas.messages("admin")
        self._seen: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "DoubtWatch":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._thread.join(10)

    def seen(self) -> frozenset[str]:
        """Queue ids."""
        return frozenset(self._seen)

    def _follow(self) -> None:
        number = 0
        while not self._over.wait(self._every_s):
            running = [node for node in self._pool.nodes if node.running()]
            if running and not self._pool.watch.is_quiet():
                number += 1
                self._ask(str(running[number % len(running)].socket))

    def _ask(self, socket: str) -> None:
        """Page by page: one may be empty while more follow. Who does not answer is asked later."""
        admin = self._admin
        request = admin.ListMessagesRequest(page_size=1000)
        request.filter.state = admin.MESSAGE_STATE_IN_DOUBT
        with grpc.insecure_channel(f"unix:{socket}") as channel:
            listed = channel.unary_unary(
                "/posthorse.v1.Admin/ListMessages",
                request_serializer=admin.ListMessagesRequest.SerializeToString,
                response_deserializer=admin.ListMessagesResponse.FromString)
            while not self._over.is_set():
                try:
                    page = listed(request, timeout=PATIENCE_S)
                except grpc.RpcError:
                    return
                self._seen |= {message.id for message in page.messages
                               if message.attempts_in_doubt}
                request.page_token = page.next_page_token
                if not request.page_token:
                    return
