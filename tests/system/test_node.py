"""The main job on the real binary: mail in over TLS with AUTH, signed, out; retry; bounce."""

import json
import smtplib
import ssl
import subprocess
from pathlib import Path

import pytest

from harness import wait
from harness.dkim_check import dkimpy_results
from harness.dkim_keys import generate, write_tables
from harness.dns_server import DnsServer
from harness.mails import HARD_MAIL
from harness.node import BINARY, LOGIN, PASSWORD, Node, merged, routes_to
from harness.rawclient import RawClient
from harness.recording_sink import queue_id_of
from harness.sinks import BlackHole, Sink

QUICK_RETRY = {"queue": {"min_retry_age": "1s", "max_retry_age": "1s"}}


@pytest.fixture
def refusing():
    with Sink("defer") as one:
        yield one


@pytest.fixture
def node(sink, refusing):
    made = Node(merged(routes_to({"sink.test": sink.port, "later.test": refusing.port}),
                       QUICK_RETRY))
    made.add_user()
    with made:
        yield made


def submit(node: Node, recipient: str | list[str], mail: bytes = HARD_MAIL,
           sender: str = LOGIN) -> None:
    context = ssl.create_default_context(cafile=node.certificates.ca)
    with smtplib.SMTP_SSL("localhost", node.ports["submissions"], "client.test",
                          context=context) as client:
        client.login(LOGIN, PASSWORD)
        client.sendmail(sender, recipient, mail)


def test_mail_goes_in_with_a_login_and_comes_out(node, sink):
    submit(node, "you@sink.test")
    wait.until(lambda: sink.received, "the mail arrives")
    assert sink.received[0].content.endswith(HARD_MAIL)
    assert sink.received[0].sender == LOGIN
    wait.until(lambda: node.queue() == [], "the queue is empty")


@pytest.mark.parametrize("size", [100, 600_000], ids=["one piece", "chunks"])
def test_the_client_and_the_trace_hear_the_same_id(node, sink, size):
    mail = b"Subject: x\r\n\r\n" + b"A line of a body that is long.\r\n" * (size // 32)
    context = ssl.create_default_context(cafile=node.certificates.ca)
    with smtplib.SMTP_SSL("localhost", node.ports["submissions"], "client.test",
                          context=context) as client:
        client.login(LOGIN, PASSWORD)
        client.mail(LOGIN)
        client.rcpt("you@sink.test")
        code, text = client.data(mail)
    assert code == 250
    wait.until(lambda: sink.received, "the mail arrives")
    assert queue_id_of(sink.received[0].content) == text.split()[-1].decode()


def test_mail_is_signed(sink):
    node = Node()
    keys = [generate(node.folder / "keys", "posthorse.test", "first", "rsa")]
    node.write_config(merged(routes_to({"sink.test": sink.port}), write_tables(node.folder, keys)))
    node.add_user()
    with node:
        submit(node, "you@sink.test")
        wait.until(lambda: sink.received, "the mail arrives")
    assert dkimpy_results(sink.received[0].content, keys) == [True]


def test_a_deferred_mail_waits_in_the_queue_and_goes_when_it_may(node, refusing):
    submit(node, "you@later.test")
    wait.until(lambda: refusing.refused, "one attempt was refused")
    [message] = wait.until(node.queue, "it is listed")
    assert "you@later.test" in json.dumps(message)
    assert "421 4.3.2" in node.cli("queue", "show", message["id"])
    refusing.set_mode("accept")
    node.cli("queue", "retry", message["id"])
    wait.until(lambda: refusing.received, "it is delivered after all")
    wait.until(lambda: node.queue() == [], "the queue is empty")


def test_a_refused_mail_comes_back_to_its_sender(sink, refusing):
    refusing.set_mode("bounce")
    routes = {"gone.test": refusing.port, "posthorse.test": sink.port}
    node = Node(routes_to(routes))
    node.add_user()
    with node:
        submit(node, "you@gone.test")
        wait.until(lambda: sink.received, "the bounce arrives")
    bounce = sink.received[0]
    assert bounce.sender in (None, "", "<>") and bounce.recipients == (LOGIN,)
    assert b"multipart/report" in bounce.content and b"5.1.1" in bounce.content


def test_a_stop_and_a_start_keep_the_queue(node, refusing):
    submit(node, "you@later.test")
    [before] = wait.until(node.queue, "it is listed")
    node.stop()
    node.start()
    assert [message["id"] for message in node.queue()] == [before["id"]]
    refusing.set_mode("accept")
    wait.until(lambda: refusing.received, "it is retried by itself", 60)


def test_a_destination_that_never_answers_holds_up_no_other(sink):
    with BlackHole() as hole:
        # The stop waits for attempts under way as long as its budget allows.
        node = Node(merged(routes_to({"slow.test": hole.port, "sink.test": sink.port}),
                           {"stop_budget": "8s"}))
        node.add_user()
        with node:
            for _ in range(5):
                submit(node, "you@slow.test")
            submit(node, "you@sink.test")
            wait.until(lambda: sink.received, "the other destination gets its mail")
            assert len(node.queue()) == 5


def test_mail_exchangers_are_looked_up(sink):
    records = {("sink.test", "MX"): ["10 down.sink.test.", "20 mx.sink.test."],
               ("mx.sink.test", "A"): ["127.0.0.1"], ("down.sink.test", "A"): ["127.0.0.2"]}
    with DnsServer(records) as dns:
        node = Node({"delivery": {"dns_servers": [dns.address], "port": sink.port}})
        node.add_user()
        with node:
            submit(node, "you@sink.test")
            wait.until(lambda: sink.received, "the second exchanger gets it")


@pytest.mark.parametrize("login, password", [(LOGIN, "wrong"), ("nobody@posthorse.test", PASSWORD)])
def test_a_wrong_login_is_refused(node, login, password):
    context = ssl.create_default_context(cafile=node.certificates.ca)
    with smtplib.SMTP("localhost", node.ports["submission"]) as client:
        client.starttls(context=context)
        with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
            client.login(login, password)
    assert refusal.value.smtp_code == 535


def test_nobody_relays_without_a_login(node):
    with RawClient(node.ports["mx"]) as client:
        client.say("EHLO client.test")
        assert client.say("MAIL FROM:<a@elsewhere.test>").startswith("250")
        assert client.say("RCPT TO:<you@sink.test>").startswith("55")
    with RawClient(node.ports["submission"]) as client:
        client.say("EHLO client.test")
        assert client.say("MAIL FROM:<a@elsewhere.test>").startswith("530")


@pytest.mark.parametrize("path, word", [("/healthz", ""), ("/readyz", ""),
                                        ("/metrics", "posthorse_")])
def test_http_answers(node, path, word):
    status, text = node.http(path)
    assert status == 200 and word in text


def test_config_check_names_file_and_line(tmp_path):
    broken = tmp_path / "broken.toml"
    broken.write_text('host_name = "a"\n[queue]\nlifetime = "four days"\n')
    answer = subprocess.run([BINARY, "config", "check", "--config", broken], capture_output=True,
                            text=True, check=False)
    assert answer.returncode != 0
    assert f"{broken}:3:" in answer.stdout + answer.stderr


def test_the_heap_gives_back_what_nobody_uses(node):
    """As daemon/heap.cc wants it; a build without its heap would say nothing."""
    told = subprocess.run([str(BINARY), "--version"], env={"MALLOC_CONF": "stats_print:true"},
                          capture_output=True, text=True, check=True).stderr
    assert "opt.narenas: 2\n" in told and "opt.dirty_decay_ms: 1000 " in told
    threads = [path.read_text().strip() for path in Path(f"/proc/{node.pid}/task").glob("*/comm")]
    assert "jemalloc_bg_thd" in threads
