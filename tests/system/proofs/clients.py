"""Five mail clients submit on 465 and 587; three servers receive; every byte arrives.

The clients: swaks, msmtp, curl, Python's smtplib, nodemailer. The servers: aiosmtpd with STARTTLS,
Postfix's smtp-sink, a real Postfix that demands TLS. What arrives is what was submitted, with
fields added on top and nothing else changed.
"""

import ssl
import tempfile
from pathlib import Path

from harness import postfix, wait
from harness.clients import CLIENTS, Submission
from harness.mails import HARD_MAIL
from harness.node import LOGIN, PASSWORD, Node, routes_to
from harness.postfix_root import PostfixRoot
from harness.sinks import Doors, Sink
from proofs.figures import Figures, require

PORTS = {"submission": False, "submissions": True}  # listener -> implicit TLS


def mail_for(tag: str) -> bytes:
    return HARD_MAIL.replace(b"<hard@", f"<{tag}@".encode())


def submit_all(node: Node, domain: str) -> dict[str, bytes]:
    """One mail by each client on each port to `domain`; what was sent, by tag."""
    sent = {}
    for client, submit in CLIENTS.items():
        for listener, implicit in PORTS.items():
            tag = f"{client}-{listener}-{domain}"
            sent[tag] = mail_for(tag)
            submit(Submission(node.ports[listener], implicit, node.certificates.ca, LOGIN, PASSWORD,
                              LOGIN, f"you@{domain}", sent[tag]))
    return sent


def check_arrived(server: str, sent: dict[str, bytes], arrived: list[bytes]) -> None:
    for tag, mail in sent.items():
        found = [text for text in arrived if f"<{tag}@".encode() in text]
        require(len(found) == 1, f"{server}: {tag} arrived {len(found)} times")
        added = found[0].removesuffix(mail)
        require(found[0].endswith(mail), f"{server}: {tag} was changed on its way:\n{found[0]!r}")
        require(added.startswith(b"Received: ") and b"\r\n\r\n" not in added,
                f"{server}: {tag} has something else than fields on top: {added!r}")
        require(b"with ESMTPSA" in added, f"{server}: Received does not say ESMTPSA: {added!r}")


def tls_context(node: Node) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(node.certificates.chain, node.certificates.key)
    return context


def main(full: bool) -> None:
    with tempfile.TemporaryDirectory() as scratch, PostfixRoot() as root:
        run(root, Path(scratch))


def run(root: PostfixRoot, scratch: Path) -> None:
    node = Node()
    aio = Sink(doors=Doors(tls_context(node)))
    taker = postfix.Postfix(root, scratch / "spool",
                            postfix.receiving_settings(node.certificates, root))
    with aio, postfix.SmtpSink(root, scratch / "sink.log", dump=True) as sink, taker:
        node.write_config(routes_to({"aio.test": aio.port, "sink.test": sink.port,
                                     "postfix.test": taker.port}))
        node.add_user()
        arrivals = {"aio.test": lambda: [m.content for m in aio.received],
                    "sink.test": sink.messages,
                    "postfix.test": lambda: postfix.taken_messages(root)}
        figures = Figures("clients -> node -> server")
        with node:
            for domain, arrived in arrivals.items():
                sent = submit_all(node, domain)
                wait.until(lambda: len(arrived()) >= len(sent), f"{len(sent)} mails for {domain}")
                check_arrived(domain, sent, arrived())
                figures.add(domain, f"{len(sent)} of {len(sent)} mails, byte for byte")
        require(all(m.tls for m in aio.received), "a mail for aiosmtpd came without TLS")
        require(taker.log().count("TLS connection established from") > 0, "Postfix saw no TLS")
        figures.add("clients", ", ".join(CLIENTS))
        figures.show()
