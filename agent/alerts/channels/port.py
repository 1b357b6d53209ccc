"""What a channel must do, and how it says that it could not."""

from __future__ import annotations

from typing import Protocol

from agent.alerts.page import Page


class NotSent(Exception):
    """The other side did not take it, or nobody knows whether it did. The message is for the log: no secret is in it.

    `retry_after` is the other side's own wish in seconds, where it states one; it is granted up to five minutes.
    """

    def __init__(self, why: str, *, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Channel(Protocol):
    """A way to tell people."""

    @property
    def name(self) -> str:
        """Its name in the settings, in logs and in metrics; never its URL, which holds a secret."""
        ...

    async def send(self, page: Page, number: int) -> None:
        """Hand one page over; return once the other side has taken it.

        Args:
            page: what is told.
            number: of the page; the same when it is sent again because nobody knows whether it arrived.

        Raises:
            NotSent: it was not taken.
        """
        ...
