"""The tables. Moments named ``..._at`` are seconds on the steady timeline; ``started_wall`` ties them to the calendar.

Counters and histograms are rows of running totals, changed in the same transaction as the canary that they count:
they go on over a restart, and pruning old canaries does not touch them.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    literal_column,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)
_BIG = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER PRIMARY KEY counts by itself in SQLite

meta = Table("meta", metadata, Column("name", String(64), primary_key=True), Column("value", Text, nullable=False))

runs = Table(
    "runs",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("site", String(64), nullable=False),
    Column("version", String(32), nullable=False),
    Column("began_at", Double, nullable=False),
    Column("began_wall", Double, nullable=False),
    Column("simulated", Boolean, nullable=False, default=False, server_default=false()),  # a made-up past
    Column("ended_at", Double),  # when it was stopped; what ended in another way has none
)

# A check as it was when its canary started: settings may change while a canary is on its way.
specs = Table(
    "specs",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("check", Text, nullable=False),
)

canaries = Table(
    "canaries",
    metadata,
    Column("seq", _BIG, primary_key=True, autoincrement=True),
    Column("id", String(16), nullable=False, unique=True),
    Column("spec", ForeignKey("specs.id"), nullable=False),
    Column("run", ForeignKey("runs.id"), nullable=False),
    Column("name", String(40), nullable=False),  # of the check
    Column("mailbox", String(40), nullable=False),
    Column("slot", BigInteger, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("started_wall", Double, nullable=False),
    Column("key", String(16)),  # the id of the key that signed its token
    Column("signature", String(43)),  # of its token: what it is recognised by, whatever becomes of the key
    Column("state", String(16), nullable=False),
    Column("late_at", Double, nullable=False),
    Column("deadline_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("facts", Integer, nullable=False, default=0),  # how many facts have made it due: a version number
    Column("attempt_kind", String(16)),
    Column("attempt", Text),
    Column("online", Boolean, nullable=False, default=True),
    Column("outcome", String(16)),
    Column("verdict", String(8)),
    Column("reasons", Text),
    Column("concluded_at", Double),
    Column("submission", Double),
    Column("delivery", Double),
    Column("end_to_end", Double),
    Column("observation_gap", Double),
    Column("recovered_at", Double),
    Column("sightings", Integer, nullable=False, default=0),
)
_in_flight = canaries.c.outcome.is_(None)
Index("ix_canaries_due", canaries.c.due_at, sqlite_where=_in_flight, postgresql_where=_in_flight)
Index(
    "ix_canaries_deadline",
    canaries.c.mailbox,
    canaries.c.deadline_at,
    sqlite_where=_in_flight,
    postgresql_where=_in_flight,
)
Index("ix_canaries_name_seq", canaries.c.name, canaries.c.seq)
Index("ix_canaries_concluded_at", canaries.c.concluded_at)
Index("ix_canaries_started_wall", canaries.c.started_wall)
# A partial index is used only where a query repeats its condition word for word: a bound value does not.
failed = canaries.c.verdict == literal_column("'fail'")
Index("ix_canaries_failed", canaries.c.started_wall, sqlite_where=failed, postgresql_where=failed)

evidence = Table(
    "evidence",
    metadata,
    Column("canary", String(16), ForeignKey("canaries.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("at", Double, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

sightings = Table(
    "sightings",
    metadata,
    Column("seq", _BIG, primary_key=True, autoincrement=True),
    Column("canary", String(16), ForeignKey("canaries.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("mailbox", String(40), nullable=False),
    Column("folder", String(255), nullable=False),
    Column("validity", String(64), nullable=False),
    Column("uid", String(255), nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("after_at", Double),
    Column("junk", Boolean, nullable=False),
    Column("stored_wall", Double),
    Column("findings", Text),
    Column("deleted_at", Double),
    UniqueConstraint("mailbox", "folder", "validity", "uid"),
)
_kept = sightings.c.deleted_at.is_(None)
Index("ix_sightings_kept", sightings.c.mailbox, sightings.c.seen_at, sqlite_where=_kept, postgresql_where=_kept)

bounces = Table(
    "bounces",
    metadata,
    Column("seq", _BIG, primary_key=True, autoincrement=True),
    Column("canary", String(16), ForeignKey("canaries.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("mailbox", String(40), nullable=False),
    Column("folder", String(255), nullable=False),
    Column("validity", String(64), nullable=False),
    Column("uid", String(255), nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("final", Boolean, nullable=False),
    Column("action", String(32), nullable=False),
    Column("status", String(16)),
    Column("diagnostic", Text, nullable=False),
    Column("deleted_at", Double),
    UniqueConstraint("mailbox", "folder", "validity", "uid", "canary"),
)

# Copies of canaries that the mailbox which sent them keeps: no sightings, only something to clean up.
copies = Table(
    "copies",
    metadata,
    Column("seq", _BIG, primary_key=True, autoincrement=True),
    Column("canary", String(16), ForeignKey("canaries.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("mailbox", String(40), nullable=False),
    Column("folder", String(255), nullable=False),
    Column("validity", String(64), nullable=False),
    Column("uid", String(255), nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("deleted_at", Double),
    UniqueConstraint("mailbox", "folder", "validity", "uid"),
)

folders = Table(
    "folders",
    metadata,
    Column("mailbox", String(40), primary_key=True),
    Column("folder", String(255), primary_key=True),
    Column("cursor", Text),
    Column("watched_at", Double, nullable=False),  # since when it is to be looked into
    Column("looked_at", Double),  # when the newest complete look began
    Column("account", String(1000)),  # which mailbox of which server it is; the name may be given to another one
    Column("since_at", Double, nullable=False, server_default="0"),  # since when the name means that account
)

blind = Table(
    "blind",
    metadata,
    Column("seq", _BIG, primary_key=True, autoincrement=True),
    Column("mailbox", String(40), nullable=False),
    Column("folder", String(255), nullable=False),
    Column("began_at", Double, nullable=False),
    Column("ended_at", Double, nullable=False),
    Index("ix_blind_mailbox_ended_at", "mailbox", "ended_at"),
)

# Of each verdict that is not a pass (agent.ledger.streaks): how many canaries in a row were at least as bad, the
# newest-started one that they came after, and the newest-started one with just this verdict.
streak_columns = [
    Column(f"{kind}_{part}", column_type, nullable=False, server_default="0")
    for kind in ("warn", "fail", "unknown")
    for part, column_type in (("streak", Integer), ("after", _BIG), ("newest", _BIG))
]

# The newest-started concluded canary of each check, and what dashboards ask of it.
standings = Table(
    "standings",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("seq", _BIG, nullable=False),
    Column("canary", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("verdict", String(8), nullable=False),
    Column("reasons", Text, nullable=False),
    Column("concluded_at", Double, nullable=False),
    Column("since_at", Double, nullable=False),
    Column("passed_at", Double),
    Column("end_to_end", Double),
    Column("observation_gap", Double),
    Column("scl", Integer),
    Column("servers", Text),  # what the servers' clocks say of the newest canary that was seen
    *streak_columns,
)

totals = Table(
    "totals",
    metadata,
    Column("owner", String(40), primary_key=True),  # a check or a mailbox
    Column("metric", String(64), primary_key=True),
    Column("labels", String(255), primary_key=True),
    Column("value", Double, nullable=False),
)

histograms = Table(
    "histograms",
    metadata,
    Column("owner", String(40), primary_key=True),
    Column("method", String(16), primary_key=True),
    Column("family", String(32), primary_key=True),
    Column("counts", Text, nullable=False),
    Column("sum", Double, nullable=False),
)

# Times in which nobody is told of what fails, by the wall clock: people agree on them. What is None fits everything.
silences = Table(
    "silences",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("author", String(100), nullable=False),
    Column("reason", String(1000), nullable=False),
    Column("created_wall", Double, nullable=False),
    Column("starts_wall", Double, nullable=False),
    Column("ends_wall", Double, nullable=False),
    Column("ended_by", String(100)),  # who ended it before its time
    Column("check", String(40)),
    Column("path", String(40)),
    Column("site", String(64)),
)
Index("ix_silences_ends_wall", silences.c.ends_wall)

# What has been wrong since when, told as one: its root and the checks that it covers (JSON). The id is what receivers
# of pages know it by.
incidents = Table(
    "incidents",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("state", Text, nullable=False),
    Column("opened_wall", Double, nullable=False),
    Column("closed_wall", Double),
)
_open = incidents.c.closed_wall.is_(None)
Index("ix_incidents_open", incidents.c.opened_wall, sqlite_where=_open, postgresql_where=_open)

# The outbox: who is to be told what of an incident. A page is written with the change that it tells.
pages = Table(
    "pages",
    metadata,
    Column("seq", _BIG, primary_key=True, autoincrement=True),
    Column("incident", String(16), ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Column("channel", String(40), nullable=False),
    Column("event", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("gist", Text, nullable=False),  # what it is about: another gist is news
    Column("content", Text, nullable=False),
    Column("written_wall", Double, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, sent, superseded, taken_back, abandoned
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Double, nullable=False),
    Column("sent_wall", Double),
    Column("problem", String(300)),  # why the last attempt failed
    Index("ix_pages_incident_channel", "incident", "channel"),
)
_waiting = pages.c.state == literal_column("'waiting'")
Index("ix_pages_waiting", pages.c.channel, pages.c.due_at, sqlite_where=_waiting, postgresql_where=_waiting)

# When each channel last took something.
channels = Table(
    "channels", metadata, Column("name", String(40), primary_key=True), Column("success_wall", Double, nullable=False)
)
