"""What the servers of others have in common, as a peer in the comparison.

Contract  As `Peer` says. Its queue is on the disk of all others, not in the memory of its root; it
          asks no DNS. Signed mail has a door of its own where a filter in front of the server
          signs.
"""

import contextlib
import shutil
import subprocess
from abc import abstractmethod

import signers
from cases import SIGNATURES, Case
from cpu_group import CpuGroup
from ground import Ground
from harness.foreign_root import ForeignRoot
from harness.foreign_server import ForeignServer
from harness.ports import free_port
from sources import Door

NO_DNS = "127.0.0.1"  # nothing listens there: a lookup that was forgotten fails at once


class ForeignPeer(ForeignServer):
    title: str
    spool: str        # folder of its queue inside the root
    config_file: str  # what `settings` shows
    key_reader = "root"  # the group that may read the keys of signatures

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground.certificates, ground.receivers.ports["fast"], NO_DNS)
        self.root = ForeignRoot(f"bench-{self.name}", self.packages, self.selections)
        self.ground = ground
        self.group = CpuGroup(self.title)
        self.doors_by_kind = {"": self.port} | {kind: free_port() for kind in SIGNATURES}

    def __enter__(self) -> "ForeignPeer":
        self.group.__enter__()
        super().__enter__()
        return self

    def __exit__(self, kind, *rest) -> None:
        try:
            super().__exit__(kind, *rest)
        finally:
            self.group.__exit__(kind, *rest)

    def _prepare(self) -> None:
        super()._prepare()
        signers.lay_keys(self.root, self.ground.keys, self.key_reader)
        with self.path("/etc/hosts").open("a", encoding="utf-8") as hosts:
            for address, _ in self.ground.next_hops().values():
                hosts.write(f"{address} receiver-{address.replace('.', '-')}.test\n")
        self._move_spool()

    def _move_spool(self) -> None:
        outside = self.ground.scratch / f"{self.title}-spool"
        shutil.rmtree(outside, ignore_errors=True)
        self.path(self.spool).mkdir(mode=0o711, exist_ok=True)  # where it is made at its start
        subprocess.run(["cp", "-a", str(self.path(self.spool)), str(outside)], check=True)
        self.root.bind(outside, self.spool)

    def start(self) -> None:
        with self.group.entered():
            self.start_filters()
            super().start()

    def stop(self) -> None:
        with contextlib.suppress(AssertionError):  # it did not end in time, and was killed
            super().stop()
        self.stop_filters()

    def start_filters(self) -> None:
        """Those that are not started by the server itself."""

    def stop_filters(self) -> None:
        """Likewise."""

    def lacks(self, case: Case) -> str:
        """Why it has no figures in a row; empty when it has."""
        return "to fill its queue takes hours" if case.deferred else ""

    def doors(self, case: Case) -> list[Door]:
        return [("127.0.0.1", self.doors_by_kind[case.signed])]

    def settings(self) -> str:
        return self.path(self.config_file).read_text()

    @abstractmethod
    def configure(self) -> None:
        """Writes what it reads at its start: routes of `ground.next_hops`, doors, signatures."""


class SignedByMilters(ForeignPeer):
    """opendkim is among its packages."""

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self.milters = {kind: signers.Signer(self.root, kind, key)
                        for kind, key in ground.keys.items()}

    def start_filters(self) -> None:
        for milter in self.milters.values():
            milter.start()

    def stop_filters(self) -> None:
        for milter in self.milters.values():
            milter.stop()

    def settings(self) -> str:
        return "\n".join([super().settings(), *(f"opendkim:\n{milter.settings()}"
                                                for milter in self.milters.values())])
