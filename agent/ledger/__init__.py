"""The durable record of every canary, and the only door to SQL."""

from agent.ledger.cleanup import KnownCanary, Stored
from agent.ledger.errors import LedgerError, LedgerInUse, LedgerTooNew
from agent.ledger.facts import Due
from agent.ledger.looks import FoundBounce, FoundCopy, LookRecord
from agent.ledger.retention import Retention
from agent.ledger.silences import Silence
from agent.ledger.snapshot import CheckStanding, Histogram, InFlight, Problem, Snapshot, Total
from agent.ledger.store import Judgement, Ledger

__all__ = [
    "CheckStanding",
    "Due",
    "FoundBounce",
    "FoundCopy",
    "Histogram",
    "InFlight",
    "Judgement",
    "KnownCanary",
    "Ledger",
    "LedgerError",
    "LedgerInUse",
    "LedgerTooNew",
    "LookRecord",
    "Problem",
    "Retention",
    "Silence",
    "Snapshot",
    "Stored",
    "Total",
]
