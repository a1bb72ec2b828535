"""A PAM service that asks a program, for as long as it is needed.

Contract  `with pam_service(program) as name`: `program` reads the password, and exits with 0 for a
          good one; PAM_USER is in its environment. Rules are read from /etc/pam.d, which must be
          writable (`WRITABLE`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DIRECTORY = Path("/etc/pam.d")
WRITABLE = os.access(DIRECTORY, os.W_OK)


@contextmanager
def pam_service(program: Path) -> Iterator[str]:
    name = f"posthorse-test-{os.getpid()}"
    rules = DIRECTORY / name
    rules.write_text(f"auth required pam_exec.so expose_authtok quiet {program}\n"
                     "account required pam_permit.so\n")
    try:
        yield name
    finally:
        rules.unlink()
