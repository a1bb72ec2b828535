"""The lint finds what it is there to find: every rule refuses one broken example."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import layers  # noqa: E402
import tally  # noqa: E402
import tidy  # noqa: E402

HEADER = "// What it is.\n#pragma once\n"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize("file, text, expected", [
    ("proto/a.h", '#include "storage/b.h"\n', "rank 0"),
    ("storage/a.h", '#include "daemon/b.h"\n', "rank 1"),
    ("daemon/intake/a.h", '#include "daemon/deliver/b.h"\n', "stages do not know each other"),
    ("daemon/a.h", '#include "b.h"\n', "from the root"),
    ("daemon/a.h", '#include "daemon/none.h"\n', "does not exist"),
    ("storage/queue_store.h", "#include <rocksdb/db.h>\n", "RocksDB"),
    ("daemon/deliver/pool.cc", "#include <ares.h>\n", "c-ares"),
    ("daemon/intake/a.cc", "#include <openssl/ssl.h>\n", "OpenSSL"),
    ("replication/core/a.cc", "#include <boost/asio.hpp>\n", "Boost"),
    ("replication/core/a.cc", "#include <grpcpp/grpcpp.h>\n", "gRPC"),
    ("daemon/intake/a.cc", '#include "posthorse/v1/admin.pb.h"\n', "protobuf"),
    ("daemon/a.cc", "#include <unheard/of.h>\n", "belongs to no library"),
    ("daemon/intake/a.cc", "void f() { co_spawn(x); }\n", "TaskGroup"),
    ("proto/a.cc", "auto t = std::chrono::steady_clock::now();\n", "Clock"),
    ("daemon/intake/a.cc", "std::mutex m;\n", "threads and locks"),
    ("daemon/deliver/a.cc", "std::this_thread::sleep_for(s);\n", "wait for a condition"),
])
def test_layers_refuses(tmp_path, file, text, expected):
    targets = {"storage/b.h": "", "daemon/b.h": "", "daemon/deliver/b.h": ""}
    faults = layers.faults_in(tree(tmp_path, targets | {file: text}))
    assert len(faults) == 1 and faults[0].startswith(f"{file}:1: ") and expected in faults[0]


def test_layers_accepts_what_is_allowed(tmp_path):
    files = {
        "proto/types/a.h": HEADER + "#include <vector>\n",
        "storage/rocks_store.cc": '#include "proto/types/a.h"\n#include <rocksdb/db.h>\n',
        "daemon/intake/a.cc": '#include "daemon/runtime/b.h"\n// co_spawn, std::mutex\n',
        "daemon/runtime/b.h": HEADER + "#include <boost/asio.hpp>\n",
        "daemon/node.cc": '#include "daemon/intake/c.h"\n#include "daemon/runtime/b.h"\n',
        "daemon/intake/c.h": HEADER,
        "daemon/admin/d.cc": '#include "posthorse/v1/admin.grpc.pb.h"\n',
        "replication/port.h": HEADER,
        "replication/core/e.h": HEADER + '#include "replication/port.h"\n',
        "replication/facade.h": HEADER + '#include "replication/core/e.h"\n',
        "tests/unit/a_test.cc": "#include <doctest/doctest.h>\nstd::mutex m;\n",
    }
    assert layers.faults_in(tree(tmp_path, files)) == []


def test_layers_refuses_a_cycle_of_folders(tmp_path):
    files = {"proto/a/a.h": '#include "proto/b/b.h"\n', "proto/b/b.h": '#include "proto/a/a.h"\n'}
    faults = layers.faults_in(tree(tmp_path, files))
    assert faults == ["proto/a: lies on a cycle of folders: proto/a -> proto/b -> proto/a"]


def test_layers_wants_one_file_a_library(tmp_path):
    text = "#include <opendkim/dkim.h>\n"
    faults = layers.faults_in(tree(tmp_path, {"daemon/sign/a.cc": text, "daemon/sign/b.cc": text}))
    assert len(faults) == 1 and "daemon/sign/a.cc" in faults[0]


LONG_BODY = "    f();\n" * 75


@pytest.mark.parametrize("file, text, expected", [
    ("a.cc", "// " + "x" * 100 + "\n", "103 columns"),
    ("a.cc", "int i;\n" * 601, "601 lines"),
    ("a.cc", "namespace n {\nvoid C::f(int a,\n          int b) {\n" + LONG_BODY + "}\n}\n",
     "C::f has 78 lines"),
    ("a.cc", "class C {\npublic:\n    C() {\n" + LONG_BODY + "    }\n};\n", "C has 77 lines"),
    ("a.cc", "void f() {\n    g([] {\n" + LONG_BODY + "    });\n}\n", "f has 79 lines"),
    ("a.py", "def f():\n" + "    g()\n" * 75, "f has 76 lines"),
    ("dev", "f() {\n" + LONG_BODY + "}\n", "f has 77 lines"),
    ("a.h", "#pragma once\n", "begins with a comment"),
    ("a.h", "// What it is.\n", "#pragma once"),
    ("a.cc", "// TO" "DO\n", "left-over"),
    ("a.cc", "int i; \n", "white space"),
    ("a.md", "[b](none.md)\n", "does not exist"),
])
def test_tidy_refuses(tmp_path, file, text, expected):
    faults = tidy.faults_in(tree(tmp_path, {file: text}))
    assert len(faults) == 1 and expected in faults[0]


def test_tidy_accepts_short_functions_after_each_other(tmp_path):
    one = "void f() {\n    if (x) {\n        g(\"{\");\n    }\n}\n"
    text = one * 90
    assert tidy.faults_in(tree(tmp_path, {"a.cc": text})) == []


def test_ratchet_allows_what_is_listed_and_no_more(tmp_path):
    listed = {"tests/lint/ratchet.txt": "a.py:f 80 One switch with one call a case.\n"}
    tree(tmp_path, listed | {"a.py": "def f():\n" + "    g()\n" * 79})
    assert tidy.faults_in(tmp_path) == []
    tree(tmp_path, {"a.py": "def f():\n" + "    g()\n" * 80})
    assert len(tidy.faults_in(tmp_path)) == 1


def test_ratchet_wants_a_sentence(tmp_path):
    tree(tmp_path, {"tests/lint/ratchet.txt": "a.py:f 80\n", "a.py": ""})
    assert len(tidy.faults_in(tmp_path)) == 1


@pytest.mark.parametrize("log, status, counted", [
    ("Ok:                 12  \nFail:               2   \nTimeout:            1   \n", 1, (12, 3)),
    ("19 passed, 9 warnings in 8.94s\n", 0, (19, 0)),
    ("=== 2 failed, 17 passed, 1 error in 8.94s ===\n", 1, (17, 3)),
    ("proof crash: holds (3 s)\n", 0, (1, 0)),
    ("Traceback\n", 1, (0, 1)),
    ("Ok:                 12  \nFail:               0   \n", 1, (12, 1)),
])
def test_tally_counts_what_a_step_said(log, status, counted):
    assert tally.tally(log, status) == counted
