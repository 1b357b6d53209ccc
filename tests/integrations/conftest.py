"""What the tests of the integrations share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.receiver import Receiver, receiving


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An HTTP server that writes down what it is asked."""
    with receiving() as running:
        yield running
