"""What goes wrong, what it means and how to mend it: the catalogue as data files, and the search in it.

`diagnose` takes an answer, `diagnose_refusal` a hand-over that was not accepted, `diagnose_text` a pasted line;
`diagnose_outcome` takes what became of a canary, and is what everything that shows canaries asks.
"""

from checks.knowledge.model import Diagnosis, Exactness, Statement
from checks.knowledge.search import (
    diagnose,
    diagnose_outcome,
    diagnose_refusal,
    diagnose_statement,
    diagnose_text,
    read_statement,
)

__all__ = [
    "Diagnosis",
    "Exactness",
    "Statement",
    "diagnose",
    "diagnose_outcome",
    "diagnose_refusal",
    "diagnose_statement",
    "diagnose_text",
    "read_statement",
]
