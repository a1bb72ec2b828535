"""Attacks by number and by slowness: S20, S33. Proof `idle` has the large numbers."""

import fcntl
import struct
import termios
import time

from harness import wait

from attacks.channels import CLIENT_HELLO_HALF
from attacks.rows import MX, SUBMISSION, SUBMISSIONS, shown, trial
from attacks.stage import LIMITS, Stage
from attacks.talker import Talker, wants

SECONDS_MAX = 15
HELD, HELD_FULL = 40, 200
HELD_KIB_MAX = 1024   # of each, as docs/operating/limits.md states
STORE_KIB = 64 * 1024  # what the store buffers meanwhile


def dribbles(client: Talker, octets: bytes) -> str:
    """Writes an octet every fifth of a second until the server has enough; what it said."""
    client.socket.settimeout(0.2)
    began = time.monotonic()
    for at in range(1 << 30):
        client.write(octets[at % len(octets):][:1])
        try:
            return client.reply()
        except TimeoutError:
            if time.monotonic() - began > SECONDS_MAX:
                raise AssertionError("who dribbles has all the time that he wants") from None
    return ""


@trial("S20", (MX, SUBMISSION, SUBMISSIONS), hasty=True)
def octet_by_octet(stage: Stage, door: str) -> None:
    with Talker(stage.hasty, door) as client:
        wants(dribbles(client, b"x"), "421 4.4.2", "a command, octet by octet")
    with Talker(stage.hasty, door).hello().data() as client:
        wants(dribbles(client, b"x"), "421 4.4.2", "a message, octet by octet")
    with Talker(stage.hasty, door, greet=door != SUBMISSIONS) as client:
        if door != SUBMISSIONS:
            client.expect("EHLO client.test", "250")
            client.expect("STARTTLS", "220")
        dribbles(client, CLIENT_HELLO_HALF)


@trial("S33", (MX, SUBMISSION, SUBMISSIONS), hasty=True)
def more_than_there_is_room_for(stage: Stage, door: str) -> None:
    """Of one address, and of all: refused with their reason, and there is room again at once."""
    def crowd(source: str, count: int) -> list[Talker]:
        return [Talker(stage.hasty, door, source=source, greet=False) for _ in range(count)]

    some = crowd("127.0.0.20", 30)
    for client in crowd("127.0.0.20", 3):
        with client:
            wants(client.line(), "421 4.7.0", "one more of an address")
    some += crowd("127.0.0.21", 10)
    for client in crowd("127.0.0.22", 3):
        with client:
            wants(client.line(), "421 4.3.2", "one more than there is room for")
    for client in some:
        client.socket.close()


@trial("S33", (MX,))
def messages_held_open(stage: Stage, door: str) -> int:
    """As many clients in the middle of the largest message as there are: memory is as stated."""
    count = HELD_FULL if stage.full else HELD
    text = b"0123456789abcdef\r\n" * (LIMITS["message_bytes_max"] * 9 // 10 // 18)
    before = stage.main.memory_kib()
    clients = [stage.talk(door).hello().data() for _ in range(count)]
    for client in clients:
        client.write(b"Subject: large\r\n\r\n" + text)
    wait.until(lambda: received_all(clients), "the node has read all of it", 60)
    grown = stage.main.memory_kib() - before
    if grown > count * HELD_KIB_MAX + STORE_KIB:
        raise AssertionError(f"{count} messages under way take {grown} KiB")
    for client in clients:
        with client:
            client.write(b".\r\n")
            wants(client.reply(), "250", "one of many large messages")
    return count


def received_all(clients: list[Talker]) -> bool:
    """Whether nothing is on its way any more (SIOCOUTQ)."""
    queued = [struct.unpack("i", fcntl.ioctl(one.socket, termios.TIOCOUTQ, bytes(4)))[0]
              for one in clients]
    return not any(queued)


shown("S20", "tests/unit/daemon/intake/intake_test.cc: a slow client is cut off",
      "tests/unit/daemon/intake/crowd_test.cc: in a crowd who dawdles has less time, who waits for "
      "him too", "tests/system/proofs/idle.py::main")
shown("S33", "tests/system/test_limits.py::test_a_low_limit_of_files_bounds_the_sessions",
      "tests/unit/daemon/intake/intake_test.cc: sessions above the limits hear 421",
      "tests/unit/daemon/intake/capacity_test.cc: sessions are as many as descriptors allow",
      "tests/system/proofs/idle.py::main", "tests/system/proofs/memory.py::large_messages")
