"""What every test folder may use."""

from hypothesis import HealthCheck, settings
from mailservers.fixture import testbed

__all__ = ["testbed"]

# A loaded machine makes no test fail: nothing is said about how long an example takes.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
