"""The conversations of tests/dialog against the real binary, over real sockets.

Two kinds are left to the in-process run: those that need a policy about single recipients, which a
node of this release does not have, and those of the profile `trusted` (AUTH in clear).
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.node import Node

FOLDER = Path(__file__).parents[1] / "dialog"
SINGLE_RECIPIENTS = re.compile(r"(nobody|later|busy)@example\.org")
SETTINGS = {
    "host_name": "mx.example.org",
    "auth": {"mechanisms": ["PLAIN", "LOGIN"]},
    "intake": {"relay_domains": ["example.org"], "future_release_max": "1d"},
    "limits": {"message_bytes_max": 100_000, "recipients_max": 100, "errors_max": 10,
               "idle_commands_max": 20},
}


def profile_of(path: Path) -> str:
    return re.search(r"^profile (\w+)$", path.read_text(), re.MULTILINE)[1]


def playable() -> list[Path]:
    return [path for path in sorted(FOLDER.glob("*.smtp"))
            if profile_of(path) != "trusted" and not SINGLE_RECIPIENTS.search(path.read_text())]


@pytest.fixture(scope="module")
def node():
    made = Node(SETTINGS)
    made.add_user("alice@example.org", "secret")
    with made:
        yield made


@pytest.mark.parametrize("path", playable(), ids=lambda path: path.stem)
def test_conversation(node, path):
    if not node.running():  # a conversation before this one ended it, and has failed
        node.start()
    port = node.ports[profile_of(path)]
    answer = subprocess.run([sys.executable, FOLDER / "run.py", "127.0.0.1", str(port), path],
                            capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr + ("" if node.running() else node.tail())
