"""What all servers of the comparison share: the disk, the receivers, certificates and keys."""

from dataclasses import dataclass
from pathlib import Path

from cases import DESTINATIONS, SIGNATURES
from harness import dkim_keys
from harness.certificates import Certificates, make
from receivers import Receivers

SELECTOR = "bench"
FIRST_OF_MANY = "127.0.1.{}"  # d1.test is at 127.0.1.1, and so on


@dataclass(frozen=True)
class Ground:
    scratch: Path   # on the disk where all queues are
    receivers: Receivers
    certificates: Certificates
    keys: dict[str, dkim_keys.Key]  # by the signature's kind

    @classmethod
    def make(cls, scratch: Path, receivers: Receivers) -> "Ground":
        keys = {kind: dkim_keys.generate(scratch / f"key-{kind}", f"{kind}.test", SELECTOR, kind)
                for kind in SIGNATURES}
        return cls(scratch, receivers, make(scratch / "tls"), keys)

    def next_hops(self) -> dict[str, tuple[str, int]]:
        """Address and port by the domain of a recipient."""
        hops = {f"{name}.test": ("127.0.0.1", port)
                for name, port in self.receivers.ports.items() if name != "dead"}
        hops["d0.test"] = ("127.0.0.1", self.receivers.ports["dead"])
        for number in range(1, DESTINATIONS + 1):
            hops[f"d{number}.test"] = (FIRST_OF_MANY.format(number), self.receivers.ports["fast"])
        return hops
