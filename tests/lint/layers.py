#!/usr/bin/env python3
"""Refuses an include that goes up a rank, a library outside its edge file, a word out of place.

Place     Run by `./dev lint`; needs no compiler. Self-tests: lint_test.py.
Contract  Prints one line a fault, `file:line: what and why`, and exits 1 when there is one.
          docs/architecture.md explains the ranks; the tables below are what is enforced.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from sources import cpp_files, is_test, strip_cpp

RANKS = {"proto": 0, "storage": 1, "replication": 2, "daemon": 3}

# What a folder of the daemon may include besides itself. node.cc, main.cc and whatever else lies
# directly in daemon/ wires concrete types and may include all.
SHARED_IN_DAEMON = {"runtime", "config"}
SERVICES = {"intake": {"auth", "sign", "verify"}, "verify": {"dns", "sign"}, "deliver": {"dns"},
            "pool": {"dns"}, "admin": {"aside"}}

# Library, its headers, the files that may include them.
LIBRARIES = [
    ("RocksDB", r"rocksdb/", r"storage/rocks_\w+\.(cc|h)"),
    ("ISA-L", r"isa-l/", r"storage/crc32c\.cc"),
    ("libcap-ng", r"cap-ng\.h", r"daemon/runtime/privileges\.cc"),
    ("libidn2", r"idn2\.h", r"daemon/runtime/idn\.cc"),
    ("c-ares", r"ares\w*\.h", r"daemon/dns/dns_resolver\.cc"),
    ("libopendkim", r"(opendkim/)?dkim\.h", r"daemon/sign/\w+\.(cc|h)"),
    ("libpsl", r"libpsl\.h", r"daemon/verify/public_suffixes\.cc"),
    ("OpenSSL", r"openssl/|boost/asio/ssl",
     r"daemon/runtime/(tls|stream|asio_impl)\w*\.(cc|h)|daemon/sign/.*|"
     r"daemon/pool/certificate_authority\.cc|replication/edge/certificate_check\.cc"),
    ("gRPC", r"grpc(pp)?/|.*\.grpc\.pb\.h", r"daemon/admin/.*|replication/edge/.*"),
    ("Abseil", r"absl/", r"daemon/admin/grpc_library\.cc"),
    ("protobuf", r"google/protobuf/|.*\.pb\.h",
     r"proto/.*|storage/.*\.cc|daemon/admin/.*|replication/edge/.*"),
    ("Boost.System", r"boost/system/", r".*"),
    ("Boost", r"boost/", r"daemon/.*|replication/edge/.*"),
    ("toml++", r"toml\+\+/|toml\.hpp", r"daemon/config/\w+\.cc"),
    ("CLI11", r"CLI/", r"daemon/main\.cc|daemon/admin/cli\w*\.(cc|h)"),
    ("PAM", r"security/pam", r"daemon/auth/pam_authenticator\.cc"),
    ("GNU SASL", r"gsasl\.h", r"daemon/auth/sasl\.cc"),
    ("libcrypt", r"crypt\.h", r"daemon/auth/password_hash\.cc"),
    ("spdlog", r"spdlog/", r"daemon/runtime/log\w*\.(cc|h)"),
    ("prometheus-cpp", r"prometheus/", r"daemon/runtime/metric\w*\.(cc|h)"),
    ("fmt", r"fmt/", r"(storage|replication|daemon)/.*\.cc|daemon/runtime/.*"),
    ("doctest", r"doctest/", r"tests/.*"),
    ("the operating system",
     r"(sys|net|netinet|arpa|linux)/|(unistd|fcntl|poll|signal|pwd|netdb|termios)\.h",
     r"daemon/.*|replication/edge/.*|storage/.*\.cc"),
]
ONE_FILE_ONLY = {"libopendkim"}

# A word of the language or of the system, the files that may say it, and why no other.
WORDS = [
    (r"\bco_spawn\b", r"daemon/runtime/task_group\.(cc|h)",
     "coroutines are spawned where they are joined: use TaskGroup"),
    (r"_clock::now\b|\bclock_gettime\b|\bgettimeofday\b|\btime\((nullptr|NULL|0)\)",
     r"daemon/runtime/system_clock\.(cc|h)", "time is an argument: take it from a Clock"),
    (r"\brandom_device\b|\bgetrandom\b|\bgetentropy\b|\bs?rand\(\)",
     r"daemon/runtime/\w+\.(cc|h)", "randomness is an argument: take it from runtime/"),
    (r"\bstd::(recursive_|shared_)?mutex\b|\bstd::j?thread\b(?!::hardware)|\bpthread_create\b",
     r"daemon/runtime/.*|daemon/admin/admin_server\.(cc|h)|"
     r"replication/edge/peer_server\.(cc|h)|"
     r"storage/(commit_queue|claim_table|message_counts|worker|rocks_\w+|memory_\w+)\.(cc|h)",
     "threads and locks live in runtime/, behind the store and at gRPC's edge"),
    (r"\bsleep_for\b|\bsleep_until\b|\busleep\b", r"(?!)", "wait for a condition or a timer"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)


@dataclass(frozen=True)
class Include:
    file: Path
    line: int
    quoted: bool
    target: str


def includes_of(root: Path, path: Path) -> list[Include]:
    text = (root / path).read_text(encoding="utf-8", errors="replace")
    return [Include(path, text.count("\n", 0, m.start(2)) + 1, m[1] == '"', from_root(m[2]))
            for m in INCLUDE.finditer(text)]


def from_root(target: str) -> str:
    """Generated code lies in the build folder, by the path of its schema below proto/."""
    return f"proto/{target}" if target.startswith(("posthorse/v1/", "etcd/")) else target


def rank_fault(include: Include) -> str | None:
    """An include from the root that goes up, or sideways between stages of the daemon."""
    to = Path(include.target)
    if not include.quoted or is_test(include.file):
        return None
    if to.parts[0] not in RANKS:
        return f'"{include.target}" is not written from the root'
    here = include.file.parts[0]
    if here in RANKS and RANKS[to.parts[0]] > RANKS[here]:
        return (f"{here}/ (rank {RANKS[here]}) includes {to.parts[0]}/ (rank "
                f"{RANKS[to.parts[0]]}): includes go down only")
    return stage_fault(include.file, to)


def stage_fault(file: Path, to: Path) -> str | None:
    both_in_stages = (file.parts[0] == to.parts[0] == "daemon"
                      and len(file.parts) > 2 and len(to.parts) > 2)
    if not both_in_stages or file.parts[1] == to.parts[1]:
        return None
    if to.parts[1] in SHARED_IN_DAEMON | SERVICES.get(file.parts[1], set()):
        return None
    return (f"daemon/{file.parts[1]} includes daemon/{to.parts[1]}: stages do not know each other; "
            "node.cc joins them")


def missing_fault(root: Path, include: Include) -> str | None:
    ours = include.quoted and include.target.split("/")[0] in RANKS
    if not ours or include.target.endswith(".pb.h") or (root / include.target).is_file():
        return None
    return f'"{include.target}" does not exist'


def library_fault(include: Include) -> str | None:
    for name, headers, files in LIBRARIES:
        if not re.match(headers, include.target):
            continue
        if is_test(include.file) or re.fullmatch(files, str(include.file)):
            return None
        return f"{name} ({include.target}) is not allowed here, only in {files}"
    if include.quoted or is_test(include.file) or "/" not in include.target:
        return None
    return f"<{include.target}> belongs to no library in tests/lint/layers.py: add it or go without"


def word_faults(root: Path, path: Path) -> list[str]:
    if is_test(path):
        return []
    text = strip_cpp((root / path).read_text(encoding="utf-8", errors="replace"))
    faults = []
    for word, files, why in WORDS:
        if re.fullmatch(files, str(path)):
            continue
        faults += [f"{path}:{text.count(chr(10), 0, m.start()) + 1}: {m[0]}: {why}"
                   for m in re.finditer(word, text)]
    return faults


def one_file_faults(includes: list[Include]) -> list[str]:
    faults = []
    for name, headers, _ in LIBRARIES:
        users = sorted({str(i.file) for i in includes
                        if re.match(headers, i.target) and not is_test(i.file)})
        if name in ONE_FILE_ONLY and len(users) > 1:
            faults.append(f"{users[1]}:1: {name} has one edge file, {users[0]}")
    return faults


def cycle_faults(includes: list[Include]) -> list[str]:
    """Folders side by side that include each other, straight or by others.

    A folder and one inside it are one family: the inner may use the ports of the outer.
    """
    edges: dict[str, set[str]] = {}
    for include in includes:
        here, to = str(include.file.parent), str(Path(include.target).parent)
        family = f"{here}/".startswith(f"{to}/") or f"{to}/".startswith(f"{here}/")
        if include.quoted and not is_test(include.file) and not family:
            edges.setdefault(here, set()).add(to)
    return [f"{folder}: lies on a cycle of folders: {' -> '.join(cycle)}"
            for folder in sorted(edges)
            if (cycle := shortest_cycle(edges, folder)) and folder == min(cycle)]


def shortest_cycle(edges: dict[str, set[str]], start: str) -> list[str]:
    paths, seen = [[start]], set()
    while paths:
        path = paths.pop(0)
        for to in sorted(edges.get(path[-1], ())):
            if to == start:
                return path + [to]
            if to not in seen:
                seen.add(to)
                paths.append(path + [to])
    return []


def faults_in(root: Path) -> list[str]:
    files = cpp_files(root)
    includes = [i for path in files for i in includes_of(root, path)]
    faults = []
    for include in includes:
        for fault in (rank_fault(include), missing_fault(root, include), library_fault(include)):
            if fault:
                faults.append(f"{include.file}:{include.line}: {fault}")
    for path in files:
        faults += word_faults(root, path)
    return faults + one_file_faults(includes) + cycle_faults(includes)


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    faults = faults_in(root)
    print("\n".join(faults) if faults else f"layers: {len(cpp_files(root))} files keep their ranks")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
