"""What every test folder may use, and what is left out.

Tests marked `long` are left out unless a marker expression says otherwise: ``pytest -m "long or not long"``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings
from mailservers.fixture import testbed

__all__ = ["testbed"]

# A loaded machine makes no test fail: nothing is said about how long an example takes.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


# What runs longest comes first: of several workers, none is left with a long file when the others have ended.
_LONGEST = (
    "tests/agent/test_lab_faults",
    "tests/e2e",
    "tests/faults",
    "tests/alerting",
    "tests/interop",
    "tests/properties",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))
    if config.option.markexpr:
        return
    left_out = {item for item in items if item.get_closest_marker("long")}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _logging_is_as_it_was() -> Iterator[None]:
    """A command sets logging up for its process; a later test must not log into a stream that is gone."""
    yield
    structlog.reset_defaults()
