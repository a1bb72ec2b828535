"""Dovecot's LMTP server, out of Debian's package: mailboxes that a node delivers to.

Contract  Listens on a loopback port and on a Unix socket. `users` maps addresses to Dovecot's quota
          rule for them, or to an empty string. `mails` gives what lies in a mailbox.
Owner     `with Dovecot(...)`: at the end its processes are gone. Needs root: it becomes the user of
          each mailbox.
"""

import os
import shutil
import tempfile
from pathlib import Path

from harness import wait
from harness.ports import free_port, is_open
from harness.processes import Process

OWNER = 65534  # nobody and nogroup: Dovecot gives no mailbox to root

CONFIG = """\
base_dir = {folder}/run
protocols = lmtp
log_path = {folder}/log
ssl = no
default_internal_user = root
default_internal_group = root
default_login_user = root
mail_location = maildir:{folder}/mail/%n
protocol lmtp {{
  mail_plugins = quota
}}
plugin {{
  quota = maildir:User quota
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener lmtp {{
    mode = 0600
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
"""


class Dovecot:
    def __init__(self, users: dict[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ph-dovecot-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self._users = users
        self._process: Process | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "run/lmtp"

    def __enter__(self) -> "Dovecot":
        config = self.folder / "dovecot.conf"
        config.write_text(CONFIG.format(folder=self.folder, port=self.port))
        (self.folder / "mail").mkdir()
        os.chown(self.folder / "mail", OWNER, OWNER)
        (self.folder / "users").write_text("".join(
            f"{address}:{{plain}}x:{OWNER}:{OWNER}::{self.folder}/mail::"
            f"{f'userdb_quota_rule={rule}' if rule else ''}\n"
            for address, rule in self._users.items()))
        self._process = Process(["/usr/sbin/dovecot", "-F", "-c", str(config)],
                                self.folder / "output")
        wait.until(lambda: is_open(self.port) and self.socket.exists(), "Dovecot listens")
        return self

    def __exit__(self, *_) -> None:
        self._process.stop(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def mails(self, user: str) -> list[bytes]:
        """With the fields that Dovecot puts in front."""
        folder = self.folder / "mail" / user / "new"
        return [path.read_bytes() for path in sorted(folder.glob("*"))]

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")
