"""The clients' half of `interop`: every client by every mechanism, over STARTTLS and implicit TLS.

For each mechanism there is a node that offers nothing else, so a mail that arrives was let in by
it; one more offers all, and the client chooses. Each login is tried with a wrong password, too.
"""

import contextlib
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from harness import clients, wait
from harness.clients import OWN_CHOICE, DoesNotSpeak, Submission
from harness.mails import HARD_MAIL
from harness.node import LOGIN, PASSWORD, Node, merged, routes_to
from harness.nullmailer import Nullmailer
from harness.sinks import Sink
from proofs.figures import require

PLUS, SCRAM = "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"
OFFERS = {"PLAIN": ["PLAIN"], "LOGIN": ["LOGIN"], SCRAM: [SCRAM], PLUS: [PLUS, SCRAM],
          OWN_CHOICE: [PLUS, SCRAM, "PLAIN", "LOGIN"]}
MODES = {"submission": False, "submissions": True}  # listener -> implicit TLS
# What must not turn into "does not speak" unnoticed.
SURELY = {("msmtp", SCRAM), ("gsasl, login alone", SCRAM), ("gsasl, login alone", PLUS)}
REFUSAL = "535"
NODEMAILER_BEFORE = "2026-08-01"  # what the registry had then, it has in full

Submit = Callable[[Submission], None]


@dataclass
class Attempt:
    client: str
    mechanism: str
    listener: str
    tag: str
    result: str = ""  # "ok", "no", or what went wrong

    @property
    def failed(self) -> bool:
        return self.result not in ("ok", "no")


def gsasl(job: Submission) -> None:
    """Logs in and leaves: the one at hand that binds to the channel."""
    if job.implicit_tls:
        raise DoesNotSpeak("gsasl --help: --starttls alone")
    # It refuses to go unbound while it knows what to bind to.
    unbound = [] if job.mechanism in (PLUS, OWN_CHOICE) else ["--no-cb"]
    mechanism = [f"--mechanism={job.mechanism}"] if job.mechanism else []
    answer = subprocess.run(
        ["gsasl", "--smtp", "--starttls", f"--x509-ca-file={job.ca}", *mechanism,
         f"--connect=localhost:{job.port}", f"--authentication-id={job.login}",
         f"--password={job.password}", "--authorization-id=", *unbound],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    if answer.returncode:
        raise AssertionError(f"gsasl: {answer.stdout}{answer.stderr}")


@contextlib.contextmanager
def newest_nodemailer(full: bool) -> Iterator[dict[str, Submit]]:
    """From npm, in a folder of its own; without npm the bounded proof goes on with Debian's."""
    if not shutil.which("npm"):
        require(not full, "npm is not here: `interop --full` needs it for the newest nodemailer")
        print("npm is not here: nodemailer is tried as Debian has it, its newest is left out")
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="ph-npm-") as folder:
        subprocess.run(["npm", "install", "--prefix", folder, "--no-audit", "--no-fund",
                        "--before", NODEMAILER_BEFORE, "nodemailer"], check=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
        yield {"nodemailer, npm's": partial(clients.nodemailer, modules=f"{folder}/node_modules")}


def all_clients(nullmailer: Nullmailer) -> dict[str, Submit]:
    return {"swaks": clients.swaks, "msmtp": clients.msmtp, "curl": clients.curl,
            "s-nail": clients.s_nail, "nullmailer": nullmailer.submit,
            "smtplib": clients.python_smtplib, "nodemailer": clients.nodemailer,
            "Net::SMTP": clients.net_smtp, "gsasl, login alone": gsasl}


@contextlib.contextmanager
def nodes_for(sink: Sink) -> Iterator[dict[str, Node]]:
    """A node for each offer, by mechanism."""
    settings = merged(routes_to({"sink.test": sink.port}), {
        "auth": {"failures_per_client_max": 0, "failures_per_login_max": 0}})
    with contextlib.ExitStack() as stack:
        nodes = {}
        for mechanism, offered in OFFERS.items():
            node = Node(merged(settings, {"auth": {"mechanisms": offered}}))
            node.add_user()
            nodes[mechanism] = stack.enter_context(node)
        yield nodes


def attempt_all(client: str, submit: Submit, nodes: dict[str, Node]) -> list[Attempt]:
    attempts = []
    for mechanism, node in nodes.items():
        for listener, implicit in MODES.items():
            tag = f"{client}-{mechanism or 'own'}-{listener}".lower()
            tag = "".join(c if c.isalnum() or c == "-" else "_" for c in tag)
            attempt = Attempt(client, mechanism, listener, tag)
            job = Submission(node.ports[listener], implicit, node.certificates.ca, LOGIN, PASSWORD,
                             LOGIN, "you@sink.test", mail_for(tag), mechanism)
            attempt.result = result_of(submit, job)
            attempts.append(attempt)
    return attempts


def mail_for(tag: str) -> bytes:
    return HARD_MAIL.replace(b"<hard@", f"<{tag}@".encode())


def result_of(submit: Submit, job: Submission) -> str:
    try:
        submit(job)
    except DoesNotSpeak:
        return "no"
    except AssertionError as error:
        return f"with the right password: {error}"
    try:
        submit(replace(job, password="wrong", message=mail_for("refused")))
    except AssertionError as error:
        told = REFUSAL in str(error)
        return "ok" if told else f"with a wrong password it does not say {REFUSAL}: {error}"
    return "a wrong password was good"


def check_arrived(attempts: list[Attempt], sink: Sink) -> int:
    """Every mail that was taken arrived once, as it was, below what was put on top."""
    sent = [one for one in attempts if one.result == "ok" and not one.client.startswith("gsasl")]
    wait.until(lambda: len(sink.received) >= len(sent), f"{len(sent)} mails arrive")
    require(len(sink.received) == len(sent), f"{len(sink.received)} mails came of {len(sent)}")
    arrived = sink.by_message_id()
    for one in sent:
        found = arrived.get(f"{one.tag}@posthorse.test", [])
        mail = mail_for(one.tag)
        require(len(found) == 1, f"{one.tag} arrived {len(found)} times")
        require(found[0].content.endswith(mail), f"{one.tag} was changed: {found[0].content!r}")
        added = found[0].content.removesuffix(mail)
        require(added.startswith(b"Received: ") and b"with ESMTPSA" in added
                and b"\r\n\r\n" not in added, f"{one.tag}: on top there is {added!r}")
    return len(sent)


def show(attempts: list[Attempt]) -> None:
    print("\nclients: STARTTLS on 587 / TLS on 465, each with the right password and a wrong one "
          f"(which hears {REFUSAL});\n`-`: the client says that it does not speak it")
    columns = {name: name or "own choice" for name in OFFERS}
    print(f"{'':<20}" + "".join(f"{title:<20}" for title in columns.values()))
    for client in dict.fromkeys(one.client for one in attempts):
        row = f"{client:<20}"
        for mechanism in columns:
            cell = [("-" if one.result == "no" else "FAILED" if one.failed else "ok")
                    for one in attempts if (one.client, one.mechanism) == (client, mechanism)]
            row += f"{' / '.join(cell):<20}"
        print(row.rstrip())


def versions(nullmailer: Nullmailer) -> str:
    def first(*command: str) -> str:
        answer = subprocess.run(command, capture_output=True, text=True, check=False,
                                stdin=subprocess.DEVNULL)
        return (answer.stdout + answer.stderr).split("\n", 1)[0].strip()

    said = [first("swaks", "--version"), first("msmtp", "--version"), first("curl", "--version"),
            first("s-nail", "-Xversion", "-Xx"), f"nullmailer {nullmailer.version()}",
            f"Python {platform.python_version()}", first("perl", "-MNet::SMTP", "-e",
                                                 "print qq(Net::SMTP $Net::SMTP::VERSION)"),
            first("gsasl", "--version")]
    return "; ".join(line.split(" (x86")[0].split(", ")[0] for line in said)


def run(full: bool) -> dict[str, str]:
    """The figures; raises when a client falls short."""
    with Sink() as sink, Nullmailer() as nullmailer, newest_nodemailer(full) as newest, \
            nodes_for(sink) as nodes:
        everybody = all_clients(nullmailer) | newest
        with ThreadPoolExecutor(4) as pool:
            results = [pool.submit(attempt_all, name, submit, nodes)
                       for name, submit in everybody.items()]
            attempts = [attempt for result in results for attempt in result.result()]
        show(attempts)
        failed = [f"{one.tag}: {one.result}" for one in attempts if one.failed]
        require(not failed, "\n".join(failed))
        spoken = {(one.client, one.mechanism) for one in attempts if one.result == "ok"}
        wanted = SURELY | {(name, mechanism) for name in everybody if "gsasl" not in name
                           for mechanism in ("PLAIN", "LOGIN", OWN_CHOICE)}
        require(wanted <= spoken, f"not spoken any more: {sorted(wanted - spoken)}")
        mails = check_arrived(attempts, sink)
        said = versions(nullmailer)
    passed = sum(one.result == "ok" for one in attempts)
    return {"clients": said,
            "client x mechanism x TLS": f"{passed} passed, {len(attempts) - passed} not spoken",
            "their mails": f"{mails} of {mails} arrived, byte for byte"}
