"""Attacks by operators, and by those who are none: A1 to A3."""

import shutil
import ssl
from pathlib import Path

from harness import schemas, wait
from harness.certificates import make
from harness.node import answer_of
from harness.peer import Identity, call

import grpc

from attacks.rows import ADMIN, MX, SUBMISSIONS, shown, trial
from attacks.stage import Stage
from attacks.talker import Talker, wants

Code = grpc.StatusCode
BESIDE = ("/grpc.health.v1.Health/Check",
          "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
READ = 1
WAITING, WAITING_FULL = 200, 20_000
PAGE = 50


def methods() -> dict[str, int]:
    """Every call by its path, with the role that it takes."""
    admin = schemas.messages("admin")
    service = admin.DESCRIPTOR.services_by_name["Admin"]
    found = {f"/{service.full_name}/{method.name}": method.GetOptions().Extensions[admin.role]
             for method in service.methods}
    return found | {path: READ for path in BESIDE}


@trial("A1", ADMIN)
def every_call(stage: Stage, door: str) -> None:
    ca = stage.operators.ca
    pool = stage.pool_member()
    callers = {
        "no certificate": (Identity(ca), -1),
        "a member of the pool": (Identity(ca, pool.certificate, pool.key), -1),
        "a name that is not listed": (stage.operator("eve"), 0),
        "a reader": (stage.operator("rita"), READ),
    }
    at = f"127.0.0.1:{stage.admin_port}"
    for name, (identity, role) in callers.items():
        with identity.channel(at, "127.0.0.1") as channel:
            for path, takes in methods().items():
                code, said = call(channel, b"", path)
                wanted = (Code.UNAVAILABLE if role < 0 else
                          Code.PERMISSION_DENIED if role < takes else None)
                if wanted and code not in (wanted, Code.UNAUTHENTICATED):
                    raise AssertionError(f"{path} by {name}: {code} {said}")
                if not wanted and code in (Code.PERMISSION_DENIED, Code.UNAUTHENTICATED):
                    raise AssertionError(f"{path} by {name} is refused: {said}")


def options(stage: Stage, name: str) -> list[str]:
    own = stage.operator(name)
    return ["--address", f"127.0.0.1:{stage.admin_port}", "--ca", str(own.ca),
            "--certificate", str(own.certificate), "--key", str(own.key)]


@trial("A2", ADMIN)
def long_lists(stage: Stage, door: str) -> int:
    """Pages of a long queue; each change twice; all is removed while it is tried again."""
    count = WAITING_FULL if stage.full else WAITING
    with stage.talk("trusted").hello() as client:
        for number in range(count):
            client.envelope(f"w{number}@nowhere.test")
            client.expect("DATA", "354")
            client.expect("Subject: wait\r\n\r\nx\r\n.", "250")
    by = options(stage, "ann")

    def run(*words: str) -> str:
        answer = answer_of("queue", *words, *by, timeout_s=300)
        if answer.returncode:
            raise AssertionError(f"queue {words}: {answer.stderr}")
        return answer.stdout

    listed = run("ls", "--json").splitlines()
    if len(listed) != count or len(set(listed)) != count:
        raise AssertionError(f"{len(listed)} of {count} are listed, {len(set(listed))} once")
    for action in ("hold", "hold", "resume", "resume"):
        run(action, "--all")
    run("flush")
    run("rm", "--all")
    run("rm", "--all")
    wait.until(lambda: not stage.main.queue(), "the queue is empty", 60)
    log = stage.main.logged("action=remove")
    for action in ("hold", "resume", "remove"):
        if f"action={action}" not in log or 'operator="ann' not in log:
            raise AssertionError(f"{action} by ann is not in the audit log")
    return count


@trial("A3", ADMIN)
def certificates_change(stage: Stage, door: str) -> None:
    """The doors' own certificate: garbage is refused, a new one is shown, sessions stay."""
    node = stage.main
    kept = node.folder / "kept"
    kept.mkdir(exist_ok=True)
    for file in (node.certificates.chain, node.certificates.key):
        shutil.copy(file, kept)
    before = shown_at(stage, SUBMISSIONS)
    with stage.talk(MX).hello() as in_clear, stage.talk(SUBMISSIONS).hello() as secure:
        node.certificates.chain.write_text("-----BEGIN CERTIFICATE-----\nhorse\n")
        refused = answer_of("reload", "--config", str(node.config))
        if not refused.returncode or shown_at(stage, SUBMISSIONS) != before:
            raise AssertionError(f"garbage was taken for a certificate: {refused.stdout}")
        renewed = make(node.folder / "renewed")
        shutil.copy(renewed.chain, node.certificates.chain)
        shutil.copy(renewed.key, node.certificates.key)
        node.reload()
        wait.until(lambda: shown_at(stage, SUBMISSIONS) != before, "the new one is shown")
        for client in (in_clear, secure):
            wants(client.say("NOOP"), "250", "a session of before")
    for file in (node.certificates.chain, node.certificates.key):
        shutil.copy(kept / Path(file).name, file)
    node.reload()
    wait.until(lambda: shown_at(stage, SUBMISSIONS) == before, "the old one is back")


def shown_at(stage: Stage, door: str) -> bytes:
    with Talker(stage.main, door) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        return client.socket.getpeercert(binary_form=True)


ADMIN_PORT = "tests/unit/daemon/admin/admin_port_test.cc"
SERVICE = "tests/unit/daemon/admin/admin_service_test.cc"
TOGETHER = "tests/system/test_operators.py"
shown("A1", f"{ADMIN_PORT}: every method, with every certificate that there may be",
      f"{ADMIN_PORT}: a call that is refused has done nothing",
      f"{TOGETHER}::test_a_role_bounds_what_an_operator_may_do")
shown("A2", f"{SERVICE}: ListMessages: pages of any size hold every message once, in order of ids",
      f"{SERVICE}: ListMessages: a page is bounded in bytes, whatever was asked for",
      f"{SERVICE}: Act: a filter takes what matches and leaves the rest, over several pages",
      f"{TOGETHER}::test_the_log_names_the_certificate")
shown("A3", f"{TOGETHER}::test_a_reload_takes_new_certificates_and_refuses_bad_ones",
      f"{TOGETHER}::test_a_reload_takes_the_lists_of_names",
      "tests/system/proofs/peers.py::renewal",
      "tests/unit/replication/edge/peer_network_test.cc: a bad new file is refused and named, and "
      "what was good stays in use")
