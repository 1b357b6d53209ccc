"""Real Postfix and Dovecot on loopback, set up as the three ways of sending mail. See ../README.md."""

from mailservers.certificates import Certificates
from mailservers.endpoints import Ports
from mailservers.errors import TestbedError
from mailservers.ground_truth import Arrival, queue_time
from mailservers.processes import Daemon
from mailservers.testbed import Testbed

__all__ = ["Arrival", "Certificates", "Daemon", "Ports", "Testbed", "TestbedError", "queue_time"]
