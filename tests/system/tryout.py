"""`./dev try`: a node, a server that receives, one that defers, and a mail to each, step by step.

With --pool it is the story of tryout_pool.py.

Contract  Every step says `ok` or the run ends non-zero with the reason. Then the node and both
          servers stay up, with addresses, login and next commands printed, until Ctrl-C or SIGTERM.
          With --once, with CI set, or without a terminal it ends after showing.
"""

import os
import shutil
import signal
import smtplib
import ssl
import sys
import tempfile
import textwrap
from email import policy
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from harness import wait
from harness.dkim_check import dkimpy_results
from harness.dkim_keys import Key, generate, write_tables
from harness.node import BINARY, LOGIN, PASSWORD, Node, merged, routes_to
from harness.sinks import Received, Sink

GOOD, LATER = "you@sink.test", "you@later.test"


def ok(what: str) -> None:
    print(f"ok    {what}", flush=True)


def mail_to(recipient: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"] = LOGIN, recipient
    mail["Subject"] = "A fresh horse"
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain="posthorse.test")
    mail.set_content("The rider changed horses, and the mail went on.\n")
    return mail


def submit(node: Node, recipient: str) -> str:
    """The reply to the end of data."""
    context = ssl.create_default_context(cafile=node.certificates.ca)
    with smtplib.SMTP_SSL(node.address, node.ports["submissions"], context=context) as client:
        client.login(LOGIN, PASSWORD)
        client.mail(LOGIN)
        client.rcpt(recipient)
        code, text = client.data(mail_to(recipient).as_bytes(policy=policy.SMTP))
        if code != 250:
            raise AssertionError(f"the answer to the message is {code} {text.decode()}")
        ok(f"submitted to {recipient} over {client.sock.version()} with AUTH, answered 250")
    return text.decode()


def prepare(folder: Path, sink: Sink, refusing: Sink) -> tuple[Node, list[Key]]:
    node = Node(folder=folder)
    ok("certificate for localhost, signed by an authority of its own")
    keys = [generate(folder / "dkim", "posthorse.test", kind, kind) for kind in ("rsa", "ed25519")]
    ok("DKIM keys, RSA and Ed25519, by `posthorse dkim keygen`")
    node.write_config(merged(routes_to({"sink.test": sink.port, "later.test": refusing.port}),
                             write_tables(folder, keys)))
    node.add_user()
    ok(f"user {LOGIN}, by `posthorse user add`")
    return node, keys


def show_delivered(sink: Sink, keys: list[Key]) -> None:
    wait.until(lambda: sink.received, "the mail is delivered")
    ok(f"delivered to a real SMTP server (aiosmtpd on port {sink.port})")
    received: Received = sink.received[0]
    results = dkimpy_results(received.content, keys)
    if results != [True, True]:
        raise AssertionError(f"dkimpy says of the signatures: {results}")
    ok("both DKIM signatures of the delivered copy are good, says dkimpy")
    head = received.content.split(b"\r\n\r\n")[0].decode("latin-1")
    print(textwrap.indent(head, "      | "))


def show_deferred(node: Node, refusing: Sink) -> None:
    wait.until(lambda: refusing.refused, "the second server has answered 421")
    wait.until(lambda: any(LATER in str(message) for message in node.queue()), "it is listed")
    ok(f"the other server (port {refusing.port}) answered 421, and `posthorse queue ls` shows:")
    print(textwrap.indent(node.cli("queue", "ls").rstrip(), "      | "))


def wait_for_a_signal() -> None:
    stop_signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    signal.sigwait(stop_signals)


def show_next(node: Node) -> None:
    posthorse = f"{os.path.relpath(BINARY)} --config {node.config}"
    ports = node.ports
    print(textwrap.dedent(f"""
        The node is up (process {node.pid}).
          submissions (TLS)       localhost:{ports['submissions']}
          submission (STARTTLS)   localhost:{ports['submission']}
          login, password         {LOGIN}  {PASSWORD}
          metrics, health         http://127.0.0.1:{node.http_port}/metrics  /healthz  /readyz
          configuration, log      {node.config}  {node.log}
        What next, from another terminal:
          send     swaks --server localhost:{ports['submissions']} --tls-on-connect \\
                     --auth-user {LOGIN} --auth-password {PASSWORD} --from {LOGIN} --to {GOOD}
                   (to {LATER} it is deferred)
          list     {posthorse} queue ls
          look     {posthorse} queue show ID
          retry    {posthorse} queue retry ID
          status   {posthorse} status
          stop     Ctrl-C here, or: kill {os.getpid()}
        """), flush=True)


def stays_up(arguments: list[str]) -> bool:
    return "--once" not in arguments and not os.environ.get("CI") and sys.stdin.isatty()


def scratch_folder() -> Path:
    """.try in the tree, so that it is easily found; elsewhere when its path is too long.

    A Unix socket's path has 108 octets at most.
    """
    folder = Path(".try").absolute()
    if len(str(folder)) > 80:
        return Path(tempfile.mkdtemp(prefix="posthorse-try-", dir="/tmp"))
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def run(arguments: list[str]) -> None:
    with Sink() as sink, Sink("defer") as refusing:
        node, keys = prepare(scratch_folder(), sink, refusing)
        with node:
            ok(f"the node is ready (process {node.pid})")
            submit(node, GOOD)
            show_delivered(sink, keys)
            submit(node, LATER)
            show_deferred(node, refusing)
            if stays_up(arguments):
                show_next(node)
                wait_for_a_signal()
        ok("the node stopped")


def main() -> int:
    try:
        if "--pool" in sys.argv:
            import tryout_pool  # which imports this module
            tryout_pool.run(sys.argv[1:])
        else:
            run(sys.argv[1:])
    except Exception as error:  # whatever it is, the reader wants to see it last
        print(f"FAILED  {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return 1
    print("./dev try: all steps succeeded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
