"""The figures of a proof: collected while it runs, printed last."""

from harness.ledger import Verdict


class Figures:
    def __init__(self, title: str) -> None:
        self._title = title
        self._rows: list[tuple[str, str]] = []

    def add(self, name: str, value: object) -> None:
        self._rows.append((name, str(value)))

    def add_verdict(self, verdict: Verdict) -> None:
        """What became of the mail; falls short when a promise is broken."""
        counts = verdict.counts
        for name in ("acknowledged", "recipients", "delivered", "bounced", "lost"):
            self.add(f"  {name}", counts[name])
        if counts["unknown"]:
            self.add("  without an answer; of them taken",
                     f"{counts['unknown']}; {counts['recovered']}")
        why = ", ".join(f"{name} {count}" for name, count in sorted(verdict.repeats.items()))
        self.add("  came twice", f"{counts['repeated']}{f' ({why})' if why else ''}")
        require(not verdict.broken, f"{len(verdict.broken)} promises are broken:\n" +
                "\n".join(verdict.broken[:20]))

    def show(self) -> None:
        width = max(len(name) for name, _ in self._rows)
        print(f"\n{self._title}")
        for name, value in self._rows:
            print(f"  {name:<{width}}  {value}")


def require(condition: bool, what: str) -> None:
    """Like assert, and never optimised away."""
    if not condition:
        raise AssertionError(what)
