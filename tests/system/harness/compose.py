"""What deploy/compose/compose.yaml asks of a container engine.

Contract  `services(folder)`: each service as the stand-in of container.py needs it; paths of this
          machine are below `folder`. A key that is not known here is an error, so that nothing in
          the file goes unheeded.
Bounds    Ports are not published: each clone has an address. Nobody enforces the memory limit:
          who runs a service holds its peak against it.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

COMPOSE_FILE = Path("deploy/compose/compose.yaml")
# By the stand-in, and by nobody but a real engine.
HEEDED = {"hostname", "read_only", "tmpfs", "cap_drop", "cap_add", "sysctls", "security_opt",
          "stop_grace_period", "networks", "secrets", "volumes", "mem_limit"}
LEFT = {"image", "environment", "restart", "healthcheck", "ports"}


@dataclass(frozen=True)
class Mount:
    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True)
class Service:
    name: str
    aliases: list[str]
    mounts: list[Mount]          # files and folders that are there already
    volumes: dict[str, str]      # name -> path in the container
    tmpfs: list[tuple[str, str]]  # path, mount options
    capabilities: list[str]
    sysctls: dict[str, str]
    read_only: bool
    stop_grace_s: float
    memory_mib: int
    ready: list[str]


def services(folder: Path) -> list[Service]:
    return read(COMPOSE_FILE.read_text(), folder)


def read(text_of_file: str, folder: Path) -> list[Service]:
    text = yaml.safe_load(text_of_file)
    return [_service(text, name, folder) for name in text["services"]]


def _service(text: dict, name: str, folder: Path) -> Service:
    asked = text["services"][name]
    unknown = set(asked) - HEEDED - LEFT
    if unknown or asked["cap_drop"] != ["ALL"] or \
            asked["security_opt"] != ["no-new-privileges:true"]:
        raise AssertionError(f"{COMPOSE_FILE}: {name}: {unknown or 'privileges'}: the stand-in "
                             "for an engine does not do that")
    binds = [one.split(":") for one in asked["volumes"]]
    mounts = [Mount(folder / source, target, rest == ["ro"])
              for source, target, *rest in binds if source.startswith(".")]
    mounts += [Mount(folder / text["secrets"][one]["file"], f"/run/secrets/{one}", True)
               for one in asked["secrets"]]
    return Service(
        asked["hostname"],
        [alias for network in asked["networks"].values() for alias in network["aliases"]],
        mounts, {source: target for source, target, *_ in binds if not source.startswith(".")},
        [tuple(one.split(":", 1)) for one in asked["tmpfs"]], asked["cap_add"],
        {key: str(value) for key, value in asked["sysctls"].items()}, asked["read_only"],
        float(asked["stop_grace_period"].removesuffix("s")),
        int(asked["mem_limit"].removesuffix("m")), asked["healthcheck"]["test"][1:])
