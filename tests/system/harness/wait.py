"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable


class GaveUp(AssertionError):
    """The condition did not come true in time."""


def until(condition: Callable, what: str, timeout_s: float = 30, every_s: float = 0.02):
    """Polls `condition` and returns its first true value. An OSError counts as "not yet"."""
    deadline = time.monotonic() + timeout_s
    last: object = None
    while time.monotonic() < deadline:
        try:
            last = condition()
        except OSError as error:
            last = error
        else:
            if last:
                return last
        time.sleep(every_s)
    raise GaveUp(f"gave up after {timeout_s} s on: {what}; last answer: {last!r}")
