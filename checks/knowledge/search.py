"""From an answer, a failure or a pasted line to the row that explains it. Pure, once the catalogue is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from checks.core.model import Attempt, Cause, Outcome, Protocol, Refused, Reply, Stage, Untried
from checks.core.reply import clean_text
from checks.knowledge.catalogue import ReplyRow, catalogue, split_enhanced
from checks.knowledge.lines import quoted_reply, read_line, stage_in
from checks.knowledge.model import Diagnosis, Exactness, Statement

_PATHS_OF_METHOD = {"smtp": frozenset({"submission", "hve", "acs"})}
_PERSISTENCE = {
    "4": "The server calls it temporary: it may take the message later.",
    "5": "The server calls it permanent: sending the same again will not help.",
}

_FROM_EXACT_TO_GENERAL = tuple(Exactness)
_IN_THEIR_WORDS = frozenset(
    {
        Outcome.BOUNCED,
        Outcome.UNREACHABLE,
        Outcome.TLS_FAILED,
        Outcome.AUTH_FAILED,
        Outcome.DEFERRED,
        Outcome.REJECTED,
        Outcome.UNOBSERVED,
        Outcome.LOCAL_FAULT,
    }
)
"""Outcomes whose reasons are what a server, or the network, said; of `unobserved` it is the mailbox's server."""


def diagnose(reply: Reply, *, method: str | None = None, stage: Stage | None = None) -> Diagnosis | None:
    """What a server's answer means.

    Args:
        reply: the answer, of SMTP, or of Graph or Entra with their error code as `enhanced`.
        method: the way of sending, where it is known (relay, submission, direct_send, graph_send, smtp); it decides
            between rows that share a code.
        stage: the step that was refused, where it is known.

    Returns:
        None only where neither the words nor the codes tell anything.
    """
    said = Statement(reply.code, reply.enhanced, reply.text, _protocol_of(reply, method, stage))
    return diagnose_statement(said, method=method, stage=stage)


def diagnose_refusal(refused: Refused, *, method: str | None = None) -> Diagnosis | None:
    """What it means that a hand-over was not accepted: by the answer, or, without one, by how it failed."""
    if refused.reply is not None and refused.cause is Cause.REPLY:
        reply = refused.reply
        said = Statement(reply.code, reply.enhanced, reply.text, refused.protocol)
        return diagnose_statement(said, method=method, stage=refused.stage)
    text = clean_text(f"{refused.detail} {refused.transcript.endpoint}")
    return _by_failure(text, refused.cause, refused.stage)


def diagnose_outcome(
    outcome: Outcome, reasons: Sequence[str] = (), *, method: str | None = None, attempt: Attempt | None = None
) -> Diagnosis | None:
    """What it means that a canary ended so, and how to mend it: the same words wherever a canary is shown.

    Args:
        outcome: what happened.
        reasons: why, as the verdict has it: the words of servers, or unmet expectations.
        method: the way of sending.
        attempt: the hand-over, where it is at hand; it tells more than the reasons.

    Returns:
        None for `delivered` only, where there is nothing to mend.
    """
    found = _by_attempt(outcome, attempt, method) or _by_reasons(outcome, reasons)
    row = next((row for row in catalogue().outcomes if row.matches(outcome, reasons)), None)
    return found or (row.found_by(Exactness.CLASS) if row else None)


def read_statement(line: str) -> Statement | None:
    """The answer in a pasted line, taken apart; None where the line has no code of any kind."""
    return read_line(line, catalogue().error_codes)


def diagnose_text(line: str) -> Diagnosis | None:
    """What a pasted line means: a reply, a log line around one, an error of Entra or Graph, a failed connection."""
    said = read_statement(line)
    stage = stage_in(line)
    text = clean_text(line)
    if said is None:
        return _by_failure(text, None, stage) or _by_words(Statement(None, None, text))
    found = diagnose_statement(said, stage=stage)
    if found is None and said.protocol is Protocol.GRAPH:
        return _by_failure(text, None, stage)
    return found


def diagnose_statement(said: Statement, *, method: str | None = None, stage: Stage | None = None) -> Diagnosis | None:
    """What an answer that has been taken apart means. It may lack either code."""
    found = _by_words(said) or _by_code(said, method) or _by_class(said, stage)
    quoted = quoted_reply(said.text) if said.protocol is Protocol.SMTP else None
    if quoted is None or (quoted.code, quoted.enhanced) == (said.code, said.enhanced):
        return found
    return _around(found, _by_words(quoted) or _by_code(quoted, method))


def _by_attempt(outcome: Outcome, attempt: Attempt | None, method: str | None) -> Diagnosis | None:
    if isinstance(attempt, Untried):
        return diagnose_text(attempt.detail)
    if isinstance(attempt, Refused) and outcome not in {Outcome.INDETERMINATE, Outcome.DELIVERED}:
        return diagnose_refusal(attempt, method=method)
    return None


def _by_reasons(outcome: Outcome, reasons: Sequence[str]) -> Diagnosis | None:
    if outcome not in _IN_THEIR_WORDS:
        return None
    known = [found for reason in reasons if (found := diagnose_text(reason)) is not None]
    return min(known, key=lambda found: _FROM_EXACT_TO_GENERAL.index(found.exactness), default=None)


def _protocol_of(reply: Reply, method: str | None, stage: Stage | None) -> Protocol:
    if stage is Stage.TOKEN or (reply.enhanced or "").startswith("AADSTS"):
        return Protocol.ENTRA
    foreign = reply.enhanced is not None and split_enhanced(reply.enhanced) is None
    return Protocol.GRAPH if stage is Stage.REQUEST or method == "graph_send" or foreign else Protocol.SMTP


def _by_words(said: Statement) -> Diagnosis | None:
    """The first row whose words are in the text and whose codes do not contradict.

    A reply code other than the usual one is forgiven when the enhanced code is the row's.
    """
    rows = [row for row in catalogue().rows_for(said.protocol) if _may_say(row, said)]
    fitting = [row for row in rows if row.has_reply(said.code)]
    if said.enhanced is not None:
        fitting += rows
    row = next((row for row in fitting if row.says(said.text)), None)
    return row.found_by(Exactness.TEXT) if row else None


def _may_say(row: ReplyRow, said: Statement) -> bool:
    return not row.needs_code if said.enhanced is None else row.has_enhanced(said.enhanced)


def _by_code(said: Statement, method: str | None) -> Diagnosis | None:
    """The row that the codes alone lead to: with the reply code first, then by the enhanced code alone."""
    if said.enhanced is None:
        return None
    code = said.enhanced
    rows = [row for row in catalogue().rows_for(said.protocol) if row.has_enhanced(code) and not row.text_only]
    exact = [row for row in rows if row.has_reply(said.code)]
    row = _one_of(exact, method) if exact else _only(rows)
    return row.found_by(Exactness.CODE) if row else None


def _one_of(rows: Sequence[ReplyRow], method: str | None) -> ReplyRow | None:
    """Of rows with the same code: the default, else one that needs no words, else the only one."""
    paths = _PATHS_OF_METHOD.get(method or "", frozenset({method}))
    mine = [row for row in rows if row.paths & paths] or rows
    wordless = [row for row in rows if row.text is None]
    return (
        _only([row for row in rows if row.default])
        or _only([row for row in mine if row.default])
        or next(iter(wordless), None)
        or _only(rows)
        or _only(mine)
    )


def _only(rows: Sequence[ReplyRow]) -> ReplyRow | None:
    return rows[0] if len(rows) == 1 else None


def _by_class(said: Statement, stage: Stage | None) -> Diagnosis | None:
    row = next((row for row in catalogue().classes if row.matches(said, stage)), None)
    if row is None:
        return None
    found = row.found_by(Exactness.CLASS)
    if said.protocol is not Protocol.SMTP or said.enhanced is None:
        return found
    # The reply code decides whether to try again (RFC 5321 section 4.2.1), where the two disagree.
    persistence = _PERSISTENCE.get(str(said.code or said.enhanced)[0])
    return replace(found, meaning=f"{found.meaning} {persistence}") if persistence else found


def _around(found: Diagnosis | None, quoted: Diagnosis | None) -> Diagnosis | None:
    """A reply that quotes another: the quoted one is the cause, so its fix is the one that helps."""
    if quoted is None or (found is not None and found.row == quoted.row):
        return found
    if found is None or found.exactness is Exactness.CLASS:
        return quoted
    return replace(
        found,
        meaning=f"{found.meaning} The reply that it quotes: {quoted.meaning}",
        fix=quoted.fix,
        source=found.source if found.source == quoted.source else f"{found.source}; {quoted.source}",
    )


def _by_failure(text: str, cause: Cause | None, stage: Stage | None) -> Diagnosis | None:
    """The row for a failure without an answer. Without a cause, as in a pasted line, only the words count."""
    for row in catalogue().connection:
        if cause is not None and not row.may_be(cause, stage):
            continue
        if row.says(text):
            return row.found_by(Exactness.TEXT)
        if cause is not None and (row.text is None or row.words_optional):
            return row.found_by(Exactness.CLASS)
    return None
