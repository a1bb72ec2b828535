"""The test suite of RFC 7208 (openspf.org, in Debian's python3-spf) against a node.

Each case is a mail from the client, name and sender that it names; the DNS is the scenario's. Cases
whose sender no SMTP server takes are left to the unit tests.
"""

import gzip
import smtplib
from pathlib import Path

import yaml

from harness import wait
from harness.dns_server import DnsServer, Table, Zone
from harness.second_opinion import told
from harness.sinks import Sink
from harness.strangers import AUTHSERV_ID, Stranger, plain_mail, verifying

SUITE = Path("/usr/share/doc/python3-spf/rfc7208-tests.yml.gz")
CASES_MIN = 190
# Their MX is a host that no host can be called: the node's resolver takes it for none.
LEFT_OUT = {"mx-colon-domain", "mx-colon-domain-ip4mapped"}


def scenarios() -> list[dict]:
    if not SUITE.exists():
        raise AssertionError(f"{SUITE} is missing: ./dev deps installs python3-spf with it")
    with gzip.open(SUITE, "rb") as file:
        return list(yaml.safe_load_all(file))


def octets(text: str) -> str:
    """A string of a TXT record as a zone file has it."""
    return '"' + "".join(f"\\{octet:03d}" for octet in text.encode()) + '"'


def record(kind: str, value: object) -> str:
    if kind in ("TXT", "SPF"):
        strings = [value] if isinstance(value, str) else value
        return " ".join(octets(part[at:at + 60]) for part in strings
                        for at in range(0, len(part), 60) or [0])
    if kind == "MX":
        return f"{value[0]} {value[1].rstrip('.')}."
    return f"{value.rstrip('.')}." if kind == "PTR" else str(value)


def zone(scenario: dict) -> Zone:
    """The scenario's DNS as a recursive server gives it: aliases are followed."""
    records: Table = {}
    failing: set = set()
    aliases = {}
    for name, rows in scenario["zonedata"].items():
        name = name.replace(" ", r"\032")  # as a server shows it
        has_txt = any("TXT" in row for row in rows if isinstance(row, dict))
        records[name, "exists"] = []
        for row in rows:
            if row == "TIMEOUT":
                failing.update((name.lower(), kind) for kind in ("TXT", "A", "AAAA", "MX", "PTR"))
                continue
            for kind, value in row.items():
                if kind == "CNAME":
                    aliases[name] = value
                elif value == "TIMEOUT":
                    failing.add((name.lower(), kind))
                elif value not in ("NONE", []) and not (kind == "SPF" and has_txt):
                    where = (name, "TXT" if kind == "SPF" else kind)
                    records.setdefault(where, []).append(record(kind, value))
    lower = {(name.lower(), kind): texts for (name, kind), texts in records.items()}
    for name, target in aliases.items():
        for (known, kind), texts in list(lower.items()):
            if known == target.lower():
                records.setdefault((name, kind), []).extend(texts)
    return Zone(records, {one for one in failing if one not in lower})


def send(node, case: dict, recipient: str) -> bool:
    """False: no SMTP server takes such a sender or name."""
    try:
        with Stranger(node.ports["mx"], str(case["host"]), case["helo"]) as client:
            client.sendmail(case["mailfrom"], recipient, plain_mail("ann@none.test", "suite"))
    except (smtplib.SMTPSenderRefused, smtplib.SMTPHeloError, UnicodeEncodeError):
        return False
    return True


def test_the_suite_of_rfc_7208():
    sent = {}
    with DnsServer() as dns, Sink() as sink, verifying(dns.address, sink.port) as node:
        for scenario in scenarios():
            dns.become(zone(scenario))
            for name, case in scenario["tests"].items():
                recipient = f"case-{len(sent)}@sink.test"
                if name not in LEFT_OUT and send(node, case, recipient):
                    sent[recipient] = (f"{scenario['description']}: {name}", case["result"])
        wait.until(lambda: len(sink.received) == len(sent), "every mail arrives", 120)
        found = {mail.recipients[0]: told(mail.content, AUTHSERV_ID).spf for mail in sink.received}
    wrong = [f"{name}: {found[recipient]} instead of {result}"
             for recipient, (name, result) in sent.items()
             if found[recipient] not in ([result] if isinstance(result, str) else result)]
    assert not wrong, f"{len(wrong)} of {len(sent)}:\n" + "\n".join(wrong)
    assert len(sent) >= CASES_MIN
