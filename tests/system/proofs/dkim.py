"""dkimpy and Mail::DKIM find the signatures good on what a receiving server was given.

Keys, RSA and Ed25519, come from `posthorse dkim keygen`; the judges see the DNS records that it
printed. The mails are Python's own e-mail test data and some that are harder still. A mail that the
node refuses (it breaks RFC 5322) must be refused with a 5yz reply, and is counted.
"""

import smtplib
import ssl

from harness import wait
from harness.dkim_check import dkimpy_results, mail_dkim_results
from harness.dkim_keys import Key, generate, write_tables
from harness.mails import Mail, more_mails, python_mails
from harness.node import LOGIN, PASSWORD, Node, merged, routes_to
from harness.sinks import Received, Sink
from proofs.figures import Figures, require

DOMAIN = "posthorse.test"
SIGNED_MIN = 45  # of the mails; most of the rest are broken on purpose


def submit(client: smtplib.SMTP, recipient: str, mail: Mail) -> str:
    """Empty when it was taken, or the node's reply."""
    for code, text in (client.mail(LOGIN), client.rcpt(recipient)):
        require(code == 250, f"{mail.name}: {code} {text!r}")
    code, text = client.data(mail.content)
    require(code == 250 or 500 <= code < 600, f"{mail.name}: answered {code} {text!r}")
    return "" if code == 250 else f"{code} {text.decode()}"


def submit_all(node: Node, mails: list[Mail]) -> dict[str, str]:
    context = ssl.create_default_context(cafile=node.certificates.ca)
    replies = {}
    for number, mail in enumerate(mails):
        with smtplib.SMTP_SSL("localhost", node.ports["submissions"], "client.test",
                              context=context) as client:
            client.login(LOGIN, PASSWORD)
            replies[mail.name] = submit(client, f"mail-{number}@sink.test", mail)
    return replies


def judge(received: dict[str, Received], keys: list[Key]) -> int:
    """Raises when a judge dislikes a signature, or one is missing; returns how many were good."""
    names = sorted(received)
    by_perl = mail_dkim_results([received[name].content for name in names], keys)
    wanted = sorted(["rsa-sha256=pass", "ed25519-sha256=pass"])
    faults = []
    for name, perl in zip(names, by_perl):
        python = dkimpy_results(received[name].content, keys)
        if sorted(perl) != wanted or python != [True, True]:
            faults.append(f"{name}: Mail::DKIM {perl}, dkimpy {python}")
    require(not faults, "signatures that a judge does not find good:\n" + "\n".join(faults))
    return 2 * len(names)


def check_header(received: dict[str, Received]) -> None:
    for name, message in received.items():
        head = message.content.split(b"\r\n\r\n")[0]
        require(b"; l=" not in head, f"{name}: signs a length (l=)")


def main(full: bool) -> None:
    mails = python_mails() + more_mails()
    node = Node()
    keys = [generate(node.folder / "keys", DOMAIN, kind, kind) for kind in ("rsa", "ed25519")]
    tables = write_tables(node.folder, keys)
    # Everything is signed for one domain: the mails come from many.
    rows = "".join(f"* {key.name}\n" for key in keys)
    (node.folder / "SigningTable").write_text(rows)
    figures = Figures("DKIM: dkimpy and Mail::DKIM")
    with Sink() as sink:
        anyone = {"auth": {"exempt_logins": [LOGIN]}}
        node.write_config(merged(merged(routes_to({"sink.test": sink.port}), tables), anyone))
        node.add_user()
        with node:
            replies = submit_all(node, mails)
            taken = [mail for mail in mails if not replies[mail.name]]
            wait.until(lambda: len(sink.received) >= len(taken), f"{len(taken)} mails arrive", 60)
        by_recipient = {message.recipients[0]: message for message in sink.received}
    received = {mail.name: by_recipient[f"mail-{n}@sink.test"] for n, mail in enumerate(mails)
                if not replies[mail.name]}
    good = judge(received, keys)
    check_header(received)
    require(len(received) >= SIGNED_MIN, f"only {len(received)} of {len(mails)} mails were taken")
    figures.add("mails", len(mails))
    for name, reply in replies.items():
        if reply:
            figures.add(f"refused: {name}", reply)
    figures.add("taken, signed twice and received", len(received))
    figures.add("signatures good by both judges", good)
    figures.show()
