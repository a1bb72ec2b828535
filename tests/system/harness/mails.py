"""Messages to send: one that is hard to carry unchanged, and those of Python's own e-mail tests."""

from dataclasses import dataclass
from pathlib import Path

# Dots at every place, a line as long as may be, folded fields, 8-bit text, white space at line
# ends, a MIME part, empty lines at the end. Complete: a submission adds nothing to its header.
HARD_MAIL = (
    "From: Rider <rider@posthorse.test>\r\n"
    "To: you@sink.test\r\n"
    "Subject: every byte\r\n\tof a fresh horse\r\n"
    "Date: Sun, 22 Nov 2026 02:00:00 +0000\r\n"
    "Message-ID: <hard@posthorse.test>\r\n"
    "MIME-Version: 1.0\r\n"
    'Content-Type: multipart/mixed; boundary="--=_edge"\r\n'
    "\r\n"
    "----=_edge\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n"
    "\r\n"
    ".one dot\r\n..two dots\r\n.\u00fcml\u00e4ut\r\nspace at the end  \r\n"
    "\r\n" + "x" * 990 + "\r\n"
    "----=_edge--\r\n"
    "\r\n"
).encode()

PYTHON_MAILS = Path("/usr/lib/python3.11/test/test_email/data")


@dataclass(frozen=True)
class Mail:
    name: str
    content: bytes  # CRLF lines


def with_crlf(text: bytes) -> bytes:
    return b"\r\n".join(text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))


def python_mails() -> list[Mail]:
    """Python's e-mail test data (Debian's libpython3.11-testsuite)."""
    files = sorted(PYTHON_MAILS.glob("msg_*.txt"))
    if len(files) < 40:
        raise AssertionError(f"{PYTHON_MAILS} holds {len(files)} mails: ./dev deps installs them")
    return [Mail(file.stem, with_crlf(file.read_bytes())) for file in files]


def more_mails() -> list[Mail]:
    """What those lack: raw 8-bit, long lines, odd ends."""
    head = b"From: rider@posthorse.test\r\nTo: you@sink.test\r\nSubject: "
    return [
        Mail("hard", HARD_MAIL),
        Mail("latin-1", head + "caf\u00e9\r\n\r\n\u00fc\u00f6\u00e4 \xa0\r\n".encode("latin-1")),
        Mail("long-line", head + b"long\r\n\r\n" + b"y" * 5000 + b"\r\nend\r\n"),
        Mail("empty-body", head + b"nothing\r\n\r\n"),
        Mail("header-only", head + b"nothing at all\r\n"),
        Mail("blank-lines", head + b"blank\r\n\r\n\r\n\r\n\r\n"),
        Mail("white-space", head + b"  \t space  \r\n\r\n \t \r\nline \t\r\n\r\n\r\n"),
        Mail("folded", head + b"a\r\n b\r\n\tc\r\n\r\nfolded\r\n"),
        Mail("big", head + b"big\r\n\r\n" + b"0123456789 abcdefghijklmnopqrstuvwxyz\r\n" * 30000),
    ]
