"""Attacks on logins: S13 to S17."""

import base64
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from math import erfc, sqrt

from harness.node import LOGIN, PASSWORD

from attacks.rows import ALL, LOGINS, MX, SUBMISSION, SUBMISSIONS, TRUSTED, shown, trial
from attacks.stage import Stage
from attacks.talker import Talker, plain, wants

TRIES, TRIES_FULL = 40, 500
TRIES_OF_A_SESSION = 17
ROUNDS = 3
P_LEAST = 0.01


def encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


def before_login(stage: Stage, door: str) -> Talker:
    client = stage.talk(door)
    client.expect("EHLO client.test", "250")
    if door == SUBMISSION:
        client.secure()
    return client


@trial("S13", ALL)
def without(stage: Stage, door: str) -> None:
    with stage.talk(door) as client:
        offered = client.expect("EHLO client.test", "250")
        in_clear = "AUTH" in offered
        if door in LOGINS:
            client.expect(f"MAIL FROM:<{LOGIN}>", "530 5.7.0")
            client.expect("RCPT TO:<a@sink.test>", "503")
        if in_clear != (door == SUBMISSIONS):
            raise AssertionError(f"AUTH is offered at {door}: {offered}")
        if door == SUBMISSION:
            client.expect("AUTH PLAIN " + plain(), "538 5.7.11")
            client.secure()
            client.expect(f"MAIL FROM:<{LOGIN}>", "530 5.7.0")
        if door in (MX, TRUSTED):
            client.expect("AUTH PLAIN " + plain(), ("502", "503"))


@trial("S14", LOGINS)
def malformed(stage: Stage, door: str) -> None:
    known = (LOGIN.encode(), PASSWORD.encode())
    cases = (("AUTH", "501"), ("AUTH CRAM-MD5", "504 5.5.4"),
             ("AUTH PLAIN not*base64", "501 5.5.2"),
             ("AUTH PLAIN *", "501"), ("AUTH PLAIN =", "535 5.7.8"),
             ("AUTH PLAIN " + encoded(b"x"), "535 5.7.8"),
             ("AUTH PLAIN " + encoded(b"\0".join((b"", *known, b""))), "535 5.7.8"),
             ("AUTH PLAIN " + encoded(b"\0".join((b"root", *known))), "535 5.7.8"),
             ("AUTH PLAIN " + encoded(b"\0" * 3), "535 5.7.8"),
             ("AUTH PLAIN " + "QUFB" * 4000, "500 5.5.6"),
             ("AUTH PLAIN " + encoded(b"\0" + b"u" * 8000 + b"\0p"), ("535 5.7.8", "500 5.5.6")))
    with before_login(stage, door) as client:
        for line, beginning in cases:
            wants(client.say(line), beginning, line)
    with before_login(stage, door) as client:
        client.expect("AUTH LOGIN", "334")
        client.expect("*", "501")
        client.expect("AUTH LOGIN", "334")
        client.expect("%%%", "501 5.5.2")
        client.expect("AUTH PLAIN", "334")
        client.expect("", "535 5.7.8")
        client.expect("AUTH PLAIN", "334")
        client.expect("QUFB" * 4000, "500 5.5.6")
        client.expect("AUTH PLAIN " + plain(), "235")
        client.expect("AUTH PLAIN " + plain(), "503")
        client.expect(f"MAIL FROM:<{LOGIN}>", "250")
        client.expect("AUTH PLAIN " + plain(), "503")


@trial("S15", ALL)
def who_exists(stage: Stage, door: str) -> None:
    with stage.talk(door).hello() as client:
        for user in ("rider", LOGIN, "nobody", "root@sink.test"):
            client.expect(f"VRFY {user}", "252 2.5.0")
            client.expect(f"EXPN {user}", "502 5.5.1")


@trial("S15", LOGINS)
def same_reply_at_the_same_time(stage: Stage, door: str) -> None:
    """A wrong password and an unknown login, each as often, in any order: the times are alike.

    Told apart by chance they are once in a hundred rounds, so that a round may be tried again. Only
    the full form judges the times: a machine that does other things beside has its own.
    """
    if not stage.full:
        times(stage, door, TRIES)
        return
    tries, found = TRIES_FULL, []
    for _ in range(ROUNDS):
        known, unknown = times(stage, door, tries)
        found.append(mann_whitney(known, unknown))
        if found[-1] > P_LEAST:
            return
    raise AssertionError(f"logins that exist are told by time: p = {found}, medians "
                         f"{statistics.median(known):.6f} and {statistics.median(unknown):.6f} s")


def times(stage: Stage, door: str, tries: int) -> tuple[list[float], list[float]]:
    both: tuple[list[float], list[float]] = ([], [])
    replies = set()
    order = [0, 1] * tries
    random.shuffle(order)
    for first in range(0, len(order), TRIES_OF_A_SESSION):
        with before_login(stage, door) as client:
            client.say("AUTH PLAIN " + plain(LOGIN, "wrong"))  # the first of a session is slower
            for number, which in enumerate(order[first:first + TRIES_OF_A_SESSION], first):
                login = (LOGIN, f"n{number:04}r@posthorse.test")[which]
                began = time.monotonic()
                replies.add(client.say("AUTH PLAIN " + plain(login, "wrong")))
                both[which].append(time.monotonic() - began)
    if len(replies) != 1 or not replies.pop().startswith("535 5.7.8"):
        raise AssertionError(f"different replies: {replies}")
    return both


def mann_whitney(first: list[float], second: list[float]) -> float:
    """The chance that two samples of one population differ so much (two-sided, no ties)."""
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    rank_sum = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which == 0)
    n, m = len(first), len(second)
    u = rank_sum - n * (n + 1) / 2
    return erfc(abs(u - n * m / 2) / sqrt(n * m * (n + m + 1) / 12) / sqrt(2))


@trial("S16", LOGINS, hasty=True)
def guesses(stage: Stage, door: str) -> None:
    """Over many connections and both doors a client has a number of guesses; others go on."""
    source = "127.0.0.9" if door == SUBMISSION else "127.0.0.10"

    def guess(at: str, address: str, password: str) -> str:
        with Talker(stage.hasty, at, source=address) as client:
            client.expect("EHLO client.test", "250")
            if at == SUBMISSION:
                client.secure()
            return client.say("AUTH PLAIN " + plain(LOGIN, password))

    other = SUBMISSIONS if door == SUBMISSION else SUBMISSION
    for at in (door, other, door, door):
        wants(guess(at, source, "wrong"), "535 5.7.8", "a guess")
    for at in (door, other):
        wants(guess(at, source, PASSWORD), "421 4.7.0", "one guess more")
    # The owner is not locked out.
    wants(guess(door, "127.0.0.11", PASSWORD), "235", "the owner's login")


@trial("S17", LOGINS)
def others_names(stage: Stage, door: str) -> None:
    with stage.talk(door).hello() as client:
        for address in ("boss@posthorse.test", "rider@elsewhere.test", "a@sink.test",
                        f"{LOGIN}.other.test", '"rider"@other.test'):
            client.expect(f"MAIL FROM:<{address}>", "553 5.7.1")
        client.expect(f"MAIL FROM:<{LOGIN}>", "250")


def many_at_once(stage: Stage, door: str) -> None:
    """Logins in parallel are all answered."""
    def one(number: int) -> str:
        with before_login(stage, door) as client:
            return client.say("AUTH PLAIN " + plain(LOGIN, PASSWORD if number % 2 else "wrong"))

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(32)))
    for number, answer in enumerate(answers):
        wants(answer, "235" if number % 2 else "535", number)


trial("S14", LOGINS)(many_at_once)

shown("S14", "tests/dialog/auth_faults.smtp", "tests/dialog/auth_long_lines.smtp",
      "tests/unit/daemon/intake/login_test.cc: malformed messages of every mechanism leave the "
      "session usable")
shown("S15", "tests/system/test_logins.py::test_every_reply_to_a_failed_login_is_the_same",
      "tests/unit/daemon/intake/login_test.cc: an unknown login and a wrong password hear the "
      "same, step by step")
shown("S16", "tests/system/test_logins.py::test_failed_logins_count_in_the_whole_pool",
      "tests/unit/daemon/intake/login_test.cc: a login that failed often is slow, not locked, for "
      "its owner")
shown("S17", "tests/system/test_logins.py::test_logins_send_as_the_map_says")
