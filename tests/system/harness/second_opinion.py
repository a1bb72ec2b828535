"""What others find out about a message: pyspf, dkimpy, and authres to read what a node wrote.

Contract  Nothing is looked up: the DNS is a `Table` of harness.dns_server, with names that fail.
          Mail is signed by dkimpy, with keys from `posthorse dkim keygen`.
"""

import base64
import email
import email.policy
import re
from dataclasses import dataclass, field

import authres
import dkim
import spf

from harness.dkim_keys import Key
from harness.dns_server import Table

# What a signature covers.
HEADER = [b"from", b"to", b"subject", b"date"]


@dataclass(frozen=True)
class World:
    """What the DNS says; names in `failing` get no answer."""

    records: Table
    failing: set[str] = field(default_factory=set)

    def texts(self, name: str, kind: str) -> list[str]:
        return self.records.get((name.lower().rstrip("."), kind), [])


def spf_result(world: World, client: str, helo: str, sender: str) -> str:
    """pyspf's."""
    def lookup(name: str, kind: str, strict: bool = True, timeout: float = 20) -> list[tuple]:
        if name.lower().rstrip(".") in world.failing:
            raise spf.TempError("no answer")
        return [((name, kind), _as_pyspf(kind, text)) for text in world.texts(name, kind)]

    before, spf.DNSLookup = spf.DNSLookup, lookup
    try:
        return spf.check2(i=client, s=sender, h=helo)[0]
    finally:
        spf.DNSLookup = before


def _as_pyspf(kind: str, text: str) -> object:
    if kind == "TXT":
        return [part.encode() for part in re.findall(r'"([^"]*)"', text)]
    if kind == "MX":
        preference, host = text.split()
        return (int(preference), host.rstrip("."))
    return text.rstrip(".")


def dkim_passes(world: World, mail: bytes) -> list[bool]:
    """dkimpy's: whether each signature is good."""
    def lookup(name: bytes, timeout: int = 5) -> bytes | None:
        texts = world.texts(name.decode(), "TXT")
        return "".join(re.findall(r'"([^"]*)"', texts[0])).encode() if texts else None

    checked = dkim.DKIM(mail)
    count = sum(name.lower() == b"dkim-signature" for name, _ in checked.headers)
    return [_passes(checked, number, lookup) for number in range(count)]


def _passes(checked: dkim.DKIM, number: int, lookup) -> bool:
    try:
        return checked.verify(idx=number, dnsfunc=lookup)
    except dkim.DKIMException:
        return False


class _Signer(dkim.DKIM):
    """dkimpy's signer, with tags that it does not write itself."""

    more: list[tuple[bytes, bytes]] = []

    def gen_header(self, fields, *arguments, **options):
        fields[-1:-1] = self.more
        return super().gen_header(fields, *arguments, **options)


def signature(mail: bytes, key: Key, more: list[tuple[bytes, bytes]] | None = None,
              length: bool = False, names: list[bytes] | None = None) -> bytes:
    """The field that goes in front of `mail`; `more` are tags, `names` what it covers."""
    pem = key.file.read_bytes()
    is_rsa = "k=ed25519" not in key.record
    signer = _Signer(mail, signature_algorithm=b"rsa-sha256" if is_rsa else b"ed25519-sha256")
    signer.more = more or []
    return signer.sign(key.selector.encode(), key.domain.encode(), pem if is_rsa else _seed(pem),
                       canonicalize=(b"relaxed", b"relaxed"), include_headers=names or HEADER,
                       length=length)


def _seed(pem: bytes) -> bytes:
    """The 32 octets at the end of a PKCS #8 key (RFC 8410), as dkimpy wants them."""
    der = base64.b64decode(b"".join(pem.strip().splitlines()[1:-1]))
    return base64.b64encode(der[-32:])


@dataclass(frozen=True)
class Told:
    """What the Authentication-Results field in our name says, as authres reads it."""

    spf: str
    dkim: tuple[str, ...]
    dmarc: str
    properties: dict[str, str]  # "spf.smtp.mailfrom"; of dkim, the first signature's
    fields: tuple[str, ...]     # the authserv-ids of all such fields, in their order


def told(content: bytes, authserv_id: str) -> Told:
    message = email.message_from_bytes(content, policy=email.policy.compat32)
    found = [authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {value}")
             for value in message.get_all("Authentication-Results", [])]
    [ours] = [one for one in found if one.authserv_id == authserv_id]
    results = {}
    properties = {}
    for result in ours.results:
        results.setdefault(result.method, []).append(result.result)
        for one in result.properties:
            properties.setdefault(f"{result.method}.{one.type}.{one.name}", one.value)
    return Told(results["spf"][0], tuple(results["dkim"]), results["dmarc"][0], properties,
                tuple(one.authserv_id for one in found))
