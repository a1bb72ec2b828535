"""Nodes from a configuration that is shipped below deploy/, with only what a machine has of its own
replaced: addresses, paths, names of files, and where the DNS is.

Contract  `Tier(name, addresses, world)` makes a pool of clones from deploy/NAME; each has an
          address of loopback of its own, and the ports that the file says. Maps are those of the
          folder, in a copy that a test may change. `world` answers all names.
Owner     `with Tier(...)`. Needs root: ports below 1024, and a file in /etc/pam.d.
"""

import os
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

from harness import toml_text, wait
from harness.certificates import Certificates, make
from harness.dns_server import DnsServer
from harness.node import BINARY, Node, merged, run_posthorse

DEPLOY = Path(__file__).parents[3] / "deploy"
SHIPPED = "/etc/posthorse/"


class TierNode(Node):
    """A clone: its own address, disk and socket; the maps are its tier's."""

    def __init__(self, tier: "Tier", address: str, number: int) -> None:
        self._tier, self._number = tier, number
        super().__init__({}, tier.folder / f"n{number}", tier.certificates, address)
        shipped = tier.shipped["listener"]
        self.ports = {listener["name"]: listener["port"] for listener in shipped}
        self.http_port = 9625

    def _defaults(self) -> dict:
        tier = self._tier
        home = tier.at_home(tier.shipped)
        listeners = [listener | {"address": self.address} for listener in home["listener"]]
        return merged(home, {
            "data_dir": self.data, "listener": listeners,
            "pool": {"address": self.address, "name": f"n{self._number}"},
            "http": {"address": self.address},
            "admin": {"socket": self.folder / "admin.sock"}} | tier.changes)

    def launch(self, wrapper=()) -> None:
        super().launch(["env", *self._tier.environment, *wrapper])

    def empty_disk(self) -> None:
        """It starts next as a new node would."""
        shutil.rmtree(self.data)

    def settings(self) -> str:
        """`config show`, with the environment of the node itself."""
        command = ["env", *self._tier.environment, str(BINARY), "config", "show", "--config",
                   str(self.config)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def by_name(self, program: str, *arguments: str) -> subprocess.CompletedProcess:
        """The binary under one of its other names."""
        link = self._tier.folder / program
        if not link.exists():
            link.symlink_to(BINARY)
        return subprocess.run([str(link), *arguments], capture_output=True, text=True, timeout=60,
                              check=False, env=os.environ | {"POSTHORSE_CONFIG": str(self.config)})


class Tier:
    def __init__(self, name: str, addresses: list[str], world: DnsServer) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ph-", dir="/tmp"))
        self.shipped = tomllib.loads((DEPLOY / name / "posthorse.toml").read_text())
        self.certificates = make(self.folder / "tls", *(f"IP:{one}" for one in addresses))
        self.environment: list[str] = []
        # Beyond addresses and paths: what loopback needs.
        self.changes: dict = {}
        self._world = world
        self._pam: Path | None = None
        self._copy_maps(DEPLOY / name)
        self._make_pool_certificate()
        self._give_certificate_by_environment()
        self.nodes = [TierNode(self, address, number)
                      for number, address in enumerate(addresses, 1)]
        self.write_configs()

    def at_home(self, value):
        """Settings with the paths of this test in place of those that are shipped."""
        if isinstance(value, dict):
            return {key: self.at_home(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.at_home(one) for one in value]
        if isinstance(value, str) and value.startswith(SHIPPED):
            return str(self.folder / value.removeprefix(SHIPPED))
        return value

    def write_configs(self, changes: dict | None = None) -> None:
        self.changes = merged({"delivery": {"dns_servers": [self._world.address],
                                            "private_addresses": True}}, changes or {})
        for node in self.nodes:
            node.write_config(self.changes)

    def map(self, name: str) -> Path:
        return self.folder / name

    def use_pam(self, program: str) -> None:
        """The shipped rules, as a service of another name that asks this shell script."""
        script = self.folder / "ask-the-directory"
        script.write_text("#!/bin/sh\nread -r password\n" + program)
        script.chmod(0o755)
        service = f"posthorse-{self.folder.name}"
        self._pam = Path("/etc/pam.d") / service
        self._pam.write_text((DEPLOY / "outbound/pam").read_text().replace(
            "/usr/local/bin/ask-the-directory", str(script)))
        self.write_configs({"auth": {"pam_service": service}})

    def _copy_maps(self, folder: Path) -> None:
        for file in folder.iterdir():
            if file.name not in ("posthorse.toml", "README.md", "pam"):
                text = file.read_text().replace(SHIPPED, f"{self.folder}/")
                (self.folder / file.name).write_text(text)

    def _make_pool_certificate(self) -> None:
        authority = self.folder / "authority"
        run_posthorse("pool", "ca", "init", "--dir", str(authority))
        run_posthorse("pool", "ca", "issue", "--dir", str(authority))
        (self.folder / "pool").mkdir()
        for name in ("ca.pem", "pool.pem", "pool.key"):
            shutil.copy(authority / name, self.folder / "pool" / name)

    def _give_certificate_by_environment(self) -> None:
        made = self.certificates
        self.environment = [f"{name}={path.read_text()}" for name, path in (
            ("TLS_CERT", made.chain), ("TLS_CA_BUNDLE", made.ca), ("TLS_KEY", made.key))]

    def __enter__(self) -> "Tier":
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            wait.until(node.ready, f"{node.folder} is ready", 30)
        return self

    def __exit__(self, kind, *_) -> None:
        for node in self.nodes:
            if node.running():
                node.kill()
        if self._pam:
            self._pam.unlink(missing_ok=True)
        if kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            print(f"the tier's folder is kept: {self.folder}")
            for node in self.nodes:
                print(f"last lines of {node.folder.name}:\n{node.tail(12)}")

    @property
    def log(self) -> str:
        return "".join(node.log.read_text(errors="replace") for node in self.nodes)
