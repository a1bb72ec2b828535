"""The container file and the compose file, without an engine: three clones behind one DNS name.

The image's last stage is made with debootstrap, and each service of the compose file runs as a
container of namespaces: read-only root, the image's user, the one capability (every second clone
has it as with Podman and systemd, the others as with Docker), no_new_privs, a volume of its own.
The name `posthorse` has the addresses of those that run, as Docker's own DNS says it, and the
containers find it in /etc/resolv.conf. The configuration is that of deploy/compose with one table
after its end: the route to this test's server, which no DNS leads to.

1. The pool begins; each clone is healthy by the image's health check, and has the privileges that
   were asked for and no more.
2. Each takes mail on 587 and 465, and refuses a stranger's on 25; all arrives.
3. While the destination is closed: one clone stops within its grace period, a new one with an empty
   volume comes in its place on another address, and lists every message; then all arrive, once.

The first run of a machine needs apt-get's mirror and some minutes for debootstrap.
"""

import json
import shutil
import smtplib
import ssl
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from harness import wait
from harness.certificates import make
from harness.compose import COMPOSE_FILE, Service, services
from harness.container import Container
from harness.container_image import Image
from harness.dns_server import DnsServer
from harness.network import Network
from harness.node import BINARY, INCOMPLETE, run_posthorse
from harness.pool import Authority
from harness.sinks import Sink
from proofs.figures import Figures, require

LOGIN, PASSWORD = "rider@example.org", "a-fresh-horse"
READY_S = 60.0
DEFERRED = 30
NET_BIND_SERVICE, NO_CAPABILITY = f"{1 << 10:016x}", f"{0:016x}"


@dataclass
class Deployment:
    image: Image
    network: Network
    dns: DnsServer
    scratch: Path
    tls: ssl.SSLContext
    running: list[Container] = field(default_factory=list)
    made: int = 0

    def start(self, service: Service, stack: ExitStack) -> Container:
        """On the next host, with empty volumes."""
        host = self.network.hosts[self.made]
        self.made += 1
        folder = self.scratch / f"{service.name}-{self.made}"
        folder.mkdir()
        (folder / "resolv.conf").write_text(f"nameserver {self.network.gateway}\n")
        container = Container(self.image, service, host, folder, ambient=self.made % 2 == 0)
        self.running.append(stack.enter_context(container))
        self.publish(service)
        return container

    def stop(self, container: Container) -> float:
        """And its volume with it."""
        took = container.stop()
        container.destroy_volumes()
        self.running.remove(container)
        self.publish(container.service)
        return took

    def publish(self, service: Service) -> None:
        addresses = [one.host.address for one in self.running]
        self.dns.zone.records = {(alias, "A"): addresses for alias in service.aliases}


def files_of_the_operator(folder: Path, network: Network, sink: Sink, image: Image) -> Path:
    """What deploy/README.md says to make beside compose.yaml: the CA that clients trust."""
    config = (COMPOSE_FILE.parent / "posthorse.toml").read_text()
    route = f"smtp:[{network.gateway}]:{sink.port}"
    (folder / "posthorse.toml").write_text(
        f'{config}\n[[delivery.route]]\ndomain = "sink.test"\nnext_hop = "{route}"\n')
    Authority(folder / "pool").issue("pool")
    made = make(folder / "tls", *(f"IP:{host.address}" for host in network.hosts))
    mail = folder / "mail"
    mail.mkdir()
    shutil.copy(made.chain, mail / "tls.pem")
    shutil.copy(made.key, mail / "tls.key")
    run_posthorse("user", "add", LOGIN, "--file", str(mail / "passwd"), "--password-stdin",
                  stdin=PASSWORD + "\n")
    for path in (mail, *mail.iterdir(), *(folder / "pool").iterdir()):
        shutil.chown(path, *image.ids())
    (folder / "pool/ca.key").unlink()  # it stays where certificates are made
    return made.ca


def check_privileges(container: Container) -> None:
    status, name = container.status(), container.service.name
    uid, gid = container.image.ids()
    wanted = {"Uid": "\t".join([str(uid)] * 4), "Gid": "\t".join([str(gid)] * 4), "Groups": "",
              "NoNewPrivs": "1", "NSpid": f"{container.pid}\t1"}
    own = NET_BIND_SERVICE if container.ambient else NO_CAPABILITY
    wanted |= {"CapBnd": NET_BIND_SERVICE, "CapInh": own, "CapPrm": own, "CapEff": own,
               "CapAmb": own}
    found = {key: status[key] for key in wanted}
    require(found == wanted, f"{name}: {found} instead of {wanted}")
    refusal = container.answer("touch", "/usr/bin/x").stderr
    require("Read-only file system" in refusal, f"{name}: the root is not read-only: {refusal!r}")


def submit(deployment: Deployment, container: Container, port: int, name: str) -> None:
    host = container.host.address
    if port == 465:
        client = smtplib.SMTP_SSL(host, port, timeout=30, context=deployment.tls)
    else:
        client = smtplib.SMTP(host, port, timeout=30)
        client.starttls(context=deployment.tls)
    with client:
        client.login(LOGIN, PASSWORD)
        client.sendmail(LOGIN, "you@sink.test", f"Message-ID: <{name}@example.org>\r\n"
                                                f"From: {LOGIN}\r\nSubject: x\r\n\r\n{name}\r\n")


def check_doors(deployment: Deployment, sink: Sink) -> int:
    """Mails that came in and went out."""
    names = set()
    for container in deployment.running:
        for port in (587, 465):
            name = f"{container.service.name}-{port}"
            submit(deployment, container, port, name)
            names.add(f"{name}@example.org")
        with smtplib.SMTP(container.host.address, 25, timeout=30) as stranger:
            stranger.ehlo()
            stranger.mail("them@example.net")
            code, text = stranger.rcpt("you@sink.test")
            require(500 <= code < 600, f"{container.service.name} relays for all: {code} {text!r}")
    wait.until(lambda: set(sink.by_message_id()) == names, f"{len(names)} mails arrive")
    return len(names)


def replace_one(deployment: Deployment, sink: Sink, stack: ExitStack, figures: Figures) -> None:
    sink.set_mode("defer")
    before = len(sink.received)
    leaver = deployment.running[0]
    for number in range(DEFERRED):
        submit(deployment, leaver, 587, f"deferred-{number}")
    names = {f"deferred-{number}@example.org" for number in range(DEFERRED)}
    figures.add("stopped with SIGTERM, exit code 0", f"{deployment.stop(leaver):.2f} s; grace "
                                                     f"{leaver.service.stop_grace_s:.0f} s")
    began = time.monotonic()
    newcomer = deployment.start(leaver.service, stack)
    newcomer.wait_ready(READY_S)
    figures.add("in its place, with an empty volume: healthy", f"{time.monotonic() - began:.2f} s")
    wait.until(lambda: listed(newcomer) == names, f"the newcomer lists {DEFERRED}", READY_S)
    sink.set_mode("accept")
    newcomer.run("/usr/bin/posthorse", "queue", "flush")
    wait.until(lambda: listed(newcomer) == set(), "the queue is empty", READY_S)
    arrived = [one.message_id for one in sink.received[before:]]
    require(sorted(arrived) == sorted(names), f"{len(arrived)} arrived, of {len(names)}")
    figures.add("  deferred mails that it listed, and that arrived once", len(names))


def listed(container: Container) -> set[str] | None:
    """Message-IDs of the whole pool's queue; None while a part of it does not answer."""
    answer = container.answer("/usr/bin/posthorse", "queue", "ls", "--json")
    if answer.returncode == INCOMPLETE:
        return None
    require(answer.returncode == 0, f"queue ls: {answer.stderr}")
    return {json.loads(line)["message_id"].strip("<>") for line in answer.stdout.splitlines()}


def run(scratch: Path, network: Network, stack: ExitStack, figures: Figures) -> None:
    image = Image(BINARY)
    sink = stack.enter_context(Sink(host=network.gateway))
    dns = DnsServer(host=network.gateway)
    dns.port = 53  # /etc/resolv.conf has no ports
    stack.enter_context(dns)
    ca = files_of_the_operator(scratch, network, sink, image)
    deployment = Deployment(image, network, dns, scratch, ssl.create_default_context(cafile=ca))
    began = time.monotonic()
    for service in services(scratch):
        deployment.start(service, stack)
    for container in deployment.running:
        container.wait_ready(READY_S)
        check_privileges(container)
    figures.add("clones; all healthy after", f"{len(deployment.running)}; "
                                             f"{time.monotonic() - began:.2f} s")
    figures.add("mails in by 587 and 465 of each, and out", check_doors(deployment, sink))
    replace_one(deployment, sink, stack, figures)
    peaks = {one.service.name: int(one.status()["VmHWM"].split()[0]) / 1024
             for one in deployment.running}
    limit = min(one.service.memory_mib for one in deployment.running)
    require(max(peaks.values()) < limit, f"more memory than the file allows: {peaks}")
    figures.add("memory: the highest peak", f"{max(peaks.values()):.0f} MiB; limit {limit}")


def main(full: bool) -> None:
    figures = Figures("deployed")
    with tempfile.TemporaryDirectory(prefix="ph-", dir="/tmp") as folder, Network(4) as network, \
            ExitStack() as stack:
        Path(folder).chmod(0o755)
        run(Path(folder), network, stack, figures)
    figures.show()
