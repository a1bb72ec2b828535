"""load_source and floor_sink of tests/bench, tried on each other and on servers that remember."""

import smtplib
import socket
import ssl
from pathlib import Path

import pytest

from harness import wait
from harness.certificates import make
from harness.load_tools import FloorSink, Load, Sending, send
from harness.recording_sink import RecordingSink
from harness.sinks import Doors, Sink

MESSAGE = b"Subject: a horse\r\n\r\n.. and a dot\r\n"
EVERYTHING = (b"EHLO client.test\r\n" +
              2 * (b"MAIL FROM:<me@box.test>\r\nRCPT TO:<you@sink.test>\r\nDATA\r\n" + MESSAGE +
                   b".\r\n") + b"QUIT\r\n")


@pytest.mark.parametrize("options", [(), ("--pipelining",)])
@pytest.mark.parametrize("kept, connections", [(True, 5), (False, 100)])
def test_what_is_sent_is_counted(kept, connections, options):
    with FloorSink() as sink:
        sent = send(Load(sink.port, 100, 5, 2000, kept, options=options))
        counts = sink.counts()
        assert sink.stop()["messages"] == 100
    assert (sent.messages, sent.failed, sent.connections) == (100, 0, connections)
    assert counts["messages"] == counts["recipients"] == 100
    assert counts["connections"] == connections + 1  # the harness looked whether it listens
    assert counts["bytes"] == 100 * (2000 + len(".\r\n"))


def test_messages_are_whole_and_each_its_own():
    with RecordingSink(keep_content=True) as sink:
        send(Load(sink.port, 40, 4, 4096, host=sink.host,
                  options=("--domains", "10", "--recipients", "2", "--name", "mine")))
        copies = sink.copies()
        contents = dict(sink.contents)
    assert set(copies) == {f"mine-{number:010}@load.test" for number in range(40)}
    assert {len(content) for content in contents.values()} == {4096}
    domains = [recipient.split("@")[1] for [copy] in copies.values()
               for recipient in copy.recipients]
    assert sorted(domains) == sorted(8 * [f"d{number}.test" for number in range(10)])


def test_what_is_refused_has_failed():
    with FloorSink(options=("--defer-all",)) as sink:
        sent = Sending(Load(sink.port, 10, 2)).sent(failures_max=None)
        assert sink.counts()["deferred"] == 10
    assert (sent.messages, sent.failed) == (0, 10)
    assert sent.first_failure == "450 4.2.1 try later"


def test_a_port_that_nobody_listens_at_fails_every_message():
    with FloorSink() as sink:
        port = sink.port
    sent = Sending(Load(port, 1000, 3)).sent(failures_max=None)
    assert (sent.messages, sent.failed) == (0, 1000)


def test_a_rate_is_kept_by_sessions_that_suffice():
    with FloorSink() as sink:
        sent = send(Load(sink.port, 50, 5, options=("--rate", "100")))
    assert sent.messages == 50 and sent.seconds >= 49 / 100  # the last one is due then


def test_waits_of_the_time_to_settle_are_not_counted():
    with FloorSink() as sink:
        sent = send(Load(sink.port, 50, 5, options=("--rate", "1000", "--settle", "60")))
    assert (sent.messages, sent.p99_ms, sent.late_p99_ms) == (50, 0, 0)


def test_a_load_without_an_end_is_ended():
    with FloorSink() as sink:
        sending = Sending(Load(sink.port, 10**9, 3))
        wait.until(lambda: sink.count() > 100, "mail comes")
        sent = sending.end()
        assert sent.messages == sink.count()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", ["full", "resumed"])
def test_tls_is_resumed_or_not(tmp_path, kind, version):
    certificates = make(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.maximum_version = version
    context.load_cert_chain(certificates.chain, certificates.key)
    with Sink(doors=Doors(tls=context)) as sink:
        sent = send(Load(sink.port, 100, 5, kept=False, options=("--tls", kind)))
        assert {message.tls for message in sink.received} == {version.name.replace("_", ".")}
        assert len(sink.received) == 100
    assert sent.connections == 100
    if kind == "full":
        assert sent.resumed == 0
    else:
        assert sent.resumed >= 95  # the first ones have nothing to resume


def bodies(file: Path) -> bytes:
    """Its rest is zeros, made before anything came."""
    return file.read_bytes().rstrip(b"\0")


@pytest.mark.parametrize("options", [(), ("--append",)])
def test_a_sink_keeps_what_it_takes(tmp_path, options):
    with FloorSink(tmp_path / "bodies", options) as sink:
        sent = send(Load(sink.port, 200, 20))
        report = sink.stop()
    if options:
        assert (tmp_path / "bodies").stat().st_size == report["bytes"]
    assert sent.messages == report["messages"] == 200
    assert len(bodies(tmp_path / "bodies")) == report["bytes"] == 200 * 4099
    assert 10 <= report["syncs"] <= 200  # 20 wait at the most
    assert 0 < report["sync_p50_ms"] <= report["sync_p99_ms"] <= report["sync_max_ms"]


@pytest.mark.parametrize("keeps", [False, True])
def test_a_sink_takes_what_comes_at_once(tmp_path, keeps):
    with FloorSink(tmp_path / "bodies" if keeps else None) as sink:
        with socket.create_connection((sink.host, sink.port)) as client:
            client.sendall(EVERYTHING)
            answers = client.makefile("rb").read()
        counts = sink.counts()
    codes = [line[:3] for line in answers.splitlines() if line[3:4] == b" "]
    assert codes == [b"220", b"250", *2 * [b"250", b"250", b"354", b"250"], b"221"]
    assert (counts["messages"], counts["bytes"]) == (2, 2 * len(MESSAGE + b".\r\n"))
    if keeps:
        assert bodies(tmp_path / "bodies") == 2 * (MESSAGE + b".\r\n")


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 7])
def test_a_sink_sees_an_end_that_comes_in_parts(step):
    text = MESSAGE + b".\r\n"
    with FloorSink() as sink, smtplib.SMTP(sink.host, sink.port, timeout=30) as client:
        client.ehlo()
        client.mail("me@box.test")
        client.rcpt("you@sink.test")
        client.docmd("DATA")
        for begin in range(0, len(text), step):
            assert sink.count() == 0
            client.sock.sendall(text[begin:begin + step])
            read = min(begin + step, len(text))
            wait.until(lambda: sink.counts()["bytes"] == read, f"{read} octets are read")
        assert client.getreply() == (250, b"2.0.0 taken")
        assert sink.count() == 1


def test_a_sink_defers_what_it_is_told_to():
    with FloorSink(options=("--defer", "later.test", "--defer-every", "3")) as sink:
        with smtplib.SMTP(sink.host, sink.port, timeout=30) as client:
            client.ehlo()
            client.mail("me@box.test")
            codes = [client.rcpt(f"you@{domain}.test")[0]
                     for domain in ("sink", "later", "sink", "sink", "sink", "sink")]
            assert client.data(MESSAGE)[0] == 250
        assert sink.counts()["deferred"] == 3
        assert sink.counts()["recipients"] == 3
    assert codes == [250, 450, 450, 250, 250, 450]
