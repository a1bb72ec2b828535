"""A certificate authority of our own and server certificates, made with the openssl command."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMES = "DNS:localhost,DNS:*.posthorse.test,DNS:posthorse.test,IP:127.0.0.1,IP:::1"


@dataclass(frozen=True)
class Certificates:
    ca: Path     # what clients trust
    chain: Path  # server certificate, PEM
    key: Path


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def _new_key(path: Path) -> None:
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
             str(path))


def make(folder: Path, *more: str) -> Certificates:
    """Makes authority, key and certificate for localhost and *.posthorse.test in `folder`.

    `more`: further names, as "IP:192.0.2.1".
    """
    folder.mkdir(parents=True, exist_ok=True)
    ca_key, request, extensions = folder / "ca.key", folder / "server.csr", folder / "names.cnf"
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    _new_key(ca_key)
    _openssl("req", "-x509", "-new", "-key", str(ca_key), "-days", "30", "-out", str(made.ca),
             "-subj", "/CN=Posthorse test authority")
    _new_key(made.key)
    _openssl("req", "-new", "-key", str(made.key), "-subj", "/CN=localhost", "-out", str(request))
    extensions.write_text(f"subjectAltName={','.join((NAMES, *more))}\n")
    _openssl("x509", "-req", "-in", str(request), "-CA", str(made.ca), "-CAkey", str(ca_key),
             "-CAcreateserial", "-days", "30", "-extfile", str(extensions), "-out", str(made.chain))
    return made
