"""From figures to the blocks of a document: what is said, in which order, and what is stressed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from zoneinfo import ZoneInfo

from agent.ahead import Outlook
from agent.report import words
from agent.report.change import Change, Direction
from agent.report.document import Block, Chart, Document, Paragraph, Section, Tone
from agent.report.figures import MOST_PATHS, Figures, PathFigures, drawn_paths
from agent.report.tables_of_events import (
    ahead_table,
    incidents_table,
    lasted,
    refusals_table,
    unknown_table,
    unobserved_table,
)
from agent.report.tables_of_headers import authentication_table, filtering_table, hops_table
from agent.report.tables_of_paths import (
    changes_table,
    compared_steps,
    ends_table,
    latency_table,
    nothing_of,
    objective_table,
    stages_table,
    steps_table,
    weeks_table,
)


def compose(figures: Figures, pictures: Mapping[str, bytes]) -> Document:
    """Say what the figures say. Charts that are not among the *pictures* are left out."""
    zone = ZoneInfo(figures.zone)
    sections = [
        Section("How the mail arrived", _arrived(figures, pictures)),
        Section("Has anything changed?", [changes_table(figures), *_trends(figures)]),
        Section("Objective", [objective_table(figures)]),
        Section("Incidents", _incidents(figures, zone, pictures)),
        Section("How long it took", _latency(figures, pictures)),
        Section("Authentication and filtering", _authentication(figures)),
        Section("What servers refused", [refusals_table(figures, zone)]),
        Section("What was not observed", [unobserved_table(figures, zone), unknown_table(figures)]),
        Section("What lies ahead", _ahead(figures, zone)),
        Section("How to read this", [Paragraph(text) for text in _METHOD]),
    ]
    return Document(
        title=f"Mail deliverability, {figures.name}",
        subtitle=f"{_span(figures, zone)}, {figures.zone}" + (f", site {figures.site}" if figures.site else ""),
        lead=_lead(figures),
        sections=sections,
        footer=f"relaycanary {figures.version}, made {datetime.fromtimestamp(figures.made, zone):%Y-%m-%d %H:%M %Z}",
        pictures=pictures,
    )


def _span(figures: Figures, zone: ZoneInfo) -> str:
    """Name the days of the period, and the times of day unless it begins and ends at midnight."""
    since, until = (datetime.fromtimestamp(at, zone) for at in (figures.since, figures.until))
    if since.time() != time() or until.time() != time():
        return f"{since:%A} {since.day} {since:%B %Y %H:%M} to {until:%A} {until.day} {until:%B %Y %H:%M}"
    last = datetime.fromtimestamp(figures.until - 1, zone)
    year = f" {since.year}" if since.year != last.year else ""
    return f"{since:%A} {since.day} {since:%B}{year} to {last:%A} {last.day} {last:%B %Y}"


def _lead(figures: Figures) -> Sequence[Paragraph]:
    """Say in a few sentences what a manager wants to know."""
    overall = figures.overall
    said: list[Paragraph] = []
    if (made_up := _simulated(figures)) is not None:
        said.append(made_up)
    if not figures.complete:
        said.append(Paragraph("This period is not over: the figures are those until now.", Tone.WARNING))
    if not overall.ends.started:
        return [*said, Paragraph("No canary was sent in this period: nothing is known about the mail.", Tone.BAD)]
    if not overall.ends.is_measured:
        unknown = words.share(overall.ends.unknown)
        said.append(Paragraph(f"Not measured: {unknown} of the canaries have an unknown fate.", Tone.BAD))
    said.append(_objective_sentence(overall))
    said.append(_incident_sentence(figures))
    if overall.changes:
        said.append(Paragraph(_change_sentence(overall.changes[0].on_time, overall.changes[0].against)))
    return said


def _simulated(figures: Figures) -> Paragraph | None:
    """Say what is made up of what is told, and of what it is compared with."""
    said = []
    if figures.simulated:
        whole = figures.simulated_canaries == figures.overall.ends.started
        some = "these are" if whole else f"{words.number(figures.simulated_canaries)} of these are"
        said.append(f"Simulated history: {some} made-up canaries, to show what a report looks like.")
    if figures.simulated_before and figures.simulated_canaries < figures.overall.ends.started:
        said.append("The weeks before, which it is compared with, have simulated canaries among theirs.")
    return Paragraph(" ".join(said), Tone.WARNING) if said else None


def _objective_sentence(overall: PathFigures) -> Paragraph:
    """Say how much was on time; whether that is enough only where enough is known to say so."""
    objective = overall.objective
    said = f"{words.share(overall.ends.on_time, objective.objective)} of the canaries did what they should, in time."
    if not overall.ends.is_measured:
        return Paragraph(f"Of those whose fate is known, {said}")
    goal = f"The objective of {words.percent(objective.objective)} was {'met' if objective.met else 'missed'}."
    return Paragraph(f"{said} {goal}", Tone.GOOD if objective.met else Tone.BAD)


def _incident_sentence(figures: Figures) -> Paragraph:
    count = len(figures.incidents)
    open_ = sum(one.ended is None for one in figures.incidents)
    if not count:
        return Paragraph("There was no incident.", Tone.GOOD)
    still = f", {open_} of them still open" if open_ else ""
    worst = max(figures.incidents, key=lambda one: lasted(one, figures))
    return Paragraph(
        f"There {'was 1 incident' if count == 1 else f'were {count} incidents'}{still}. The longest was on "
        f"{worst.path}: {worst.outcome.replace('_', ' ')}, {words.seconds(lasted(worst, figures))}.",
        Tone.BAD if open_ else Tone.WARNING,
    )


def _change_sentence(change: Change, against: str) -> str:
    if change.direction is Direction.UNPROVEN:
        return f"Against {against} there is no evidence of change in what arrives on time."
    points = f"{abs(change.difference or 0.0) * 100:.2f} points"
    return f"On-time delivery was {change.direction.value} than in {against}, by {points}."


def _arrived(figures: Figures, pictures: Mapping[str, bytes]) -> Sequence[Block]:
    said = nothing_of(figures)
    return [
        ends_table(figures),
        *([Paragraph(said, Tone.QUIET)] if said else []),
        *_chart(pictures, "outcomes", "Canaries by day, and how they ended", _outcome_words(figures)),
    ]


def _incidents(figures: Figures, zone: ZoneInfo, pictures: Mapping[str, bytes]) -> Sequence[Block]:
    blocks: list[Block] = [incidents_table(figures, zone)]
    if figures.single_failures:
        times = "once" if figures.single_failures == 1 else f"{words.number(figures.single_failures)} times"
        said = f"Beside these, a canary failed {times} without a second failure behind it."
        blocks.append(Paragraph(said, Tone.QUIET))
    return [*blocks, *_chart(pictures, "incidents", "Incidents by path", "When each path had an incident.")]


def _ahead(figures: Figures, zone: ZoneInfo) -> Sequence[Block]:
    outlook = Outlook.of(figures.ahead, figures.made)
    rest = outlook.rest()
    blocks: list[Block] = [ahead_table(outlook.soon, figures.made, zone)] if outlook.soon or not rest else []
    return [*blocks, Paragraph(rest, Tone.QUIET)] if rest else blocks


def _trends(figures: Figures) -> Sequence[Block]:
    """Show what goes on over weeks, where there are weeks before to show."""
    if len(figures.overall.weeks) < 2:  # noqa: PLR2004 - one is no trend
        return []
    said = "Week by week: of the canaries whose fate is known, how many were on time and how many in Junk."
    return [Paragraph(said), weeks_table(figures)]


def _authentication(figures: Figures) -> Sequence[Block]:
    said = (
        "What the receiving servers stamped on the canaries (Authentication-Results), week by week: how many were "
        "stamped, and how many of them passed."
    )
    return [Paragraph(said), authentication_table(figures), Paragraph(_FILTER), filtering_table(figures)]


def _latency(figures: Figures, pictures: Mapping[str, bytes]) -> Sequence[Block]:
    return [
        latency_table(figures),
        *_chart(pictures, "latency", "End-to-end latency by hour", _latency_words(figures)),
        *_chart(pictures, "heat", "End-to-end latency by weekday and hour: 95th percentile", _HEAT),
        Paragraph(f"Handing over, stage by stage, of the canaries that were accepted.{_those(figures)}"),
        stages_table(figures, drawn_paths(figures)),
        Paragraph(
            "Between servers, hop by hop, by their own clocks: these may disagree, so a delay can be negative. Hosts "
            f"are those of the newest canary.{_those(figures)}"
        ),
        hops_table(drawn_paths(figures)),
        *_steps(figures),
    ]


def _steps(figures: Figures) -> Sequence[Block]:
    """Name the stages and hops that have changed, where there are weeks before to tell."""
    compared = [one for path in figures.paths for changes in path.changes for one in compared_steps(changes)]
    if not compared:
        return []
    said = (
        f"Stages and hops whose 95th percentile has changed, of {words.number(len(compared))} comparisons with the "
        "week before and the 4 weeks before: one in twenty says so by chance."
    )
    return [Paragraph(said), steps_table(figures)]


def _those(figures: Figures) -> str:
    """Say which paths a long table has, where it has not all of them."""
    arrived = sum(bool(path.hours) for path in figures.paths)
    return "" if arrived <= MOST_PATHS else f" The {MOST_PATHS} paths with most failures; CSV and JSON have all."


def _latency_words(figures: Figures) -> str:
    words_ = "End-to-end latency by hour: median and 95th percentile of each path"
    arrived = sum(bool(path.hours) for path in figures.paths)
    return f"{words_}." if arrived <= MOST_PATHS else f"{words_}; of {arrived}, the {MOST_PATHS} with most failures."


def _chart(pictures: Mapping[str, bytes], name: str, title: str, text: str) -> Sequence[Chart]:
    return [Chart(name, title, text)] if name in pictures else []


def _outcome_words(figures: Figures) -> str:
    worst = min(figures.overall.days, key=lambda day: day.verdicts["pass"] - day.verdicts["fail"], default=None)
    failed = f"; most failures on {worst.day}" if worst is not None and worst.verdicts["fail"] else ""
    return f"Canaries by day and how they ended{failed}."


_HEAT = "95th percentile of the end-to-end latency by weekday and hour of the day."
_FILTER = "How sure Exchange's filter was that they are spam (SCL, from -1 to 9; junk from 5 on), in this period."
_METHOD = (
    (
        "On time: the canary passed, or arrived in time and only a header was not as expected. Shares are of the "
        "canaries that tell something: concluded, and not unknown; the unknown ones are counted beside them. A period "
        "with more than 10 % of them is told as not measured."
    ),
    (
        "Latency is from the first byte sent to the first sight in the mailbox, by the agent's own clock, of the "
        "canaries that were seen. The gap is how much earlier they may have arrived: the time since the last look "
        "without them."
    ),
    (
        "Changes: shares with Newcombe's 95 % interval of the difference, the 95th percentile with a bootstrap of "
        "whole hours. Where the interval spans zero, or fewer than 100 canaries are known on either side, there is no "
        "evidence of change."
    ),
)
