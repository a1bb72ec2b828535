"""The stand-in for a container engine: what it reads from the files, and that it skips nothing."""

from pathlib import Path

import pytest

from harness import compose
from harness.container_image import CONTAINER_FILE, last_stage

COMPOSE = compose.COMPOSE_FILE.read_text()


def test_the_last_stage_begins_with_the_last_from():
    found = last_stage("# c\nFROM a AS build\nRUN make\nFROM b\nRUN one \\\n  && two\nUSER u\n")
    assert [(name, text.split()) for name, text in found] == [
        ("FROM", ["b"]), ("RUN", ["one", "&&", "two"]), ("USER", ["u"])]


def test_an_instruction_that_is_not_known_is_an_error():
    with pytest.raises(AssertionError, match="ONBUILD"):
        last_stage(CONTAINER_FILE.read_text() + "ONBUILD RUN true\n")


def test_services_have_one_alias_and_a_volume_each():
    found = compose.read(COMPOSE, Path("/here"))
    assert [service.aliases for service in found] == [["posthorse"]] * 3
    assert len({name for service in found for name in service.volumes}) == 3
    assert all(mount.read_only for service in found for mount in service.mounts)


@pytest.mark.parametrize("change", [
    ("    hostname: bravo", "    hostname: bravo\n    pid: host"),
    ("cap_drop: [ALL]", "cap_drop: [CHOWN]"),
    ("no-new-privileges:true", "no-new-privileges:false"),
])
def test_what_it_does_not_do_is_an_error(change):
    changed = COMPOSE.replace(*change)
    assert changed != COMPOSE
    with pytest.raises(AssertionError, match="stand-in"):
        compose.read(changed, Path("/here"))
