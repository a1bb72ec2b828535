"""Notices as other people's programs understand them: flufl.bounce, BounceParser, Python's parser.

Contract  `read(notices)` gives a Reading for each notice (octets, CRLF lines), in order. An address
          is what the program says failed, whatever we think of it.
"""

import email
import email.policy
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from flufl.bounce import all_failures

PARSER = Path(__file__).with_name("bounce_parser.pl")
LINE_BYTES_MAX = 998  # RFC 5322 section 2.1.1
STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")


@dataclass(frozen=True)
class Reading:
    permanent: set[str]          # flufl.bounce: failed for good
    temporary: set[str]          # flufl.bounce: delayed
    is_bounce: bool              # BounceParser
    failures: dict[str, str]     # BounceParser: address -> status
    original: str                # BounceParser: the Message-ID of what bounced
    faults: list[str]            # what Python's parser finds wrong, and what no message may have
    blocks: list[dict[str, str]]  # fields about each recipient, by names in lower case
    status_type: str             # the media type of the report

    @property
    def actions(self) -> set[str]:
        return {block["action"] for block in self.blocks}

    @property
    def statuses(self) -> dict[str, str]:
        """As the report says them itself: final recipient -> status."""
        return {block["final-recipient"].split(";", 1)[1].strip(): block["status"]
                for block in self.blocks}


def read(notices: list[bytes]) -> list[Reading]:
    if not notices:
        return []
    return [_reading(notice, said) for notice, said in zip(notices, _bounce_parser(notices))]


def _bounce_parser(notices: list[bytes]) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / str(index) for index in range(len(notices))]
        for file, notice in zip(files, notices):
            file.write_bytes(notice)
        answer = subprocess.run(["perl", str(PARSER), *map(str, files)], check=True, text=True,
                                capture_output=True, stdin=subprocess.DEVNULL)
    return [json.loads(line) for line in answer.stdout.splitlines()]


def _reading(notice: bytes, said: dict) -> Reading:
    temporary, permanent = all_failures(email.message_from_bytes(notice))
    message = email.message_from_bytes(notice, policy=email.policy.SMTP)
    parts = list(message.iter_parts()) if message.is_multipart() else []
    status = parts[1] if len(parts) > 1 else None
    return Reading(
        permanent={address.decode() for address in permanent},
        temporary={address.decode() for address in temporary},
        is_bounce=said["is_bounce"],
        failures={one["email"]: one["status"] for one in said["reports"]},
        original=said["original"],
        faults=_faults(notice, message, parts),
        blocks=_blocks(notice, message.get_boundary() or ""),
        status_type=status.get_content_type() if status else "")


def _blocks(notice: bytes, boundary: str) -> list[dict[str, str]]:
    """Read from the octets: Python's parser splits the older form alone into its blocks."""
    part = notice.split(b"--" + boundary.encode() + b"\r\n")[2]
    blocks = part.split(b"\r\n\r\n", 1)[1].decode().split("\r\n\r\n")
    return [dict((name.lower(), value.strip()) for name, value in
                 (line.split(":", 1) for line in block.splitlines() if ":" in line))
            for block in blocks[1:] if "Final-Recipient" in block]


def _faults(notice: bytes, message, parts: list) -> list[str]:
    # Not below the parts: what is returned is as its sender made it, and Python's parser takes the
    # forms for UTF-8 for whole messages.
    own = [message, *parts]
    faults = [f"{part.get_content_type()}: {defect!r}" for part in own for defect in part.defects]
    if message.get_content_type() != "multipart/report" or len(parts) not in (2, 3):
        faults.append(f"{message.get_content_type()} with {len(parts)} parts")
    elif (parts[1].get_content_type() not in STATUS_TYPES
          or parts[1].get_content_subtype() != message["content-type"].params["report-type"]):
        faults.append(f"{parts[1].get_content_type()} as {message['content-type']}")
    if message["auto-submitted"] != "auto-replied":
        faults.append("not marked as an automatic answer")
    lines = notice.split(b"\r\n")
    if any(b"\r" in line or b"\n" in line or len(line) > LINE_BYTES_MAX for line in lines):
        faults.append("a line is too long, or ends otherwise than by CRLF")
    for part in own:
        said = part.get("content-transfer-encoding", "7bit")
        if not part.as_bytes().isascii() and said != "8bit":
            faults.append(f"{part.get_content_type()} has 8-bit octets and does not say so")
    return faults
