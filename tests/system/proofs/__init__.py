"""Proofs: what needs more than the test suite. `./dev prove NAME [--full]` runs one.

Each module has `main(full: bool) -> None`, which prints its figures last and raises AssertionError
when it falls short. The bounded form decides by correctness alone; its times are only printed.
"""
