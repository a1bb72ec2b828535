"""The figures of a proof: collected while it runs, printed last."""


class Figures:
    def __init__(self, title: str) -> None:
        self._title = title
        self._rows: list[tuple[str, str]] = []

    def add(self, name: str, value: object) -> None:
        self._rows.append((name, str(value)))

    def show(self) -> None:
        width = max(len(name) for name, _ in self._rows)
        print(f"\n{self._title}")
        for name, value in self._rows:
            print(f"  {name:<{width}}  {value}")


def require(condition: bool, what: str) -> None:
    """Like assert, and never optimised away."""
    if not condition:
        raise AssertionError(what)
