"""What a node finds out about mail from strangers, and what others find out about the same mail."""

import base64
import smtplib

import pytest

from harness import wait
from harness.dns_server import DnsServer
from harness.rawclient import RawClient
from harness.second_opinion import Told, World, dkim_passes, spf_result, told
from harness.sinks import Sink
from harness.strangers import (AUTHSERV_ID, AUTHSERV_ID_UTF8, HERE, SIX, THERE, Case, Signers,
                               Stranger, plain_mail, verifying)

PEAK_MAX_KIB = 200_000_000 // 1024


def spf_cases() -> list[Case]:
    def case(domain: str, spf: str, client: str = HERE, local: str = "ann") -> Case:
        return Case(f"spf-{domain}-{client}", spf, f"{local}@{domain}", client)

    return [
        case("ip4.test", "pass"), case("ip4.test", "fail", THERE), case("six.test", "pass", SIX),
        case("six.test", "fail"), case("include.test", "pass"), case("include.test", "fail", THERE),
        case("redirect.test", "pass"), case("redirect.test", "fail", THERE),
        case("soft.test", "softfail"), case("neutral.test", "neutral"), case("open.test", "pass"),
        case("silent.test", "neutral"), case("none.test", "none"), case("empty.test", "none"),
        case("broken.test", "permerror"), case("two.test", "permerror"),
        case("hosts.test", "pass"), case("hosts.test", "pass", SIX),
        case("hosts.test", "fail", THERE), case("named.test", "pass"),
        case("named.test", "fail", THERE), case("macro.test", "pass", HERE, "strong-bad"),
        case("macro.test", "fail", HERE, "weak-bad"), case("ten.test", "pass"),
        case("eleven.test", "pass"), case("eleven.test", "permerror", THERE),
        case("nested.test", "permerror", THERE), case("two-void.test", "pass"),
        case("void.test", "permerror"), case("loop.test", "permerror"),
        case("away.test", "temperror"), case("to-away.test", "temperror"),
        case("to-none.test", "permerror"),
        Case("spf-null-sender", "pass", ""), Case("spf-null-sender-elsewhere", "fail", "", THERE),
    ]


def dkim_cases(signers: Signers) -> list[Case]:
    def case(name: str, mail, *dkim: str, dmarc: str = "fail") -> Case:
        return Case(f"dkim-{name}", "none", author="ann@signed.test", mail=mail, dkim=dkim,
                    dmarc=dmarc, policy="reject")

    good, ed25519 = signers.by("rsa"), signers.by("ed25519")
    malformed = b"DKIM-Signature: v=1; a=rsa-sha256; d=signed.test\r\n"
    return [
        case("rsa", good, "pass", dmarc="pass"),
        case("ed25519", ed25519, "pass", dmarc="pass"),
        case("both", lambda mail: good(ed25519(mail)), "pass", "pass", dmarc="pass"),
        case("expired", signers.by("rsa", more=[(b"x", b"1700000000")]), "fail"),
        case("body-changed", lambda mail: good(mail).replace(b"there", b"their"), "fail"),
        case("header-changed", lambda mail: good(mail).replace(b"To: you", b"To: me"), "fail"),
        case("key-missing", signers.by("missing"), "permerror"),
        case("key-revoked", signers.by("revoked"), "permerror"),
        case("key-away", signers.by("away"), "temperror", dmarc="temperror"),
        case("malformed", lambda mail: malformed + mail, "permerror"),
        case("one-of-two", lambda mail: malformed + good(mail), "permerror", "pass", dmarc="pass"),
        case("length", lambda mail: signers.by("rsa", length=True)(mail) + b"and more\r\n", "pass",
             dmarc="pass"),
        case("other-domain", signers.by("rsa", "strict.test"), "pass"),
    ]


def dmarc_cases(signers: Signers) -> list[Case]:
    strict = signers.by("rsa", "strict.test")
    return [
        Case("dmarc-organization", "none", author="ann@news.signed.test", mail=signers.by(),
             dkim=("pass",), dmarc="pass", policy="quarantine"),
        Case("dmarc-subdomain", "none", author="ann@news.signed.test", dmarc="fail",
             policy="quarantine"),
        Case("dmarc-spf-relaxed", "pass", "ann@mail.signed.test", author="ann@signed.test",
             dmarc="pass", policy="reject"),
        Case("dmarc-spf-strict", "pass", "ann@mail.strict.test", author="ann@strict.test",
             dmarc="fail", policy="none"),
        Case("dmarc-dkim-strict", "none", author="ann@strict.test", mail=strict, dkim=("pass",),
             dmarc="pass", policy="none"),
        Case("dmarc-dkim-strict-below", "none", author="ann@news.strict.test", mail=strict,
             dkim=("pass",), dmarc="fail", policy="none"),
        Case("dmarc-neighbour", "pass", "ann@evil.co.uk", author="ann@bank.co.uk", dmarc="fail",
             policy="reject"),
        Case("dmarc-helo", "pass", "", helo="mail.signed.test", author="ann@signed.test",
             dmarc="pass", policy="reject"),
        Case("dmarc-misspelt", "none", author="ann@misspelt.test", dmarc="permerror"),
        Case("dmarc-away", "none", author="ann@away.test", dmarc="temperror"),
        Case("dmarc-two-authors", "none", author="ann@signed.test, bob@strict.test",
             dmarc="permerror"),
    ]


@pytest.fixture(scope="module")
def signers(tmp_path_factory) -> Signers:
    return Signers(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def world(signers) -> World:
    return signers.world()


@pytest.fixture(scope="module")
def cases(signers) -> dict[str, Case]:
    every = spf_cases() + dkim_cases(signers) + dmarc_cases(signers)
    return {case.name: case for case in every}


@pytest.fixture(scope="module")
def delivered(cases, world) -> dict[str, bytes]:
    """Every case's mail as the next server got it, by the case's name."""
    with DnsServer(world.records, world.failing) as dns, Sink() as sink:
        with verifying(dns.address, sink.port) as node:
            for number, case in enumerate(cases.values()):
                with Stranger(node.ports["mx"], case.client, case.helo) as client:
                    client.sendmail(case.sender, f"case-{number}@sink.test", case.content)
            wait.until(lambda: len(sink.received) == len(cases), "every mail arrives", 60)
            wait.until(lambda: node.log.read_text().count(" verified ") == len(cases),
                       "a line tells of each mail")
            assert node.metrics()[
                'posthorse_verification_results_total{method="dkim",result="none"}'] > 30
        by_recipient = {mail.recipients[0]: mail.content for mail in sink.received}
    return {name: by_recipient[f"case-{number}@sink.test"] for number, name in enumerate(cases)}


def test_every_result_is_what_it_must_be(cases, delivered):
    faults = []
    for name, case in cases.items():
        found = told(delivered[name], AUTHSERV_ID)
        wanted = (case.spf, case.dkim, case.dmarc, case.policy)
        policy = found.properties.get("dmarc.policy.dmarc", "")
        if (found.spf, found.dkim, found.dmarc, policy) != wanted:
            faults.append(f"{name}: wanted {wanted}, found {found}")
    assert not faults, "\n".join(faults)


def test_pyspf_and_dkimpy_agree(cases, delivered, world):
    faults = []
    for name, case in cases.items():
        found = told(delivered[name], AUTHSERV_ID)
        sender = case.sender or f"postmaster@{case.helo}"
        theirs = spf_result(world, case.client, case.helo, sender)
        if found.spf != theirs:
            faults.append(f"{name}: spf={found.spf}, pyspf says {theirs}")
        passes = dkim_passes(world, case.content)
        ours = [result == "pass" for result in found.dkim if result != "none"]
        if ours != passes:
            faults.append(f"{name}: dkim={found.dkim}, dkimpy says {passes}")
    assert not faults, "\n".join(faults)


def test_the_mail_behind_the_trace_is_what_came(cases, delivered):
    for name, case in cases.items():
        content = delivered[name]
        assert content.startswith(b"Authentication-Results: " + AUTHSERV_ID.encode()), name
        assert content.endswith(case.content), name
        trace = content[:-len(case.content)]
        assert trace.index(b"\r\nReceived: ") > 0 and trace.count(b"\r\nReceived: ") == 1, name


def test_names_are_told_with_the_results(delivered):
    found = told(delivered["dkim-rsa"], AUTHSERV_ID)
    assert found.properties["dkim.header.d"] == "signed.test"
    assert found.properties["dkim.header.s"] == "rsa"
    assert found.properties["dkim.header.a"] == "rsa-sha256"
    assert len(found.properties["dkim.header.b"]) == 8
    assert found.properties["spf.smtp.mailfrom"] == "ann@none.test"
    assert found.properties["dmarc.header.from"] == "signed.test"
    by_helo = told(delivered["spf-null-sender"], AUTHSERV_ID)
    assert by_helo.properties["spf.smtp.helo"] == "helo.test"
    assert b'reason="l=' in delivered["dkim-length"]


FORGED = [f"Authentication-Results: {AUTHSERV_ID}; dkim=pass header.d=bank.test",
          f"AUTHENTICATION-RESULTS: {AUTHSERV_ID.upper()}; spf=pass",
          f"Authentication-Results:\r\n (our own) \"{AUTHSERV_ID}\"\r\n\t(really) 1; dmarc=pass",
          f"Authentication-Results: {AUTHSERV_ID}.; dmarc=pass",
          f"Authentication-Results: {AUTHSERV_ID_UTF8}; dmarc=pass",
          f"Authentication-Results: {AUTHSERV_ID_UTF8.upper()}; dmarc=pass",
          f"Authentication-Results: mx.(x)xn--mil-qla.test; dmarc=pass"]
OTHERS = "Authentication-Results: other.test; spf=pass smtp.mailfrom=ann@none.test"


def test_fields_in_our_name_are_gone_and_signatures_of_them_stay_good(signers, world, sink):
    head = "\r\n".join([*FORGED, OTHERS, *FORGED]) + "\r\n"
    sign_all = signers.by(names=[b"from", *[b"authentication-results"] * (2 * len(FORGED) + 1)])
    mail = sign_all(head.encode() + plain_mail("ann@signed.test", "forged"))
    with DnsServer(world.records, world.failing) as dns:
        with verifying(dns.address, sink.port) as node:
            with Stranger(node.ports["mx"], HERE, "helo.test") as client:
                client.ehlo()
                client.sendmail("ann@none.test", "you@sink.test", mail, ["SMTPUTF8"])
            assert node.metrics()["posthorse_verification_forged_fields_total"] == 2 * len(FORGED)
            wait.until(lambda: sink.received, "the mail arrives")
    found = told(sink.received[0].content, AUTHSERV_ID)
    assert found.fields == (AUTHSERV_ID, "other.test")
    assert found.dkim == ("pass",) and found.dmarc == "pass"


def test_without_a_dns_server_mail_is_taken_and_told_so(sink):
    with verifying("127.0.0.1:9", sink.port) as node:
        with Stranger(node.ports["mx"], HERE, "helo.test") as client:
            client.sendmail("ann@ip4.test", "you@sink.test",
                            plain_mail("ann@signed.test", "no DNS"))
        wait.until(lambda: sink.received, "the mail arrives")
    found = told(sink.received[0].content, AUTHSERV_ID)
    assert (found.spf, found.dkim, found.dmarc) == ("temperror", ("none",), "temperror")


def test_a_verifier_that_cannot_work_puts_mail_off_and_loses_none(world, sink, tmp_path):
    suffixes = tmp_path / "suffixes"
    suffixes.write_text("// none\n")
    with DnsServer(world.records, world.failing) as dns:
        with verifying(dns.address, sink.port, {"verify": {"public_suffixes": suffixes}}) as node:
            node.logged("no list of public suffixes can be read there")
            mail = plain_mail("ann@signed.test", "later")
            with Stranger(node.ports["mx"], HERE, "helo.test") as client:
                with pytest.raises(smtplib.SMTPDataError) as refused:
                    client.sendmail("ann@ip4.test", "you@sink.test", mail)
                assert (refused.value.smtp_code, refused.value.smtp_error[:5]) == (451, b"4.7.0")
                assert node.queue() == []
                assert node.metrics()["posthorse_verification_unavailable_total"] == 1
                suffixes.write_text("test\n")
                node.cli("reload")
                client.sendmail("ann@ip4.test", "you@sink.test", mail)
            wait.until(lambda: len(sink.received) == 1, "the mail arrives")


def test_who_submits_is_not_verified(world, sink):
    with DnsServer(world.records, world.failing) as dns:
        with verifying(dns.address, sink.port,
                       {"intake": {"trusted_networks": ["192.0.2.0/24"]}}) as node:
            with Stranger(node.ports["mx"], HERE, "helo.test") as client:
                client.sendmail("ann@ip4.test", "you@sink.test",
                                f"{OTHERS}\r\n".encode() + plain_mail("ann@ip4.test", "ours"))
            wait.until(lambda: sink.received, "the mail arrives")
    assert AUTHSERV_ID.encode() not in sink.received[0].content


def test_a_large_message_is_verified_while_it_streams(signers, world):
    line = base64.b64encode(bytes(range(57))) + b"\r\n"
    mail = signers.by()(plain_mail("ann@signed.test", "large") + line * (50_000_000 // len(line)))
    with DnsServer(world.records, world.failing) as dns, Sink() as sink:
        with verifying(dns.address, sink.port, proxied=False) as node:
            before = node.memory_kib("VmHWM")
            with RawClient(node.ports["mx"]) as client:
                client.begin_message("ann@none.test", "you@sink.test")
                client.write(mail)
                assert client.say(".").startswith("250")
            wait.until(lambda: sink.received, "the mail arrives", 120)
            peak = node.memory_kib("VmHWM")
        found: Told = told(sink.received[0].content, AUTHSERV_ID)
    assert (found.dkim, found.dmarc) == (("pass",), "pass")
    assert peak < PEAK_MAX_KIB, f"{before} KiB grew to {peak} KiB"
