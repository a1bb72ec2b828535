"""The servers' half of `interop`: mail to other people's servers, and mail from them.

Out     a client -> node -> server. Domains below the server's lead through a wire-tap that hides
        STARTTLS (`clear.`), or DSN as well (`mute.`).
In      a client -> server -> wire-tap -> node -> home.test, which keeps everything; aware.test,
        which knows DSN; gone.test, which refuses.
"""

import contextlib
import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from harness import wait
from harness.dns_server import DnsServer
from harness.foreign_exim import Exim
from harness.foreign_opensmtpd import OpenSmtpd
from harness.foreign_postfix import Postfix
from harness.foreign_sendmail import Sendmail
from harness.foreign_server import RECIPIENTS_MAX, UNKNOWN_USER, ForeignServer
from harness.mails import HARD_MAIL
from harness.node import TRUSTING, Node, merged, routes_to
from harness.sinks import Sink
from harness.speaker import Speaker
from harness.tap import Tap
from proofs.figures import require

BOUNDED, ALL = (Postfix, Exim), (Postfix, Exim, OpenSmtpd, Sendmail)
DNS_ADDRESS = "127.0.0.54"  # a resolver's file knows no port but 53
SENDER = "ann@home.test"
NODE_TAKES = 100  # recipients, of a server
# A connection that stands would outlive a server's listening.
QUICK = {"queue": {"min_retry_age": "1s", "max_retry_age": "2s"},
         "delivery": {"idle_connection": "1ms"}}
PATIENCE_S = 60
LATENCY_S = 0.05  # more than a client takes to say the next thing
PASSED = "passed"


@dataclass
class Pair:
    """A server, a node on either side of it, and where mail ends."""

    server: ForeignServer
    sender: Node    # gives mail to the server
    receiver: Node  # takes mail from it
    home: Speaker
    aware: Speaker
    clear: Tap      # between sender and server, without STARTTLS
    relay: Tap      # between server and receiver
    large_bytes: int
    offer: dict[str, str] = field(default_factory=dict)

    def lacks(self, keyword: str) -> str | None:
        return None if keyword in self.offer else "does not speak (not in its EHLO)"


def mail_for(tag: str, text: bytes = HARD_MAIL) -> bytes:
    return text.replace(b"<hard@", f"<{tag}@".encode())


def utf8_mail(tag: str) -> bytes:
    return mail_for(tag, HARD_MAIL.replace(b"every byte", "jedes Byte für Jürgen".encode()))


def large_mail(tag: str, size_bytes: int) -> bytes:
    line = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789a\r\n"
    head = mail_for(tag).split(b"\r\n\r\n", 1)[0].replace(
        b'multipart/mixed; boundary="--=_edge"', b"text/plain")
    return head + b"\r\n\r\n" + line * (size_bytes // len(line))


def send(port: int, mail: bytes, recipients: list[str], options: tuple[str, ...] = (),
         recipient_options: tuple[str, ...] = ()) -> None:
    with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=120) as client:
        client.ehlo()
        eight = ("BODY=8BITMIME",) if client.has_extn("8bitmime") and not mail.isascii() else ()
        client.sendmail(SENDER, recipients, mail, (*options, *eight), recipient_options)


def arrived(messages: list[bytes], tag: str) -> list[bytes]:
    """Those that were sent with the tag: not notices, which quote it further below."""
    found = []
    for text in messages:
        head = text.split(b"\r\n\r\n", 1)[0]
        if re.search(rb"(?mi)^Message-ID: <" + tag.encode() + b"@", head):
            found.append(text)
    return found


def is_whole(pair: Pair, text: bytes, mail: bytes) -> bool:
    """As it was sent below what was put on top; sendmail writes header fields in its own way."""
    if text.endswith(mail):
        return True
    (head, body), (sent_head, sent_body) = (one.split(b"\r\n\r\n", 1) for one in (text, mail))
    unfolded = re.sub(rb"\r\n[ \t]+", b" ", head).split(b"\r\n")
    sent = re.sub(rb"\r\n[ \t]+", b" ", sent_head).split(b"\r\n")
    return pair.server.name == "sendmail" and body == sent_body and set(sent) <= set(unfolded)


def taken_whole(pair: Pair, tag: str, mail: bytes, count: int = 1,
                timeout_s: float = PATIENCE_S) -> None:
    """The server delivered it, whole."""
    wait.until(lambda: len(arrived(pair.server.taken(), tag)) >= count,
               f"{pair.server.name} delivers {tag}", timeout_s, every_s=0.1)
    found = arrived(pair.server.taken(), tag)
    require(len(found) == count, f"{tag} arrived {len(found)} times instead of {count}")
    for text in found:
        require(is_whole(pair, text, mail), f"{tag} was changed:\n{text[:3000]!r}")


def home_whole(pair: Pair, tag: str, mail: bytes) -> bytes:
    """It came home by way of the server and the node, whole."""
    def found() -> list[bytes]:
        pair.server.flush()  # a connection that the tap has cut may have put it off
        return arrived([one.content for one in pair.home.heard], tag)

    [text] = wait.until(found, f"{tag} comes home by {pair.server.name}", PATIENCE_S, every_s=0.5)
    require(is_whole(pair, text, mail), f"{tag} was changed:\n{text[:3000]!r}")
    return text


def notice(pair: Pair, envelope_id: str, action: str) -> str:
    """The report about a message, once it is home: by its ENVID, or the Message-ID it quotes."""
    name = re.escape(envelope_id)
    about = re.compile(rf"(?mi)^(?:Original-Envelope-Id: {name}\s*|Message-ID: <{name}@.*)$")

    def found() -> list[str]:
        texts = [one.content.decode(errors="replace") for one in pair.home.heard]
        return [text for text in texts if "Action: " in text and about.search(text)]

    wait.until(found, f"a notice about {envelope_id}", PATIENCE_S)
    [text] = found()
    require(bool(re.search(rf"(?mi)^Action: {action}\b", text)),
            f"the notice about {envelope_id} does not say {action}:\n{text}")
    return text


def said_at_once(tap: Tap, *texts: bytes) -> bool:
    """Without a reply in between."""
    return any(all(text in turn.upper() for text in texts) for turn in tap.turns())


def said(tap: Tap, text: bytes) -> bool:
    return text in b"".join(tap.turns())


# Out: from the node to the server.

def speaks_tls_to_others(port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=60) as client:
            client.starttls(context=context)
            return client.ehlo()[0] == 250
    except (OSError, smtplib.SMTPException):
        return False


def out_tls(pair: Pair) -> str:
    recipient = f"you@{pair.server.domain}"
    send(pair.sender.ports["submission"], mail_for("out-tls"), [recipient])
    taken_whole(pair, "out-tls", mail_for("out-tls"))
    line = re.search(rf"to=<{re.escape(recipient)}>.* tls=(TLSv1\.[23]).*stat=Sent",
                     pair.sender.log.read_text())
    if line is None and not speaks_tls_to_others(pair.server.port):
        return "its TLS fails others, too: in clear"  # Debian's OpenSMTPD with OpenSSL 3
    require(line is not None, "the node's log knows no TLS to it")
    return f"{PASSED} ({line[1]})"


def out_in_clear(pair: Pair) -> str:
    """The tap sees what the next three look at, too."""
    send(pair.sender.ports["submission"], mail_for("out-clear"),
         [f"{name}@clear.{pair.server.domain}" for name in ("one", "two")])
    taken_whole(pair, "out-clear", mail_for("out-clear"), 2)
    return PASSED


def out_eight_bit(pair: Pair) -> str:
    require(said(pair.clear, b" BODY=8BITMIME"), "the node does not say BODY=8BITMIME")
    return PASSED


def out_pipelining(pair: Pair) -> str:
    if lack := pair.lacks("pipelining"):
        require(not said_at_once(pair.clear, b"MAIL FROM:", b"RCPT TO:"), "unasked, it pipelines")
        return lack
    require(said_at_once(pair.clear, b"MAIL FROM:", b"RCPT TO:", b"DATA\r\n"),
            "the node does not pipeline")
    return PASSED


def out_chunking(pair: Pair) -> str:
    require(said(pair.clear, b"DATA\r\n") and not said(pair.clear, b"BDAT "), "it is no DATA")
    return pair.lacks("chunking") or "the node sends DATA"


def out_utf8(pair: Pair) -> str:
    recipient = f"jürgen@clear.{pair.server.domain}"
    send(pair.sender.ports["submission"], utf8_mail("out-utf8"), [recipient],
         ("SMTPUTF8", "ENVID=out-utf8"))
    if lack := pair.lacks("smtputf8"):
        require("5.6.7" in notice(pair, "out-utf8", "failed"), "the status is not 5.6.7")
        return f"{lack}: 5.6.7"
    taken_whole(pair, "out-utf8", utf8_mail("out-utf8"))
    require(said(pair.clear, b" SMTPUTF8"), "the node does not say SMTPUTF8")
    return PASSED


def out_dsn_delivered(pair: Pair) -> str:
    if lack := pair.lacks("dsn"):
        return lack
    send(pair.sender.ports["submission"], mail_for("out-success"), [f"you@{pair.server.domain}"],
         ("ENVID=out-success",), ("NOTIFY=SUCCESS", "ORCPT=rfc822;first@there.test"))
    text = notice(pair, "out-success", "(delivered|relayed)")
    missing = [name for name, value in (("ENVID", "original-envelope-id: out-success"),
                                        ("ORCPT", "first@there.test"))
               if value not in text.lower()]
    action = re.search("(?mi)^Action: ([a-z]+)", text)[1]
    return f"{PASSED} ({', '.join([action, *(f'no {name}' for name in missing)])})"


def out_dsn_failed(pair: Pair) -> str:
    send(pair.sender.ports["submission"], mail_for("out-failed"),
         [f"you@{pair.server.domain}", f"{UNKNOWN_USER}@{pair.server.domain}"],
         ("ENVID=out-failed",), ("NOTIFY=FAILURE",))
    text = notice(pair, "out-failed", "failed")
    refused = re.findall(r"(?m)^Final-Recipient: rfc822; (\S+)\r?\nAction: failed\r?\n"
                         r"Status: (5\.\S+)", text)
    require([one[0] for one in refused] == [f"{UNKNOWN_USER}@{pair.server.domain}"],
            f"the notice names {refused}")
    taken_whole(pair, "out-failed", mail_for("out-failed"))
    return f"{PASSED} ({refused[0][1].strip()})"


def out_dsn_relayed(pair: Pair) -> str:
    send(pair.sender.ports["submission"], mail_for("out-relayed"),
         [f"you@mute.{pair.server.domain}"], ("ENVID=out-relayed",), ("NOTIFY=SUCCESS",))
    notice(pair, "out-relayed", "relayed")
    taken_whole(pair, "out-relayed", mail_for("out-relayed"))
    return PASSED


def out_large(pair: Pair) -> str:
    mail = large_mail("out-large", pair.large_bytes)
    send(pair.sender.ports["submission"], mail, [f"you@{pair.server.domain}"])
    taken_whole(pair, "out-large", mail, timeout_s=180)
    return f"{PASSED} ({len(mail) >> 20} MiB)"


def out_many(pair: Pair) -> str:
    count = 2 * RECIPIENTS_MAX + 50
    names = [f"user{i}@{pair.server.domain}" for i in range(count)]
    send(pair.sender.ports["submission"], mail_for("out-many"), names)
    taken_whole(pair, "out-many", mail_for("out-many"), count, timeout_s=180)
    return f"{PASSED} ({count}, it takes {RECIPIENTS_MAX})"


def out_later(pair: Pair) -> str:
    pair.server.stop()
    recipient = f"later@{pair.server.domain}"
    send(pair.sender.ports["submission"], mail_for("out-later"), [recipient])
    try:
        wait.until(lambda: re.search(rf"to=<{re.escape(recipient)}>.*stat=Deferred",
                                     pair.sender.log.read_text()), "the node defers it", PATIENCE_S)
    finally:
        pair.server.start()
    taken_whole(pair, "out-later", mail_for("out-later"))
    return PASSED


# In: from the server to the node.

def in_tls(pair: Pair) -> str:
    send(pair.server.port, mail_for("in-tls"), ["you@home.test"])
    text = home_whole(pair, "in-tls", mail_for("in-tls"))
    with_clause = re.search(rb"with ESMTPS \((TLSv1\.[23])", text)
    require(with_clause is not None, f"it came without TLS: {text[:600]!r}")
    return f"{PASSED} ({with_clause[1].decode()})"


def in_clear(pair: Pair) -> str:
    """The tap sees what the next three look at, too."""
    pair.relay.forget(("STARTTLS",))
    pair.relay.latency_s = LATENCY_S
    send(pair.server.port, mail_for("in-clear"), ["one@home.test", "two@home.test"])
    home_whole(pair, "in-clear", mail_for("in-clear"))
    pair.relay.latency_s = 0
    return PASSED


def in_eight_bit(pair: Pair) -> str:
    return PASSED if said(pair.relay, b"BODY=8BITMIME") else "does not say BODY=8BITMIME"


def in_pipelining(pair: Pair) -> str:
    if said_at_once(pair.relay, b"MAIL FROM:", b"RCPT TO:"):
        return PASSED
    return "does not speak (waits for each reply)"


def in_chunking(pair: Pair) -> str:
    return PASSED if said(pair.relay, b"BDAT ") else "does not speak (sends DATA)"


def in_utf8(pair: Pair) -> str:
    if lack := pair.lacks("smtputf8"):
        return lack
    send(pair.server.port, utf8_mail("in-utf8"), ["jürgen@home.test"], ("SMTPUTF8",))
    text = home_whole(pair, "in-utf8", utf8_mail("in-utf8"))
    require(b"with UTF8SMTP" in text, "the node was not told SMTPUTF8")
    return PASSED


def in_dsn_passed_on(pair: Pair) -> str:
    if lack := pair.lacks("dsn"):
        return lack
    send(pair.server.port, mail_for("in-aware"), ["you@aware.test"], ("RET=HDRS", "ENVID=in-aware"),
         ("NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;first@there.test"))
    wait.until(lambda: pair.aware.heard, "aware.test gets it", PATIENCE_S)
    heard = " ".join(pair.aware.heard[0].commands)
    for word in ("ENVID=in-aware", "RET=HDRS", "ORCPT=rfc822;first@there.test", "NOTIFY=SUCCESS"):
        require(word in heard, f"{word} is lost: {heard}")
    return PASSED


def in_dsn_relayed(pair: Pair) -> str:
    if lack := pair.lacks("dsn"):
        return lack
    send(pair.server.port, mail_for("in-relayed"), ["you@home.test"], ("ENVID=in-relayed",),
         ("NOTIFY=SUCCESS",))
    require("node.posthorse.test" in notice(pair, "in-relayed", "relayed"), "not the node tells")
    return PASSED


def in_dsn_failed(pair: Pair) -> str:
    options = ((), ()) if pair.lacks("dsn") else (("ENVID=in-failed",), ("NOTIFY=FAILURE",))
    send(pair.server.port, mail_for("in-failed"), ["you@gone.test"], *options)
    if not pair.lacks("dsn"):
        notice(pair, "in-failed", "failed")
        return PASSED

    def told() -> list[str]:
        texts = [one.content.decode(errors="replace") for one in pair.home.heard]
        return [text for text in texts if "you@gone.test" in text and "Action: failed" in text]

    wait.until(told, "a notice about gone.test", PATIENCE_S)
    return PASSED


def in_large(pair: Pair) -> str:
    mail = large_mail("in-large", pair.large_bytes)
    send(pair.server.port, mail, ["you@home.test"])
    home_whole(pair, "in-large", mail)
    return f"{PASSED} ({len(mail) >> 20} MiB)"


def in_many(pair: Pair) -> str:
    count = NODE_TAKES if pair.server.gives_up_on_refusals else 2 * NODE_TAKES + 50
    names = {f"user{i}@home.test" for i in range(count)}

    def told() -> list[str]:
        return [line for one in pair.home.heard if arrived([one.content], "in-many")
                for line in one.commands if line.startswith("RCPT")]

    send(pair.server.port, mail_for("in-many"), sorted(names))

    def complete() -> bool:
        pair.server.flush()  # what the node put off
        return len(told()) >= count

    wait.until(complete, "all recipients get it", 120, every_s=1)
    found = [re.search(r"<(.*?)>", line)[1] for line in told()]
    require(len(found) == count and set(found) == names, f"{len(found)} copies")
    more = ", of more it gives up" if pair.server.gives_up_on_refusals else ""
    return f"{PASSED} ({count}, the node takes {NODE_TAKES}{more})"


def in_later(pair: Pair) -> str:
    pair.receiver.stop()
    send(pair.server.port, mail_for("in-later"), ["you@home.test"])
    wait.until(lambda: pair.server.queue_length() > 0, "it waits in the server's queue")
    pair.receiver.start()

    def home() -> bool:
        pair.server.flush()
        return bool(arrived([one.content for one in pair.home.heard], "in-later"))

    wait.until(home, "it comes home", PATIENCE_S, every_s=1)
    home_whole(pair, "in-later", mail_for("in-later"))
    return PASSED


FEATURES: dict[str, tuple[Callable, Callable]] = {
    "mail over STARTTLS": (out_tls, in_tls),
    "mail in clear": (out_in_clear, in_clear),
    "8BITMIME": (out_eight_bit, in_eight_bit),
    "PIPELINING": (out_pipelining, in_pipelining),
    "CHUNKING": (out_chunking, in_chunking),
    "SMTPUTF8": (out_utf8, in_utf8),
    "DSN, delivered / passed on": (out_dsn_delivered, in_dsn_passed_on),
    "DSN, relayed": (out_dsn_relayed, in_dsn_relayed),
    "DSN, failed": (out_dsn_failed, in_dsn_failed),
    "large message": (out_large, in_large),
    "many recipients": (out_many, in_many),
    "deferred, later delivered": (out_later, in_later),
}


@contextlib.contextmanager
def paired(kind: type[ForeignServer], large_bytes: int) -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        def enter(what):
            return stack.enter_context(what)

        home = enter(Speaker("8BITMIME", "SMTPUTF8", "PIPELINING", "SIZE 104857600"))
        aware = enter(Speaker("8BITMIME", "DSN"))
        gone = enter(Sink("bounce"))
        domains = {"home.test": home.port, "aware.test": aware.port, "gone.test": gone.port}
        receiver = Node(merged(merged(routes_to(domains), QUICK), {
            "intake": {"relay_domains": list(domains), "sessions_per_client_max": 1000},
            "limits": {"recipients_max": NODE_TAKES}}))
        relay = enter(Tap(receiver.ports["mx"]))
        server = enter(kind(receiver.certificates, relay.port, DNS_ADDRESS))
        clear = enter(Tap(server.port, ("STARTTLS",)))
        mute = enter(Tap(server.port, ("STARTTLS", "DSN")))
        sender = Node(merged(merged(routes_to({
            server.domain: server.port, f"clear.{server.domain}": clear.port,
            f"mute.{server.domain}": mute.port, "home.test": home.port}), QUICK), TRUSTING))
        enter(receiver)
        enter(sender)
        yield Pair(server, sender, receiver, home, aware, clear, relay, large_bytes,
                   server.offer())


def result_of(feature: Callable, pair: Pair) -> str:
    try:
        return feature(pair)
    except Exception as error:  # whatever it is, the others are tried all the same
        return f"FAILED: {type(error).__name__}: {error}"


def try_server(kind: type[ForeignServer], large_bytes: int) -> tuple[str, dict]:
    with paired(kind, large_bytes) as pair:
        cells = {(name, direction): result_of(both[index], pair)
                 for index, direction in enumerate(("out", "in"))
                 for name, both in FEATURES.items()}
        if any(cell.startswith("FAILED") for cell in cells.values()):
            print(f"the last that {pair.server.name} says:\n{pair.server.log()[-4000:]}\n"
                  f"the node before it:\n{pair.sender.tail(40)}\n"
                  f"the node behind it:\n{pair.receiver.tail(40)}")
        return pair.server.version(), cells


def show(results: dict[str, dict]) -> None:
    print("\nservers: `out` is from the node to the server, `in` from the server to the node")
    for name, cells in results.items():
        print(f"{name:<30}{'out':<42}in")
        for feature in FEATURES:
            both = [cells[feature, direction].split("\n", 1)[0] for direction in ("out", "in")]
            print(f"  {feature:<28}{both[0]:<42}{both[1]}")


def run(full: bool) -> dict[str, str]:
    """The figures; raises when a server falls short."""
    kinds = ALL if full else BOUNDED
    with DnsServer(host=DNS_ADDRESS, port=53), ThreadPoolExecutor(2) as pool:
        results = dict(pool.map(lambda kind: try_server(kind, (40 if full else 5) << 20), kinds))
    show(results)
    cells = {(name, *key): cell for name, found in results.items() for key, cell in found.items()}
    failed = [f"{' '.join(key)}: {cell}" for key, cell in cells.items()
              if cell.startswith("FAILED")]
    require(not failed, "\n".join(failed))
    passed = sum(cell.startswith(PASSED) for cell in cells.values())
    return {"servers": "; ".join(results),
            "server x feature x direction": f"{passed} passed, {len(cells) - passed} not spoken"}
