"""The runtime: schedules, drives and records the checks. Imports checks; is imported by nobody."""

__version__ = "0.1.0"
USER_AGENT = f"relaycanary/{__version__}"
"""How the agent introduces itself to receivers over HTTP."""
