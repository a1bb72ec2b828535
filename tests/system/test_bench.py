"""The parts of `./dev bench` that could show a wrong figure without anybody noticing."""

import os
import smtplib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from cases import BASE, ROWS  # noqa: E402
from cpu_group import CpuGroup, own_folder  # noqa: E402
from rounds import Figures, arriving, median  # noqa: E402
from soft_sink import SoftSink  # noqa: E402
from sources import Load, parts  # noqa: E402
from table import markdown  # noqa: E402

from harness.processes import Process  # noqa: E402

# Two children that burn a tenth of a second each; one of them is nobody's child at its end.
BURNING = """
import os, time
if os.fork() and os.fork():
    os._exit(0)
while time.process_time() < 0.1:
    pass
"""


def test_names_of_rows_are_their_own():
    assert len({case.name for case in ROWS}) == len(ROWS)


def test_a_load_is_parted_without_loss():
    shares = parts(Load(BASE, messages=100, sessions=20), 3)
    assert sum(share.messages for share in shares) == 100
    assert sum(share.sessions for share in shares) == 20


@pytest.mark.parametrize("messages, doors, expected", [
    (201, 1, 200), (202, 1, 200), (402, 1, 400), (100, 1, 99), (100, 4, 96), (804, 4, 800)])
def test_mail_for_the_silent_destination_is_not_waited_for(messages, doors, expected):
    case = next(case for case in ROWS if case.name == "dead")
    assert arriving(Load(case, messages, 20), doors) == expected


def test_all_other_mail_is_waited_for():
    assert arriving(Load(BASE, 777, 20), 3) == 777


def test_ratios_are_to_the_same_row():
    slow, quick = Figures(10, 10, 1000, 5, 9), Figures(50, 40, 250, 1, 2)
    table = markdown([(BASE, {"Postfix": slow, "Posthorse": median([quick, quick, slow])})])
    assert table.splitlines()[-1] == "|  | Posthorse | 50 | 40 | 250 | 1.0 | 2.0 | 4.00 | 0.250 |"


def test_soft_sink_refuses_its_share_and_counts_all():
    refused = 0
    with SoftSink(0.5) as sink:
        with smtplib.SMTP("127.0.0.1", sink.port, "client.test", timeout=60) as client:
            for _ in range(40):
                try:
                    client.sendmail("a@b.test", ["c@soft.test"], "Subject: x\r\n\r\n.dot\r\n")
                except smtplib.SMTPDataError as refusal:
                    assert refusal.smtp_code == 451
                    refused += 1
        assert sink.count() == 40
    assert 5 <= refused <= 35


@pytest.mark.skipif(not os.access(own_folder(), os.W_OK), reason="cgroups are read-only here")
def test_a_group_counts_what_is_nobodys_child(tmp_path):
    with CpuGroup("test") as group:
        with group.entered():
            process = Process([sys.executable, "-c", BURNING], tmp_path / "log")
        process.wait(60)
        used = group.seconds_when_idle()
    assert used >= 0.2
