"""A real Postfix understands what is passed on: UTF-8 addresses, and what is asked of notices.

It delivers for an address beyond ASCII and tells the sender so by itself, through the node; the
node, which passed that duty on, tells nobody.
"""

import smtplib
import tempfile
from pathlib import Path

from harness import postfix, wait
from harness.node import TRUSTING, Node, merged, routes_to
from harness.postfix_root import PostfixRoot
from harness.sinks import Sink
from proofs.figures import Figures, require

MAIL = ("Date: Thu, 26 Nov 2026 07:00:00 +0000\r\nMessage-ID: <1@home.test>\r\n"
        "From: ann@home.test\r\nSubject: Grüße\r\n\r\nschöne Grüße\r\n").encode()
RECIPIENT = "jürgen@postfix.test"


def main(full: bool) -> None:
    with tempfile.TemporaryDirectory() as scratch, PostfixRoot() as root, Sink() as home:
        run(root, Path(scratch), home)


def run(root: PostfixRoot, scratch: Path, home: Sink) -> None:
    node = Node()
    settings = postfix.receiving_settings(node.certificates, root) | {
        "smtputf8_enable": "yes", "relayhost": f"[127.0.0.1]:{node.ports['mx']}"}
    with postfix.Postfix(root, scratch / "spool", settings) as taker:
        node.write_config(merged(routes_to({"postfix.test": taker.port, "home.test": home.port}),
                                 TRUSTING))
        with node:
            submit(node)
            wait.until(lambda: home.received, "Postfix's notice arrives", 120)
            log = node.log.read_text(encoding="utf-8")
        taken = postfix.taken_messages(root)
    require([text.endswith(MAIL) for text in taken] == [True], f"Postfix took {taken!r}")
    require(b"with UTF8SMTP" in taken[0], "Received does not say UTF8SMTP")
    notice = home.received[0].content
    for field in ("Action: delivered", "Original-Envelope-Id: QQ+1", "jürgen@postfix.test"):
        require(field.encode() in notice, f"{field} is not in the notice: {notice!r}")
    require("relay_told" not in log, "the node told of a relay, too")
    figures = Figures("node -> Postfix -> node")
    figures.add("Postfix", taker.version())
    figures.add("SMTPUTF8 and DSN", "passed on, delivered, and told by Postfix alone")
    figures.show()


def submit(node: Node) -> None:
    with smtplib.SMTP("127.0.0.1", node.ports["submission"], "client.test") as client:
        client.ehlo()
        client.sendmail("ann@home.test", [RECIPIENT], MAIL,
                        ("SMTPUTF8", "BODY=8BITMIME", "ENVID=QQ+2B1"), ("NOTIFY=SUCCESS",))
