"""The doctor: finds what will break before it does. Nothing is sent, and nothing in a mailbox is changed.

`examinations` ask (DNS, SMTP up to RCPT, IMAP, Entra, the ledger), in parallel and within limits;
`judge` says what the answers mean: pure functions from facts to findings. `run` puts both together.
"""

from agent.doctor.finding import Finding, Status
from agent.doctor.run import Observer, Report, examine

__all__ = ["Finding", "Observer", "Report", "Status", "examine"]
