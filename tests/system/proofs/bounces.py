"""Notices are understood by other people's programs, and none goes to who must not get one.

flufl.bounce (Mailman's) and Mail::DeliveryStatus::BounceParser (of list managers in Perl) must find
exactly the recipients that failed, with the right status, and Python's parser nothing to complain
of. Neither of the two knows UTF-8 reports (RFC 6533), which a recipient beyond ASCII needs: there
they must find nothing, and the report must say the right thing by itself.
"""

import contextlib
import re
import smtplib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from harness import bounce_readers, wait
from harness.dns_server import DnsServer
from harness.mails import HARD_MAIL
from harness.node import TRUSTING, Node, merged, routes_to
from harness.rawclient import RawClient
from harness.speaker import Heard, Speaker
from proofs.figures import Figures, require

SENDER = "ann@home.test"
RECORDS = {("null.test", "MX"): ["0 ."], ("null.test", "A"): ["127.0.0.1"],
           ("home.test", "A"): ["127.0.0.1"]}
MODERN = ("8BITMIME", "SMTPUTF8", "PIPELINING")
PLAIN_BODY = "0123456789 all of it is ASCII"
ORIGINALS = {
    "ASCII": HARD_MAIL.replace(".\u00fcml\u00e4ut".encode(), PLAIN_BODY.encode()),
    "8-bit": HARD_MAIL,
    "SMTPUTF8": HARD_MAIL.replace(b"every byte", "jedes Byte für Jürgen".encode()),
}
RETURNS = {"": (), "HDRS": ("RET=HDRS",), "FULL": ("RET=FULL",)}
# Who fails at once, and with what; everybody at ok.test gets it.
FAILURES = {"one@rcpt.test": "5.1.1", "two@rcpt.test": "5.1.1", "bo+tag@rcpt.test": "5.1.1",
            "one@data.test": "5.6.0", "one@dot.test": "5.7.1", "one@mail.test": "5.7.1",
            "one@unknown.test": "5.1.2", "one@null.test": "5.1.10"}
DELIVERED = ["one@ok.test", "two@ok.test"]
WAITING = {"one@later.test": "5.4.7", "two@later.test": "5.4.7", "one@closed.test": "5.4.7"}
FLOOD, FLOOD_FULL = 40, 400
NOTICE_BYTES_MAX = 64 * 1024
VICTIM = "victim@home.test"


@dataclass
class Stage:
    node: Node
    short_lived: Node  # gives up after seconds
    home: Speaker
    ok: Speaker
    figures: Figures
    faults: list[str] = field(default_factory=list)
    notices: int = 0

    def told(self, text: str) -> list[Heard]:
        """What came home and has the text in it."""
        return [one for one in self.home.heard if text.encode() in one.content]


@contextlib.contextmanager
def staged(figures: Figures) -> Iterator[Stage]:
    with contextlib.ExitStack() as stack:
        def speaker(*keywords: str, **refuses: str) -> Speaker:
            return stack.enter_context(Speaker(*keywords, refuses=refuses))

        home, ok = speaker(*MODERN), speaker(*MODERN)
        servers = {
            "home.test": home, "ok.test": ok, "old.test": speaker("PIPELINING"),
            "seven.test": speaker("SIZE"), "small.test": speaker("8BITMIME", "SIZE 1000"),
            "rcpt.test": speaker(*MODERN, RCPT="550 5.1.1 no such user here"),
            "data.test": speaker(*MODERN, DATA="554 5.6.0 not like this"),
            "dot.test": speaker(*MODERN, **{".": "550 5.7.1 no; <dot@elsewhere.test> says so"}),
            "mail.test": speaker(*MODERN, MAIL="553 5.7.1 not from you"),
            "later.test": speaker(*MODERN, RCPT="450 4.2.1 try <again@later.test> later")}
        dns = stack.enter_context(DnsServer(RECORDS))
        ports = {domain: one.port for domain, one in servers.items()} | {"closed.test": 1}
        settings = merged(merged(routes_to(ports), TRUSTING), {
            "delivery": {"dns_servers": [dns.address]},
            "intake": {"relay_domains": list(ports)}})
        short = merged(settings, {"queue": {"min_retry_age": "1s", "max_retry_age": "1s",
                                            "delay_warning": "1s", "lifetime": "4s",
                                            "bounce_lifetime": "4s"}})
        nodes = [stack.enter_context(Node(one)) for one in (settings, short)]
        yield Stage(*nodes, home, ok, figures)


def send(node: Node, mail: bytes, recipients: list[str], options: tuple[str, ...] = (),
         recipient_options: tuple[str, ...] = (), sender: str = SENDER) -> None:
    with smtplib.SMTP("127.0.0.1", node.ports["submission"], "client.test") as client:
        client.ehlo()
        client.sendmail(sender, recipients, mail, ("BODY=8BITMIME", *options), recipient_options)


def settled(node: Node) -> None:
    wait.until(lambda: node.queue() == [], "the queue is empty", 60, every_s=0.1)


def mail_for(tag: str, original: str = "ASCII") -> bytes:
    return ORIGINALS[original].replace(b"<hard@", f"<{tag}@".encode())


def judge(stage: Stage, tag: str, expected: dict[str, str], action: str = "failed",
          shown: dict[str, str] | None = None) -> list[bounce_readers.Reading]:
    """The notices with that ENVID: all of one kind, about exactly these recipients.

    `shown`: what the programs report instead of a final recipient (ORCPT)."""
    texts = [one.content for one in stage.told(f"Original-Envelope-Id: {tag}\r\n")
             if f"Action: {action}".encode() in one.content]
    readings = bounce_readers.read(texts)
    stage.notices += len(texts)
    said: dict[str, str] = {}
    for reading in readings:
        said |= reading.statuses
        stage.faults += [f"{tag}: {fault}" for fault in reading.faults]
        if reading.actions != {action}:
            stage.faults.append(f"{tag}: {reading.actions} in one notice")
        judge_programs(stage, tag, reading, action, shown or {})
    if said != expected:
        stage.faults.append(f"{tag}: the reports say {said}, not {expected}")
    if len(readings) != 1:
        stage.faults.append(f"{tag}: {len(readings)} notices of {action}")
    return readings


def judge_programs(stage: Stage, tag: str, reading: bounce_readers.Reading, action: str,
                   shown: dict[str, str]) -> None:
    own = {shown.get(address, address): status for address, status in reading.statuses.items()}
    if not all(address.isascii() for address in own):
        own = {}  # they do not know such reports
    permanent = own if action == "failed" else {}
    temporary = set(own) if action == "delayed" else set()
    if reading.permanent != set(permanent) or reading.temporary != temporary:
        stage.faults.append(f"{tag}: flufl.bounce finds {reading.permanent} for good and "
                            f"{reading.temporary} for now")
    if reading.failures != permanent or (permanent and not reading.is_bounce):
        stage.faults.append(f"{tag}: BounceParser finds {reading.failures}")
    if action != "failed" and reading.is_bounce:
        stage.faults.append(f"{tag}: BounceParser takes {action} for a bounce")


def failures(stage: Stage) -> None:
    """Every way to fail at once, x RET x originals."""
    cases = list(product(ORIGINALS, RETURNS))
    for original, ret in cases:
        tag = f"fail-{original}-{ret}"
        utf8 = ("SMTPUTF8",) if original == "SMTPUTF8" else ()
        send(stage.node, mail_for(tag, original), [*FAILURES, *DELIVERED],
             (*RETURNS[ret], f"ENVID={tag}", *utf8))
    settled(stage.node)
    for original, ret in cases:
        tag = f"fail-{original}-{ret}"
        readings = judge(stage, tag, FAILURES)
        whole = ret == "FULL" and original != "8-bit"  # the sender may have no way for 8-bit octets
        for one, reading in zip(stage.told(f"Original-Envelope-Id: {tag}\r\n"), readings):
            if (b"x" * 900 in one.content) != whole:
                stage.faults.append(f"{tag}: what is returned is not as RET asks")
            if original != "SMTPUTF8" and reading.original != f"<{tag}@posthorse.test>":
                stage.faults.append(f"{tag}: BounceParser finds {reading.original!r} bounced")
    stage.figures.add("failed at once", f"{len(cases)} mails (3 originals x RET), each "
                      f"{len(FAILURES)} recipients that fail and {len(DELIVERED)} that do not")


def refused_by_what_servers_lack(stage: Stage) -> None:
    """5.6.7, 5.6.3, 5.3.4: the node fails them by itself."""
    send(stage.node, mail_for("lack-utf8", "SMTPUTF8"), ["one@old.test", "one@ok.test"],
         ("SMTPUTF8", "ENVID=lack-utf8"))
    send(stage.node, mail_for("lack-name"), ["jürgen@old.test", "jürgen@ok.test", "one@ok.test"],
         ("SMTPUTF8", "ENVID=lack-name"))
    send(stage.node, mail_for("lack-both"), ["jürgen@rcpt.test", "one@rcpt.test"],
         ("SMTPUTF8", "ENVID=lack-both", "RET=FULL"))
    send(stage.node, mail_for("lack-8bit", "8-bit"), ["one@seven.test"], ("ENVID=lack-8bit",))
    send(stage.node, mail_for("lack-size"), ["one@small.test"], ("ENVID=lack-size",))
    settled(stage.node)
    judge(stage, "lack-utf8", {"one@old.test": "5.6.7"})
    judge(stage, "lack-name", {"jürgen@old.test": "5.6.7"})
    judge(stage, "lack-both", {"jürgen@rcpt.test": "5.1.1", "one@rcpt.test": "5.1.1"})
    judge(stage, "lack-8bit", {"one@seven.test": "5.6.3"})
    judge(stage, "lack-size", {"one@small.test": "5.3.4"})
    stage.figures.add("failed for what a server lacks", "SMTPUTF8, 8BITMIME, SIZE")


def original_recipient(stage: Stage) -> None:
    send(stage.node, mail_for("orcpt"), ["one@rcpt.test"], ("ENVID=orcpt",),
         ("NOTIFY=FAILURE", "ORCPT=rfc822;list+2Bmember@before.test"))
    settled(stage.node)
    judge(stage, "orcpt", {"one@rcpt.test": "5.1.1"},
          shown={"one@rcpt.test": "list+member@before.test"})
    stage.figures.add("ORCPT", "found as the failed recipient")


def delays_and_expiries(stage: Stage) -> None:
    for original in ORIGINALS:
        utf8 = ("SMTPUTF8",) if original == "SMTPUTF8" else ()
        tag = f"late-{original}"
        send(stage.short_lived, mail_for(tag, original), [*WAITING, *DELIVERED],
             (f"ENVID={tag}", *utf8))
    settled(stage.short_lived)
    delayed = {"one@later.test": "4.2.1", "two@later.test": "4.2.1", "one@closed.test": "4.4.1"}
    for original in ORIGINALS:
        judge(stage, f"late-{original}", delayed, "delayed")
        judge(stage, f"late-{original}", WAITING)
    stage.figures.add("delayed, then expired", f"{len(ORIGINALS)} mails: each a notice of delay, "
                      "which nobody takes for a failure, then one of failure")


def relays(stage: Stage) -> None:
    send(stage.node, mail_for("relay"), ["one@ok.test", "one@rcpt.test"], ("ENVID=relay",),
         ("NOTIFY=SUCCESS,FAILURE",))
    settled(stage.node)
    judge(stage, "relay", {"one@ok.test": "2.0.0"}, "relayed")
    judge(stage, "relay", {"one@rcpt.test": "5.1.1"})
    stage.figures.add("relayed", "a notice that nobody takes for a failure")


# No backscatter.

def to_nobody(stage: Stage) -> None:
    """The null sender, NOTIFY=NEVER, and notices that fail themselves."""
    before = len(stage.home.heard)
    everybody = ("NOTIFY=SUCCESS,FAILURE,DELAY",)
    for node, recipients in ((stage.node, [*FAILURES, "one@ok.test"]),
                             (stage.short_lived, list(WAITING))):
        send(node, mail_for("null-sender"), recipients, (), everybody, sender="")
        send(node, mail_for("never"), recipients, (), ("NOTIFY=NEVER",))
        # Their notices have nowhere to go, are refused, or wait until their time is over.
        for sender in ("one@rcpt.test", "one@dot.test", "one@unknown.test", "one@null.test"):
            send(node, mail_for("dsn-of-dsn"), recipients, (), everybody, sender=sender)
    settled(stage.node)
    settled(stage.short_lived)
    if len(stage.home.heard) != before:
        stage.faults.append(f"backscatter: {stage.home.heard[before].content[:2000]!r}")
    stray = [one for one in stage.ok.heard
             if re.search(rb"(?m)^Auto-Submitted:", one.content.split(b"\r\n\r\n", 1)[0])]
    if stray:
        stage.faults.append(f"a notice went astray: {stray[0].content[:2000]!r}")
    stage.figures.add("null sender, NOTIFY=NEVER, notices that fail", "no notice")


def to_victims(stage: Stage, flood: int) -> None:
    """Strangers in somebody's name, with a large body: at most one small notice for each."""
    text = mail_for("flood", "8-bit").replace(b"----=_edge--", b"z" * 900 + b"\r\n" * 2)
    mail = text + (b"y" * 76 + b"\r\n") * 2000
    accepted = []
    with smtplib.SMTP("127.0.0.1", stage.node.ports["mx"], "stranger.test") as client:
        for _ in range(flood):
            client.ehlo_or_helo_if_needed()
            client.mail(VICTIM, ["BODY=8BITMIME"])
            for i in range(5):
                for domain in ("rcpt.test", "data.test", "dot.test", "mail.test"):
                    client.rcpt(f"user{i}@{domain}")
            code, reply = client.data(mail)
            require(code == 250, f"the flood is refused: {code} {reply!r}")
            accepted.append(re.search(r"[0-9A-HJKMNP-TV-Z]{26}", reply.decode())[0])
    settled(stage.node)
    about = stage.told(f"To: <{VICTIM}>")
    counts = Counter(re.search(rb"X-Posthorse-Queue-ID: (\S+)", one.content)[1].decode()
                     for one in about)
    if counts != Counter(accepted):
        stage.faults.append(f"{len(accepted)} forged mails make {len(about)} notices; at most "
                            f"{max(counts.values(), default=0)} for one")
    largest = max((len(one.content) for one in about), default=0)
    if largest > NOTICE_BYTES_MAX:
        stage.faults.append(f"a notice has {largest} octets")
    if not all(any(line.startswith("MAIL FROM:<>") for line in one.commands) for one in about):
        stage.faults.append("a notice has a sender")
    stage.figures.add("forged senders", f"{len(accepted)} mails of {len(mail)} octets to 20 "
                      f"recipients: {len(about)} notices of at most {largest} octets")


def to_the_unknown(stage: Stage) -> None:
    """With a recipient map who is unknown is refused in the session: there is nothing to bounce."""
    rows = stage.node.folder / "recipients"
    rows.write_text("To:one@ok.test RELAY\nTo:ok.test REJECT\n")
    settings = merged(routes_to({"ok.test": stage.ok.port, "home.test": stage.home.port}),
                      {"intake": {"recipient_map": str(rows)}, "limits": {"errors_max": 1000}})
    before, taken = len(stage.home.heard), len(stage.ok.heard)
    with Node(settings) as node:
        with RawClient(node.ports["mx"]) as client:
            client.say("EHLO stranger.test")
            client.say(f"MAIL FROM:<{VICTIM}>")
            replies = [client.say(f"RCPT TO:<user{i}@ok.test>") for i in range(200)]
            known = client.say("RCPT TO:<one@ok.test>")
            client.say("RSET")
        require(known.startswith("250"), f"who is known is refused: {known}")
        if not all(reply.startswith("550 5.1.1") for reply in replies):
            stage.faults.append(f"unknown recipients hear {set(replies)}")
        settled(node)
    if (len(stage.home.heard), len(stage.ok.heard)) != (before, taken):
        stage.faults.append("mail came of a refused session")
    stage.figures.add("unknown recipients", "refused in the session, no notice")


def main(full: bool) -> None:
    figures = Figures("notices to senders")
    with staged(figures) as stage:
        for check in (failures, refused_by_what_servers_lack, original_recipient, relays,
                      delays_and_expiries, to_nobody, to_the_unknown):
            check(stage)
        to_victims(stage, FLOOD_FULL if full else FLOOD)
        figures.add("read by flufl.bounce and BounceParser", f"{stage.notices} notices")
        figures.show()
        require(not stage.faults, f"{len(stage.faults)} faults:\n" + "\n".join(stage.faults))
