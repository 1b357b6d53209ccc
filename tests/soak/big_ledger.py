"""A ledger of weeks of many checks, written in minutes: one made-up hour, copied by the database.

The canaries are those of `agent.simulated.story`, as real ones: with numbers above zero, a run of their own, and the
standings that an agent would have left. In two spans whole paths fail, so that there are incidents to tell of.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.make import a_check

from agent.ledger import simulated
from agent.simulated import story
from checks.core.model import Check, Limits

METHODS = ("relay", "submission", "direct_send", "graph_send")
_HOUR = 3600
_COPIED = (
    "spec, name, mailbox, state, facts, attempt_kind, attempt, online, outcome, verdict, reasons, submission, delivery,"
    " end_to_end, observation_gap, sightings"
)
_REFUSED = (
    '{"reply": {"code": 550, "enhanced": "5.7.64", "text": "TenantAttribution; Relay Access Denied"}, "stage": "rcpt",'
    ' "cause": "reply", "transcript": {"began_at": 0.0, "ended_at": 0.3, "endpoint": "simulated", "connected": true}}'
)

_FINDINGS = (
    '{"results":{"spf":"pass","dmarc":"pass","dkim":"pass"},"attributed":true,"scl":1,"hops":['
    '{"by":"DB5PEPF00014B8A.mail.protection.outlook.com","at":"2026-11-26T05:47:30Z","tls":"TLSv1.3"},'
    '{"by":"DB9PR08MB7001.eurprd08.prod.outlook.com","at":"2026-11-26T05:47:30Z","delay":1.0,"tls":"TLSv1.3","wire":true},'
    '{"by":"AM9PR08MB6100.eurprd08.prod.outlook.com","at":"2026-11-26T05:47:30Z","delay":0.0,"tls":"TLSv1.2","wire":true},'
    '{"by":"mx1.outside.example","at":"2026-11-26T05:47:30Z","delay":2.0,"tls":"TLSv1.3","wire":true}],'
    '"arrived":"2026-11-26T05:47:30.465300Z","headers":["authentication-results","content-type","date","from",'
    '"message-id","mime-version","received","return-path","subject","to","x-forefront-antispam-report",'
    '"x-ms-exchange-crosstenant-authas","x-ms-exchange-crosstenant-id","x-originatororg","x-relaycanary"]}'
)


@dataclass(frozen=True, slots=True)
class BigLedger:
    """*checks* with a canary every *every* seconds, for *weeks* weeks that end at *until* (Unix time)."""

    file: Path
    until: int
    checks: Sequence[Check]
    every: int
    weeks: int

    @property
    def url(self) -> str:
        """Its URL."""
        return f"sqlite:///{self.file}"

    def build(self) -> int:
        """Write it; return how many canaries it has."""
        past = story.past(self.checks, site="bench", until=self.until, days=1 / 24, every=self.every)
        simulated.fill(self.url, past)
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")
            with _without_indexes(connection):
                self._copy(connection)
                self._break(connection)
                self._see(connection)
            self._stand(connection)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (number,) = connection.execute("SELECT count(*) FROM canaries").fetchone()
        return int(number)

    def _copy(self, connection: sqlite3.Connection) -> None:
        (made,) = connection.execute("SELECT count(*) FROM canaries").fetchone()
        hours = self.weeks * 7 * 24
        connection.execute("BEGIN")
        connection.execute(
            "INSERT INTO runs (id, site, version, began_at, began_wall, simulated) VALUES (99, 'bench', '1', ?, ?, 0)",
            (self.until - hours * _HOUR, self.until - hours * _HOUR),
        )
        for hour in range(hours):
            back = (hours - 1 - hour) * _HOUR
            connection.execute(
                f"INSERT INTO canaries (seq, id, run, slot, started_at, started_wall, late_at, deadline_at, due_at,"  # noqa: S608
                f" concluded_at, {_COPIED})"
                " SELECT :first + seq + :made, printf('%016x', :first + seq + :made), 99, slot + :slots,"
                " started_at - :back, started_wall - :back, late_at - :back, deadline_at - :back, due_at - :back,"
                f" concluded_at - :back, {_COPIED} FROM canaries WHERE seq < 0 ORDER BY seq",
                {"first": hour * made + 1, "made": made, "back": back, "slots": hour * _HOUR // self.every},
            )
        connection.execute("DELETE FROM canaries WHERE seq < 0")
        connection.execute("DELETE FROM runs WHERE simulated")
        connection.execute("DELETE FROM meta WHERE name = 'simulated_past'")
        connection.execute("COMMIT")

    def _break(self, connection: sqlite3.Connection) -> None:
        """Two and a half hours in which every relay refuses, and nine in which direct send lands in Junk."""
        connection.execute(
            "UPDATE canaries SET outcome = 'rejected', verdict = 'fail', attempt_kind = 'refused', attempt = ?,"
            " reasons = '[\"rcpt: 550 5.7.64 TenantAttribution; Relay Access Denied\"]', submission = NULL,"
            " delivery = NULL, end_to_end = NULL, observation_gap = NULL, sightings = 0"
            " WHERE name LIKE 'relay-%' AND started_wall BETWEEN ? AND ?",
            (_REFUSED, self.until - 55 * _HOUR, self.until - 52.5 * _HOUR),
        )
        connection.execute(
            "UPDATE canaries SET outcome = 'junk', verdict = 'fail',"
            " reasons = '[\"placement: expected inbox, found in folder Junk Email\"]'"
            " WHERE name LIKE 'direct_send-%' AND started_wall BETWEEN ? AND ?",
            (self.until - 100 * _HOUR, self.until - 91 * _HOUR),
        )

    def _see(self, connection: sqlite3.Connection) -> None:
        """What was read in the headers of those that arrived; one in ten has no dkim."""
        connection.execute(
            "INSERT INTO sightings (canary, mailbox, folder, validity, uid, seen_at, after_at, junk, findings)"
            " SELECT id, mailbox, 'INBOX', '1', seq, started_at + end_to_end, started_at, outcome = 'junk',"
            ' CASE seq % 10 WHEN 0 THEN replace(?, \'"dkim":"pass"\', \'"dkim":"none"\') ELSE ? END'
            " FROM canaries WHERE end_to_end IS NOT NULL",
            (_FINDINGS, _FINDINGS),
        )

    def _stand(self, connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO standings (name, seq, canary, outcome, verdict, reasons, concluded_at, since_at, passed_at,"
            " end_to_end, observation_gap) SELECT name, seq, id, outcome, verdict, reasons, concluded_at, ?,"
            " concluded_at, end_to_end, observation_gap FROM canaries WHERE seq IN"
            " (SELECT max(seq) FROM canaries GROUP BY name)",
            (self.until - 52.5 * _HOUR,),
        )
        mailboxes = sorted({check.mailbox for check in self.checks})
        connection.executemany(
            "INSERT INTO folders (mailbox, folder, cursor, watched_at, looked_at) VALUES (?, 'INBOX', '1', 0, ?)",
            [(mailbox, self.until) for mailbox in mailboxes],
        )


def some_checks(number: int, every: int) -> list[Check]:
    """Make *number* checks, of every method as many, ten to a path."""
    limits = Limits(every=every, late_after=60.0, lost_after=600.0)
    return [
        a_check(
            f"{METHODS[place % 4]}-{place}",
            path=f"{METHODS[place % 4]}-{place // 40}",
            method=METHODS[place % 4],
            limits=limits,
        )
        for place in range(number)
    ]


@contextmanager
def _without_indexes(connection: sqlite3.Connection) -> Iterator[None]:
    """Take the indexes away while rows are written, and make each anew in one go."""
    made = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ('canaries', 'sightings')"
        " AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in made:
        connection.execute(f'DROP INDEX "{name}"')
    yield
    for _, sql in made:
        connection.execute(sql)
