"""Logins on the real binary: other people's SASL clients, PAM, and limits that the pool counts."""

import base64
import smtplib
import ssl
import subprocess

import pytest

from harness import pam, wait
from harness.clients import Submission, curl, msmtp, python_smtplib, swaks
from harness.mail_pool import MailPool
from harness.mails import HARD_MAIL
from harness.node import LOGIN, PASSWORD, Node, merged, routes_to, run_posthorse
from harness.pool import PoolNode


@pytest.fixture
def node(sink):
    made = Node(routes_to({"sink.test": sink.port}))
    made.add_user()
    with made:
        yield made


def smtps(node: Node, host: str = "localhost") -> smtplib.SMTP_SSL:
    context = ssl.create_default_context(cafile=node.certificates.ca)
    context.check_hostname = host == "localhost"
    return smtplib.SMTP_SSL(host, node.ports["submissions"], "client.test", context=context)


def plain(login: str, password: str) -> str:
    return base64.b64encode(f"\0{login}\0{password}".encode()).decode()


def auth(client: smtplib.SMTP, login: str = LOGIN, password: str = PASSWORD) -> int:
    client.ehlo_or_helo_if_needed()
    return client.docmd("AUTH", "PLAIN " + plain(login, password))[0]


def job(node: Node, mechanism: str, implicit_tls: bool) -> Submission:
    port = node.ports["submissions" if implicit_tls else "submission"]
    return Submission(port, implicit_tls, node.certificates.ca, LOGIN, PASSWORD, LOGIN,
                      "you@sink.test", HARD_MAIL, mechanism)


@pytest.mark.parametrize("implicit_tls", [True, False])
@pytest.mark.parametrize(("client", "mechanism"), [
    (swaks, "PLAIN"), (swaks, "LOGIN"), (curl, "PLAIN"), (curl, "LOGIN"),
    (msmtp, "PLAIN"), (msmtp, "LOGIN"), (msmtp, "SCRAM-SHA-256"), (python_smtplib, "PLAIN")])
def test_clients_log_in_by_every_mechanism_they_know(node, sink, client, mechanism, implicit_tls):
    client(job(node, mechanism, implicit_tls))
    wait.until(lambda: sink.received, "the mail arrives")
    assert sink.received[0].sender == LOGIN


def gsasl(node: Node, mechanism: str, password: str) -> subprocess.CompletedProcess:
    # It refuses to go unbound while it knows what to bind to.
    unbound = [] if mechanism.endswith("-PLUS") else ["--no-cb"]
    return subprocess.run(
        ["gsasl", "--smtp", "--starttls", f"--x509-ca-file={node.certificates.ca}",
         f"--connect=localhost:{node.ports['submission']}", f"--mechanism={mechanism}",
         f"--authentication-id={LOGIN}", f"--password={password}", *unbound],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
def test_gnu_sasl_logs_in_bound_to_the_channel_and_not(node, mechanism):
    answer = gsasl(node, mechanism, PASSWORD)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert gsasl(node, mechanism, "wrong").returncode != 0
    assert node.metrics()['posthorse_auth_total{result="accepted"}'] == 1
    assert node.metrics()['posthorse_auth_total{result="refused"}'] == 1


def test_a_row_of_before_scram_logs_in_by_plain_and_the_node_says_what_it_lacks(node):
    passwords = node.folder / "passwd"
    rows = passwords.read_text().splitlines()
    run_posthorse("user", "add", "second@posthorse.test", "--password-stdin", "--config",
                  str(node.config), stdin="x\n")
    both = passwords.read_text().splitlines()
    old = [":".join(row.split(":")[:2]) if row.startswith(LOGIN) else row for row in both]
    assert len(old) == len(rows) + 1
    passwords.write_text("\n".join(old) + "\n")
    node.reload()
    wait.until(lambda: "1 logins have no SCRAM keys" in node.log.read_text(), "it says so")
    with smtps(node) as client:
        assert auth(client) == 235


def test_every_reply_to_a_failed_login_is_the_same(node):
    """S15: unknown login, wrong password, garbage."""
    with smtps(node) as client:
        client.ehlo()
        replies = {client.docmd("AUTH", "PLAIN " + text)
                   for text in (plain(LOGIN, "wrong"), plain("nobody@posthorse.test", "wrong"),
                                plain("", "x"), plain("a", ""), "AAAA", "=")}
    assert replies == {(535, b"5.7.8 authentication failed")}


@pytest.mark.skipif(not pam.WRITABLE, reason="/etc/pam.d is not ours")
def test_pam_asks_a_program(sink, tmp_path):
    program = tmp_path / "ask"
    program.write_text("#!/bin/sh\nread -r password\n[ \"$PAM_USER:$password\" = ann:secret ]\n")
    program.chmod(0o755)
    with pam.pam_service(program) as service, \
            Node(merged(routes_to({"sink.test": sink.port}),
                        {"auth": {"backend": "pam", "pam_service": service}})) as node, \
            smtps(node) as client:
        client.ehlo()
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        assert auth(client, "ann", "wrong") == 535
        assert auth(client, "Ann", "secret") == 235
        client.sendmail("ann@node.posthorse.test", "you@sink.test", HARD_MAIL)
        wait.until(lambda: sink.received, "the mail arrives")


def test_logins_send_as_the_map_says(sink):
    """S17, and the From field."""
    made = Node(routes_to({"sink.test": sink.port}))
    senders = made.folder / "senders"
    senders.write_text(f"{LOGIN}: sales@posthorse.test, @shop.test\n")
    made.write_config(merged(routes_to({"sink.test": sink.port}),
                             {"auth": {"senders_file": str(senders), "check_from": True}}))
    made.add_user()
    with made as node, smtps(node) as client:
        assert auth(client) == 235
        assert client.mail("sales@posthorse.test")[0] == 250
        client.rset()
        assert client.mail("any@shop.test")[0] == 250
        client.rset()
        assert client.mail("boss@posthorse.test") == (
            553, b"5.7.1 this login may not send as that address")
        with pytest.raises(smtplib.SMTPDataError) as refusal:
            client.sendmail(LOGIN, "you@sink.test", "From: boss@posthorse.test\r\n\r\npay\r\n")
        assert refusal.value.smtp_code == 550
        senders.write_text(f"{LOGIN}: boss@posthorse.test\n")
        node.cli("reload")
        client.sendmail("boss@posthorse.test", "you@sink.test",
                        "From: boss@posthorse.test\r\n\r\nhi\r\n")


# ------------------------------------------------------------------ in the whole pool

COUNTING = {"auth": {"failures_per_client_max": 6, "failures_per_login_max": 0},
            "limits": {"sender_messages_per_day": 5}, "intake": {"trusted_networks": []}}


@pytest.fixture
def pool():
    with MailPool(3, settings=COUNTING) as one:
        for node in one.nodes:
            node.add_user()
        one.start()
        for node in one.nodes:
            wait.until(node.ready, f"{node.name} takes mail", 30)
        yield one


def answer(node: PoolNode, password: str) -> int:
    with smtps(node, node.address) as client:
        return auth(client, password=password)


def test_failed_logins_count_in_the_whole_pool(pool):
    """S16: who is stopped at one node does not go on at the next, and a death forgets nothing."""
    first, second, third = pool.nodes
    for node in (first, second, third):
        assert answer(node, "wrong") == 535
        assert answer(node, "wrong") == 535
    for node in (first, second, third):
        wait.until(lambda node=node: answer(node, PASSWORD) == 421, f"{node.name} knows", 5)
    pool.kill(first)
    for node in (second, third):
        assert answer(node, PASSWORD) == 421


def sender_code(node: PoolNode) -> int:
    with smtps(node, node.address) as client:
        assert auth(client) == 235
        return client.mail(LOGIN)[0]


def test_messages_of_a_day_count_in_the_whole_pool(pool):
    for turn in range(5):
        node = pool.nodes[turn % 3]
        with smtps(node, node.address) as client:
            assert auth(client) == 235
            client.sendmail(LOGIN, "you@sink.test", HARD_MAIL)
    for node in pool.nodes:
        wait.until(lambda node=node: sender_code(node) == 450, f"{node.name} knows", 5)
