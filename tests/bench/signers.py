"""opendkim, for servers that do not sign by themselves: a milter for each kind of key."""

from harness.dkim_keys import Key
from harness.foreign_root import ForeignRoot
from harness.processes import Process
from harness import wait

FOLDER = "/etc/bench-keys"
CONFIG = """\
Mode s
Canonicalization relaxed/relaxed
SignatureAlgorithm {algorithm}
Domain {domain}
Selector {selector}
KeyFile {folder}/{kind}.key
InternalHosts 127.0.0.0/8
RequireSafeKeys no
UserID opendkim
UMask 000
Socket local:{socket}
"""
ALGORITHMS = {"rsa": "rsa-sha256", "ed25519": "ed25519-sha256"}


def lay_keys(root: ForeignRoot, keys: dict[str, Key], owner: str) -> None:
    """As FOLDER/KIND.key inside the root."""
    folder = root.path / FOLDER.lstrip("/")
    folder.mkdir(exist_ok=True)
    for kind, key in keys.items():
        (folder / f"{kind}.key").write_bytes(key.file.read_bytes())
        (folder / f"{kind}.key").chmod(0o640)
    root.run("chown", "-R", f"root:{owner}", FOLDER)


class Signer:
    """Its package and its keys are in the root already."""

    def __init__(self, root: ForeignRoot, kind: str, key: Key) -> None:
        # Not TCP: there both sides wait for each other, 40 ms at a time (Nagle).
        self.socket = f"{FOLDER}/{kind}/socket"
        self._root = root
        self._config = f"{FOLDER}/{kind}.conf"
        self._log = root.path.parent / f"signer-{kind}.log"
        self._process: Process | None = None
        self._text = CONFIG.format(algorithm=ALGORITHMS[kind], domain=key.domain, kind=kind,
                                   selector=key.selector, folder=FOLDER, socket=self.socket)

    def start(self) -> None:
        folder = self.socket.rsplit("/", 1)[0]
        self._root.run("install", "-d", "-o", "opendkim", "-m", "755", folder)
        (self._root.path / self._config.lstrip("/")).write_text(self._text)
        command = self._root.command("/usr/sbin/opendkim", "-f", "-x", self._config)
        self._process = Process(command, self._log)
        wait.until((self._root.path / self.socket.lstrip("/")).is_socket,
                   f"opendkim listens; see {self._log}")

    def stop(self) -> None:
        if self._process:
            self._process.stop()

    def settings(self) -> str:
        return self._text
