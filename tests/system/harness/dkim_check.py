"""Two judges of DKIM signatures that are not ours: dkimpy and Perl's Mail::DKIM."""

import subprocess
import tempfile
from pathlib import Path

import dkim

from harness.dkim_keys import Key

VERIFIER = Path(__file__).with_name("mail_dkim.pl")


def dkimpy_results(message: bytes, keys: list[Key]) -> list[bool]:
    """Whether each signature of a message is good, in the order of the header."""
    records = {key.name: key.record.encode() for key in keys}

    def lookup(name: bytes, timeout: int = 5) -> bytes | None:
        return records.get(name.decode().rstrip("."))

    verifier = dkim.DKIM(message)
    count = sum(1 for name, _ in verifier.headers if name.lower() == b"dkim-signature")
    return [_verify(verifier, index, lookup) for index in range(count)]


def _verify(verifier: dkim.DKIM, index: int, lookup) -> bool:
    try:
        return verifier.verify(idx=index, dnsfunc=lookup)
    except dkim.DKIMException:
        return False


def mail_dkim_results(messages: list[bytes], keys: list[Key]) -> list[list[str]]:
    """For each message the results of its signatures, such as "ed25519-sha256=pass"."""
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "records"
        records.write_text("".join(f"{key.name}\t{key.record}\n" for key in keys))
        files = [Path(folder) / f"{n}.eml" for n in range(len(messages))]
        for file, message in zip(files, messages):
            file.write_bytes(message)
        answer = subprocess.run(["perl", str(VERIFIER), str(records), *map(str, files)], check=True,
                                capture_output=True, text=True)
    return [line.split() if line else [] for line in answer.stdout.split("\n")[:len(messages)]]
