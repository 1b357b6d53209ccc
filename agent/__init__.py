"""The runtime: schedules, drives and records the checks. Imports checks; is imported by nobody."""

__version__ = "0.1.0"
