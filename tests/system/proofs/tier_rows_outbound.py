"""Rows of the submission tier, walked on two nodes from deploy/outbound."""

import email
import json
import smtplib
import time
from datetime import datetime
from email import policy

from harness import wait
from harness.dkim_check import dkimpy_results
from harness.recording_sink import MODES
from proofs import tier_rows as common
from proofs.figures import require
from proofs.tier_rows import Row, Side, expect

MAIL = ("Date: Thu, 26 Nov 2026 07:00:00 +0000\r\nMessage-ID: <{name}@client.test>\r\n"
        "From: {sender}\r\nTo: you@elsewhere.test\r\nSubject: {name}\r\n\r\nhello\r\n")
# The directory that PAM asks: the service's login and people.
PROGRAM = ('case "$PAM_USER:$password" in\n'
           "  master:fresh|ann@example.org:horse|robot@example.org:horse) ;;\n"
           "  *) exit 1 ;;\nesac\n")
MESSAGES_A_DAY = 500


def logged_in(side: Side, login: str = "ann@example.org", node: int = 0) -> smtplib.SMTP:
    client = side.client("submissions", node)
    client.login(login, "fresh" if login == "master" else "horse")
    return client


def submit(client: smtplib.SMTP, name: str, sender: str = "ann@example.org",
           recipient: str = "you@elsewhere.test") -> None:
    client.sendmail(sender, [recipient], MAIL.format(name=name, sender=sender))


def arrived(side: Side, name: str) -> bytes:
    """What a server of the world was given."""
    def content() -> bytes | None:
        return side.elsewhere.contents.get(f"{name}@client.test")

    return wait.until(content, f"{name} arrives", 30)


def attempt_of(side: Side, name: str):
    return side.elsewhere.copies()[f"{name}@client.test"][0]


def limits(side: Side) -> str:
    return expect(side, {"intake.sessions_max": "512", "intake.sessions_per_client_max": "40",
                         "limits.client_connections_per_second": "5",
                         "auth.failures_per_client_max": "50"})


def ports(side: Side) -> str:
    with side.client("submission") as client:
        client.ehlo()
        require("auth" not in client.esmtp_features, "AUTH is offered in clear")
        code = client.docmd("AUTH", "PLAIN AG1hc3RlcgBmcmVzaA==")[0]
        require(code >= 500, f"AUTH in clear: {code}")
        require(client.mail("ann@example.org")[0] == 530, "MAIL without a login")
        client.starttls(context=side.context())
        client.login("ann@example.org", "horse")
    with logged_in(side):
        pass
    return f"587 and 465; AUTH on 587 before TLS {code}, after it and on 465 by PAM: 235"


def failed_login(side: Side) -> str:
    with side.client("submissions") as client:
        began = time.monotonic()
        try:
            client.login("ann@example.org", "wrong")
            code = 235
        except smtplib.SMTPAuthenticationError as refusal:
            code = refusal.smtp_code
        took = time.monotonic() - began
    # Python tries every mechanism that it knows.
    require(code == 535 and took >= 2, f"{code} after {took:.1f} s")
    return f"535, each try after 2 s ({took:.1f} s for what smtplib tries)"


def senders(side: Side) -> str:
    with logged_in(side) as client:
        own, shared = client.mail("ann@example.org")[0], None
        client.rset()
        shared = client.mail("sales@example.org")[0]
        client.rset()
        other = client.mail("bob@example.org")[0]
    with logged_in(side, "master") as client:
        anyone = client.mail("bob@example.org")[0]
    require((own, shared, other, anyone) == (250, 250, 553, 250),
            f"own {own}, shared {shared}, other {other}, the service's {anyone}")
    return "a login as itself and as the map says 250, as another 553; `master` as anyone 250"


def delivered(side: Side) -> str:
    with logged_in(side) as client:
        submit(client, "first")
    arrived(side, "first")
    require(side.elsewhere.helos == {"smtp.example.org"}, f"EHLO {side.elsewhere.helos}")
    return "EHLO smtp.example.org (delivery.helo_name), to the MX of the recipient's domain"


def signed(side: Side) -> str:
    for name, node in (("sign-1", 0), ("sign-2", 1)):
        with logged_in(side, node=node) as client:
            submit(client, name)
        results = dkimpy_results(arrived(side, name), side.keys)
        require(results == [True, True], f"{name}: {results}")
    content = arrived(side, "sign-1")
    require(b"a=rsa-sha256; c=relaxed/simple" in b" ".join(content.split()) and
            b"a=ed25519-sha256" in content, "not as the tables and dkim.canonicalization say")
    return "RSA and Ed25519 by OpenDKIM's tables, relaxed/simple; dkimpy finds both good"


def unsigned(side: Side) -> str:
    key = side.keys[0].file
    away = key.with_suffix(".away")
    key.rename(away)
    try:
        side.nodes[0].reload()
        wait.until(lambda: str(key) in side.nodes[0].log.read_text(), "the reload says so")
        with logged_in(side) as client:
            try:
                submit(client, "unsigned")
                code = 250
            except smtplib.SMTPDataError as refusal:
                code = refusal.smtp_code
    finally:
        away.rename(key)
        side.nodes[0].cli("reload")
    require(code == 451, f"answered {code}")
    return "its key is gone: 451"


def rewritten(side: Side) -> str:
    with logged_in(side, "master") as client:
        submit(client, "generic", "cron@web1.example.org")
        submit(client, "masked", "root@web2.example.org")
    for name, sender in (("generic", "ops@example.org"), ("masked", "root@example.org")):
        header = email.message_from_bytes(arrived(side, name), policy=policy.default)
        envelope = attempt_of(side, name).sender
        require(envelope == sender and str(header["From"]) == sender,
                f"{name}: MAIL {envelope}, From {header['From']}")
    return "envelope and From: by the generics table, and by the masquerade domain"


def no_such_domain(side: Side) -> str:
    with logged_in(side) as client:
        submit(client, "nowhere", recipient="you@nowhere.test")
    # The notice goes by the mailertable to the host inside.
    wait.until(lambda: any(b"5.1.2" in one for one in side.home.contents.values()),
               "the bounce arrives", 30)
    return "NXDOMAIN: a bounce with 5.1.2 at once"


def routes(side: Side) -> str:
    side.home.set_mode(MODES["greylist"])
    try:
        with logged_in(side) as client:
            submit(client, "route-1", recipient="bob@example.org")
            submit(client, "route-2", recipient="bob@below.example.org")
        wait.until(lambda: len(side.nodes[0].queue("--state", "deferred")) == 2, "both wait", 30)
        listed = side.nodes[1].queue("--state", "deferred")
        require({one["recipients"][0]["address"] for one in listed} ==
                {"bob@example.org", "bob@below.example.org"}, f"node 2 lists {listed}")
    finally:
        side.home.set_mode("accept")
    return "domain and .domain -> smtp:[host]:port; a tempfail of an unknown address stays queued"


def first_retry(side: Side) -> str:
    """Of what `routes` left behind."""
    waits = []
    for one in side.nodes[0].queue("--state", "deferred"):
        text = side.nodes[0].cli("queue", "show", one["id"], "--json")
        waits.append(seconds_between(text))
    require(waits and min(waits) >= 300, f"due after {waits} s")
    return f"due {min(waits):.0f} s after the first attempt, by the listing"


def seconds_between(shown: str) -> float:
    message = json.loads(shown)

    def when(key: str) -> datetime:
        return datetime.fromisoformat(message[key].replace("Z", "+00:00"))

    return (when("due_time") - when("accept_time")).total_seconds()


def old_names(side: Side) -> str:
    """`mailq` on any node, then one is tried, then all."""
    before = [node.by_name("mailq") for node in side.nodes]
    ids = sorted(one["id"] for one in side.nodes[0].queue())
    for answer in before:
        require(answer.returncode == 0 and all(one in answer.stdout for one in ids),
                f"mailq: {answer.stdout}{answer.stderr}")
    side.home.set_mode("accept")
    one = side.nodes[1].by_name("sendmail", "-qI" + ids[0])
    require(one.returncode == 0, f"sendmail -qI: {one.stderr}")
    wait.until(lambda: ids[0] not in side.nodes[1].by_name("mailq").stdout, "it is delivered", 30)
    side.nodes[0].cli("queue", "rm", ids[1])
    rest = side.nodes[0].by_name("sendmail", "-q", "-v")
    require(rest.returncode == 0, f"sendmail -q -v: {rest.stderr}")
    wait.until(lambda: not side.nodes[1].queue(), "the queue is empty", 30)
    return (f"mailq on both nodes lists the same {len(ids)}; -qI delivers one, `queue rm` removes "
            "one, -q -v tries all")


def recipients(side: Side) -> str:
    with logged_in(side) as client:
        client.mail("ann@example.org")
        codes = [client.rcpt(f"u{number}@elsewhere.test")[0] for number in range(101)]
    require(codes[:100] == [250] * 100 and codes[100] == 452, f"{codes[98:]}")
    return "100 recipients 250, the next 452"


def a_day(side: Side) -> str:
    clients = [logged_in(side, "robot@example.org", node) for node in (0, 1)]
    taken = 0
    try:
        for number in range(MESSAGES_A_DAY):
            submit(clients[number % 2], f"robot-{number}", "robot@example.org")
            taken += 1
        for node in (0, 1):
            wait.until(lambda node=node: refused(clients[node]), f"node {node + 1} knows", 10)
    finally:
        for client in clients:
            client.close()
    return f"{taken} messages over both nodes, then 450 at either"


def refused(client: smtplib.SMTP) -> bool:
    code = client.mail("robot@example.org")[0]
    client.rset()
    return code == 450


def large(side: Side) -> str:
    body = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789a\r\n"
    with logged_in(side) as client:
        head = MAIL.format(name="large", sender="ann@example.org").encode()
        client.sendmail("ann@example.org", ["you@elsewhere.test"],
                        head + body * (50_000_000 // len(body)))
    arrived(side, "large")
    return "50 MB in by TLS, signed, copied, out; " + common.peak(side, 640)


def sinkhole(side: Side) -> str:
    modes = {"defer": "421 4.3.2", "bounce": "550 5.1.1"}
    for name, reply in modes.items():
        require(MODES[name].rcpt.startswith(reply), f"{name} says {MODES[name].rcpt}")
    attempts = side.elsewhere.attempts()
    require(attempts and MODES["greylist"].grey_s > 0, "no mail came")
    return (f"harness/recording_sink.py: defer, bounce, accept, greylist; a record of all "
            f"({len(attempts)} here); no extension, one line a reply")


def replaced(side: Side) -> str:
    """The acceptance test of those whom this replaces."""
    side.elsewhere.set_mode("defer")
    with logged_in(side) as client:
        for number in range(5):
            submit(client, f"kept-{number}")
    wait.until(lambda: len(side.nodes[0].queue("--state", "deferred")) == 5, "all wait", 30)
    ids = {one["id"] for one in side.nodes[0].queue()}
    gone = side.nodes[1]
    gone.stop(110)
    require({one["id"] for one in side.nodes[0].queue()} == ids, "the other lists other mail")
    gone.empty_disk()
    gone.start()
    for node in side.nodes:
        wait.until(lambda node=node: {one["id"] for one in node.queue()} == ids, "all list it", 30)
    side.elsewhere.set_mode("accept")
    side.nodes[0].by_name("sendmail", "-q")
    wait.until(lambda: not any(node.queue() for node in side.nodes), "all queues are empty", 30)
    copies = side.elsewhere.copies()
    counts = [len(copies[f"kept-{number}@client.test"]) for number in range(5)]
    require(counts == [1] * 5, f"delivered {counts} times")
    return "5 deferred, one node replaced by one with an empty disk: same ids, each delivered once"


def malformed(side: Side) -> str:
    mailertable = side.tier.map("mailertable")
    rows = mailertable.read_text().splitlines()
    with side.client("submission") as session:
        mailertable.write_text("\n".join(rows + ["nonsense"]) + "\n")
        side.nodes[0].reload()
        place = f"{mailertable}:{len(rows) + 1}:"
        wait.until(lambda: place in side.nodes[0].log.read_text(), "the reload names the row")
        require(session.noop()[0] == 250, "the session was dropped")
        mailertable.write_text("\n".join(rows) + "\n")
        side.nodes[0].cli("reload")
    return "a bad row is skipped, with file and line in the log; sessions go on"


ROWS = [
    Row("both", "message size 52,428,800", common.size),
    Row("both", "privacy: no EXPN, VRFY 252, HELO first, queue for operators", common.privacy),
    Row("both", "TLS from the environment", common.tls),
    Row("both", "discovery by DNS A records, no fixed identity", common.pool_by_dns),
    Row("both", "client timeouts", common.client_times),
    Row("both", "4 h, 4 d, cadence 15 m, stop 110 s", common.queue_numbers),
    Row("outbound", "sessions, connections a second, 512 logins", limits),
    Row("outbound", "587 with STARTTLS, 465; AUTH after TLS only; PAM", ports),
    Row("outbound", "2 s delay after a failed login", failed_login),
    Row("outbound", "the service login sends as anyone, others as themselves", senders),
    Row("outbound", "HELO name", delivered),
    Row("outbound", "DKIM: KeyTable, SigningTable, several signatures", signed),
    Row("outbound", "a signing failure is 451", unsigned),
    Row("outbound", "masquerade and sender map", rewritten),
    Row("outbound", "NXDOMAIN recipients bounce at once", no_such_domain),
    Row("outbound", "routes; tempfails stay queued", routes),
    Row("outbound", "first retry not before 5 m", first_retry),
    Row("both", "mailq, sendmail -q -v, -qI, remove one", old_names),
    Row("outbound", "100 recipients a transaction", recipients),
    Row("outbound", "500 messages a day, pool-wide", a_day),
    Row("both", "a map's malformed row is skipped; reload drops no session", malformed),
    Row("both", "acceptance, with a node replaced", replaced),
    Row("outbound", "memory below 640 MB", large),
    Row("both", "the sinkhole's modes", sinkhole),
    Row("both", "log compatibility", common.log_lines),
    Row("both", "metrics", common.metrics),
    Row("outbound", "TCP probes are no errors", common.probes),
    Row("both", "a stop within 110 s", common.stop),
]
