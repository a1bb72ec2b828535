"""DKIM keys from `posthorse dkim keygen`, and OpenDKIM's tables that name them."""

import re
from dataclasses import dataclass
from pathlib import Path

from harness.node import run_posthorse


@dataclass(frozen=True)
class Key:
    domain: str
    selector: str
    file: Path
    record: str  # the TXT record's text, its strings joined

    @property
    def name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"


def generate(folder: Path, domain: str, selector: str, kind: str) -> Key:
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    printed = run_posthorse("dkim", "keygen", "--domain", domain, "--selector", selector, "--type",
                            kind, "--out", str(folder))
    made = [p for p in set(folder.iterdir()) - before if b"PRIVATE KEY" in p.read_bytes()]
    if len(made) != 1:
        raise AssertionError(f"keygen wrote {len(made)} keys into {folder} and said:\n{printed}")
    return Key(domain, selector, made[0], txt_record(printed))


def txt_record(printed: str) -> str:
    """The text of the one TXT record in a zone file's notation."""
    rows = printed[printed.index("TXT"):]
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"', rows.split("\n\n")[0])
    text = "".join(strings).replace("\\;", ";").replace('\\"', '"')
    if not text.startswith("v=DKIM1"):
        raise AssertionError(f"no DKIM record in what keygen printed:\n{printed}")
    return text


def write_tables(folder: Path, keys: list[Key]) -> dict:
    """KeyTable and a SigningTable by which every key signs its whole domain; the settings."""
    key_rows = [f"{key.name} {key.domain}:{key.selector}:{key.file}\n" for key in keys]
    signing_rows = [f"*@{key.domain} {key.name}\n" for key in keys]
    (folder / "KeyTable").write_text("".join(key_rows))
    (folder / "SigningTable").write_text("".join(signing_rows))
    return {"dkim": {"key_table": folder / "KeyTable", "signing_table": folder / "SigningTable"}}
