"""The testbed as a fixture of pytest: import `testbed` into a conftest.py."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailservers.errors import TestbedError
from mailservers.testbed import Testbed


@pytest.fixture(scope="session")
def testbed() -> Iterator[Testbed]:
    """A running testbed, one for the whole session: a test takes mailboxes that no other test uses.

    Where it cannot be started the test fails with the reason; it is never skipped.
    """
    # Not pytest's own tmp_path: it lies in a folder that is closed to the users that the servers become.
    with tempfile.TemporaryDirectory(prefix="testbed-") as directory:
        Path(directory).chmod(0o755)
        server = Testbed(Path(directory))
        try:
            server.start()
        except TestbedError as error:
            pytest.fail(str(error), pytrace=False)
        try:
            yield server
        finally:
            server.stop()
