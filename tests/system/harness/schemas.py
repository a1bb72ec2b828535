"""The protocol's messages as Python classes, made of proto/ when they are first asked for."""

import atexit
import functools
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# gRPC's own threads do not outlive a fork; none of our children needs gRPC.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # failed handshakes are what proofs are about

ROOT = Path(__file__).resolve().parents[3] / "proto"


@functools.cache
def _generated() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ph-schemas-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    sources = sorted(str(path) for path in (ROOT / "posthorse/v1").glob("*.proto"))
    subprocess.run(["protoc", f"--proto_path={ROOT}", f"--python_out={folder}", *sources],
                   check=True, capture_output=True)
    sys.path.insert(0, str(folder))
    return folder


@functools.cache
def messages(name: str):
    """The module of posthorse/v1/NAME.proto."""
    _generated()
    return importlib.import_module(f"posthorse.v1.{name}_pb2")
