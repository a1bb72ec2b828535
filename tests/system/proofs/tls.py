"""What other people's scanners say of a node: testssl, sslscan, and nmap's scripts for SMTP.

testssl and sslscan look at the three listeners; nothing that they find may be of severity MEDIUM or
worse, but what they hold against the certificate of the tests, which a real one has not. nmap tries
to relay through the MX, to find out who has an account, and known holes.
"""

import json
import subprocess
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.node import Node
from proofs.figures import Figures, require

ADDRESS = "127.0.0.25"
PORTS = {"mx": 25, "submissions": 465, "submission": 587}  # scanners know SMTP by its ports
BAD = {"MEDIUM", "HIGH", "CRITICAL", "FATAL"}
# Of an authority that nobody trusts, for a month, without a list of what it revoked.
TEST_CERTIFICATE = {"cert_trust", "cert_chain_of_trust", "cert_expirationStatus", "cert_notAfter",
                    "cert_revocation", "cert_validityPeriod"}
TESTSSL_SAYS_MIN = 60  # a scan that broke off says less
NMAP_SCRIPTS = ("smtp-commands,smtp-open-relay,smtp-enum-users,smtp-vuln-cve2010-4344,"
                "smtp-vuln-cve2011-1720,smtp-vuln-cve2011-1764,ssl-enum-ciphers,ssl-poodle,"
                "ssl-heartbleed,sslv2")
GOOD_GRADES = {"A"}


@dataclass(frozen=True)
class Scan:
    findings: int
    bad: list[str]


def run(*command: str, timeout_s: float = 600) -> str:
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=timeout_s, check=False)
    return answer.stdout


def testssl(node: Node, name: str) -> Scan:
    report = Path(node.folder) / f"testssl-{name}.json"
    clear = [] if name == "submissions" else ["-t", "smtp"]
    said = run("testssl", "--quiet", "--color", "0", "--warnings", "batch", "-n", "none",
               "--add-ca", str(node.certificates.ca), "--jsonfile", str(report), *clear,
               f"{ADDRESS}:{PORTS[name]}")
    findings = json.loads(report.read_text())
    require(len(findings) >= TESTSSL_SAYS_MIN, f"testssl of {name} broke off:\n{said[-2000:]}")
    return Scan(len(findings),
                [f"{name}: {one['severity']} {one['id']}: {one['finding']}" for one in findings
                 if one["severity"] in BAD and one["id"] not in TEST_CERTIFICATE])


def sslscan(name: str) -> Scan:
    clear = [] if name == "submissions" else ["--starttls-smtp"]
    said = run("sslscan", "--xml=-", *clear, f"{ADDRESS}:{PORTS[name]}")
    test = xml.fromstring(said).find("ssltest")
    ciphers = test.findall("cipher")
    require(len(ciphers) > 0, f"sslscan of {name} found no cipher:\n{said[-2000:]}")
    bad = [f"{name}: {one.get('type')} {one.get('version')} is spoken" for one in
           test.findall("protocol") if one.get("enabled") == "1"
           and (one.get("type") == "ssl" or one.get("version") in ("1.0", "1.1"))]
    bad += [f"{name}: {one.get('cipher')} is {one.get('strength')}" for one in ciphers
            if one.get("strength") not in ("strong", "acceptable")]
    bad += [f"{name}: Heartbleed" for one in test.findall("heartbleed")
            if one.get("vulnerable") != "0"]
    renegotiation = test.find("renegotiation")
    supported = renegotiation is not None and renegotiation.get("supported") == "1"
    if supported and renegotiation.get("secure") != "1":
        bad.append(f"{name}: renegotiation is not secure")
    compression = test.find("compression")
    if compression is not None and compression.get("supported") != "0":
        bad.append(f"{name}: TLS compression")
    return Scan(len(ciphers), bad)


def nmap() -> Scan:
    said = run("nmap", "-Pn", "-n", "-oX", "-", "-p", ",".join(map(str, PORTS.values())),
               "--script", NMAP_SCRIPTS, "--script-args",
               "smtp-open-relay.domain=elsewhere.test,smtp-open-relay.from=a@elsewhere.test,"
               "smtp-open-relay.to=b@other.test", ADDRESS)
    scripts = [(port.get("portid"), script.get("id"), script.get("output"))
               for port in xml.fromstring(said).iter("port") for script in port.iter("script")]
    by_id = {identity for _, identity, _ in scripts}
    missing = {"smtp-open-relay", "smtp-enum-users", "ssl-enum-ciphers"} - by_id
    require(not missing, f"nmap ran no {missing}:\n{said[-2000:]}")
    bad = []
    for port, identity, output in scripts:
        open_relay = identity == "smtp-open-relay" and "all tests failed" not in output
        if identity == "smtp-open-relay" and port != str(PORTS["mx"]):
            open_relay = "is an open relay" in output  # others say at once that they want a login
        hole = "VULNERABLE" in output and "NOT VULNERABLE" not in output
        users = identity == "smtp-enum-users" and "\n" in output.strip()
        grades = [line.split()[-1] for line in output.splitlines() if "least strength" in line]
        if open_relay or hole or users or any(grade not in GOOD_GRADES for grade in grades):
            bad.append(f"port {port}: {identity}: {output.strip()}")
    return Scan(len(scripts), bad)


def main(full: bool) -> None:
    node = Node(address=ADDRESS)
    node.ports.update(PORTS)
    node.write_config({"intake": {"relay_domains": ["posthorse.test"]}})
    node.add_user()
    figures = Figures("scanners")
    with node, ThreadPoolExecutor(len(PORTS)) as pool:
        scans = {f"testssl, {name}": pool.submit(testssl, node, name) for name in PORTS}
        scans |= {f"sslscan, {name}": pool.submit(sslscan, name) for name in PORTS}
        scans["nmap"] = pool.submit(nmap)
        found = {name: scan.result() for name, scan in scans.items()}
        require(node.running(), "the node ended")
    for name, scan in found.items():
        figures.add(name, f"{scan.findings} findings, {len(scan.bad)} bad")
    figures.show()
    bad = [line for scan in found.values() for line in scan.bad]
    require(not bad, "\n".join(bad))
