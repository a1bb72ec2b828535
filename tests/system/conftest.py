"""What the system tests share."""

from pathlib import Path

import pytest

from harness import certificates
from harness.postfix_root import PostfixRoot
from harness.sinks import Sink


@pytest.fixture(scope="session")
def postfix_root():
    with PostfixRoot() as root:
        yield root


@pytest.fixture(scope="session")
def certs(tmp_path_factory) -> certificates.Certificates:
    return certificates.make(Path(tmp_path_factory.mktemp("certificates")))


@pytest.fixture
def sink():
    with Sink() as one:
        yield one
