"""What every test folder may use."""

from mailservers.fixture import testbed

__all__ = ["testbed"]
