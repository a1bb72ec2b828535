"""Operators from afar: the command line over TCP with certificates, roles, the audit log."""

import json
import os
import shutil
import smtplib
import ssl
import subprocess
from pathlib import Path

import pytest

from harness import wait
from harness.node import BINARY, LOGIN, PASSWORD, Node, answer_of, routes_to, run_posthorse
from harness.ports import free_port
from harness.sinks import Sink


class Authority:
    """Of operators and of the node they come to, made by the binary itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        run_posthorse("pool", "ca", "init", "--dir", str(folder))
        self.ca = folder / "ca.pem"

    def issue(self, name: str) -> Path:
        """The path without its endings, .pem and .key."""
        prefix = self.folder / name
        run_posthorse("pool", "ca", "issue", "--dir", str(self.folder), "--name", name,
                      "--out", str(prefix))
        return prefix


class Afar:
    """A node with an admin port, and operators who come to it."""

    def __init__(self) -> None:
        self.sink = Sink("defer")
        self.node = Node()
        self.port = free_port()
        self.authority = Authority(self.node.folder / "operators")
        self.files = self.node.folder / "admin"
        self.files.mkdir()
        self.install(self.authority)
        settings = routes_to({"later.test": self.sink.port})
        settings["admin"] = {
            "address": "127.0.0.1", "port": self.port,
            "socket": self.node.folder / "admin.sock",
            "ca_file": self.files / "ca.pem", "certificate_file": self.files / "node.pem",
            "key_file": self.files / "node.key",
            "readers": ["rita"], "operators": ["olga"], "admins": ["ann"]}
        self.node.write_config(settings)
        self.node.add_user()

    def install(self, authority: Authority) -> None:
        """Puts the node's files where its settings name them."""
        issued = authority.issue("127.0.0.1")
        shutil.copy(authority.ca, self.files / "ca.pem")
        shutil.copy(f"{issued}.pem", self.files / "node.pem")
        shutil.copy(f"{issued}.key", self.files / "node.key")

    def options(self, name: str, authority: Authority | None = None) -> list[str]:
        by = authority or self.authority
        prefix = by.folder / name
        if not prefix.with_suffix(".pem").exists():
            by.issue(name)
        return ["--address", f"127.0.0.1:{self.port}", "--ca", str(by.ca),
                "--certificate", f"{prefix}.pem", "--key", f"{prefix}.key"]

    def run(self, name: str, *words: str) -> subprocess.CompletedProcess:
        return answer_of(*words, *self.options(name))


@pytest.fixture
def afar():
    made = Afar()
    with made.sink, made.node:
        yield made


def queued(afar: Afar) -> str:
    """The id of a message that waits."""
    context = ssl.create_default_context(cafile=afar.node.certificates.ca)
    with smtplib.SMTP_SSL("localhost", afar.node.ports["submissions"], "client.test",
                          context=context) as client:
        client.login(LOGIN, PASSWORD)
        client.sendmail(LOGIN, "you@later.test", b"Subject: hello\r\n\r\nHello.\r\n")
    [message] = wait.until(afar.node.queue, "it is listed")
    return message["id"]


def refusals(node: Node, reason: str) -> float:
    return node.metrics()[f'posthorse_admin_refused_total{{reason="{reason}"}}']


def test_a_role_bounds_what_an_operator_may_do(afar):
    message = queued(afar)
    listed = afar.run("rita", "queue", "ls", "--json")
    assert json.loads(listed.stdout)["id"] == message
    for words in (("queue", "cat", message), ("queue", "rm", message), ("queue", "flush"),
                  ("reload",), ("node", "drain", "x")):
        refused = afar.run("rita", *words)
        assert refused.returncode == 1 and "rita has the role read" in refused.stderr
    assert afar.run("olga", "queue", "hold", message).returncode == 0
    assert "Hello." in afar.run("olga", "queue", "cat", message).stdout
    removal = ("node", "remove", "x", "--yes")
    assert "this call takes admin" in afar.run("olga", *removal).stderr
    assert "this call takes" not in afar.run("ann", *removal).stderr
    assert refusals(afar.node, "role_too_low") == 6
    assert afar.node.queue()[0]["state"] == "held"
    assert afar.node.cli("queue", "rm", message)  # the socket has no roles


def test_strangers_do_not_get_in(afar):
    stranger = Authority(afar.node.folder / "strangers")
    node_authority = ["--ca", str(afar.authority.ca)]
    refused = answer_of("status", *afar.options("ann", stranger)[:2], *node_authority,
                        *afar.options("ann", stranger)[4:])
    assert refused.returncode == 3 and "no node answers" in refused.stderr
    # Nor does the operator speak to a node that he does not know.
    assert answer_of("status", *afar.options("ann")[:2], "--ca", str(stranger.ca),
                     *afar.options("ann")[4:]).returncode == 3
    assert answer_of("status", *afar.options("ann"), "--server-name", "n1").returncode == 3
    unlisted = afar.run("eve", "status")
    assert unlisted.returncode == 1 and "eve" in unlisted.stderr
    assert refusals(afar.node, "unknown_name") == 1
    assert refusals(afar.node, "no_name") == 0


def test_the_log_names_the_certificate(afar):
    message = queued(afar)
    afar.run("olga", "queue", "hold", message, "--reason", "look")
    afar.run("rita", "queue", "rm", message)
    log = afar.node.logged(" admin_refused ")
    [acted] = [line for line in log.splitlines() if " operator_action " in line]
    assert 'operator="olga (says ' in acted and "action=hold" in acted
    [refused] = [line for line in log.splitlines() if " admin_refused " in line]
    assert "name=rita" in refused and "/posthorse.v1.Admin/Act" in refused


def test_the_environment_names_the_port(afar):
    keys = ("ADDRESS", "CA", "CERTIFICATE", "KEY")
    values = dict(zip((f"POSTHORSE_ADMIN_{key}" for key in keys),
                      afar.options("rita")[1::2], strict=True))

    def status(*words: str) -> str:
        answer = subprocess.run([str(BINARY), "status", *words], env=os.environ | values,
                                capture_output=True, text=True, timeout=60, check=False)
        return answer.stdout + answer.stderr

    assert "node.posthorse.test" in status()
    nobody = afar.node.folder / "nobody.sock"
    assert f"no node answers on {nobody}" in status("--socket", str(nobody))


def test_a_reload_takes_new_certificates_and_refuses_bad_ones(afar):
    assert afar.run("olga", "reload").returncode == 0
    (afar.files / "node.pem").write_text("nonsense")
    assert "node.pem" in afar.run("olga", "reload").stderr
    assert afar.run("rita", "status").returncode == 0
    fresh = Authority(afar.node.folder / "fresh")
    afar.install(fresh)
    afar.node.reload()
    wait.until(lambda: answer_of("status", *afar.options("rita", fresh)).returncode == 0,
               "the new authority's operators get in")
    assert afar.run("rita", "status").returncode == 3


def test_the_authority_of_the_pool_is_refused(afar):
    settings = afar.node.config.read_text()
    copy = afar.files / "copy.pem"
    shutil.copy(afar.files / "ca.pem", copy)
    bad = afar.node.folder / "bad.toml"
    bad.write_text(f'{settings}\n[pool]\nca_file = "{copy}"\n')
    checked = answer_of("config", "check", "--config", str(bad))
    assert checked.returncode == 1 and "a node of the pool" in checked.stderr


def test_a_reload_takes_the_lists_of_names(afar):
    text = afar.node.config.read_text()
    afar.node.config.write_text(text.replace('["rita"]', '["rosa"]'))
    reloaded = afar.run("olga", "reload")
    assert reloaded.returncode == 0 and not reloaded.stderr
    assert "rita" in afar.run("rita", "status").stderr
    assert afar.run("rosa", "status").returncode == 0
