"""A mailbox: access, folders, quota, certificate."""

from __future__ import annotations

from agent.doctor.finding import Finding, not_tested, ok
from agent.doctor.judge.certificates import judge_expiry, read_chain
from agent.doctor.judge.clock import judge_clock
from agent.doctor.judge.mailbox import judge_folders, judge_quota, judge_unreadable
from agent.doctor.kit import Kit, Surveyable
from checks.errors import MailboxUnreadable

_NO_QUOTA = "the server tells no quota, as Exchange Online does not over IMAP or Graph; look in the admin center"
_STEP = 1.0  # seconds; a Date header tells whole ones


async def of_mailbox(kit: Kit, name: str) -> list[Finding]:
    """Log in to a mailbox and look around in it; nothing is changed."""
    plugin, reader = kit.settings.mailboxes[name], kit.readers[name]
    if not isinstance(reader, Surveyable):
        return [not_tested("mailbox", f"a mailbox of kind {plugin.kind} cannot be looked around in")]
    try:
        survey = await reader.survey()
    except MailboxUnreadable as error:
        return [judge_unreadable(error)]
    junk = next((folder for folder in reader.folders if reader.is_junk(folder)), None)
    endpoint = reader.endpoint()
    findings = [ok("mailbox.login", f"logged in at {endpoint.host}, port {endpoint.port}, as {plugin.text('address')}")]
    findings += judge_folders(survey.folders, reader.folders, list(survey.unopened), junk=junk)
    findings.append(judge_quota(survey.quota, why_not=_NO_QUOTA))
    if chain := read_chain(survey.chain):
        findings.append(judge_expiry("mailbox.certificate", chain, kit.clock.now()))
    if survey.time is not None:
        by = f"the Date header of {endpoint.host}"
        findings.append(judge_clock(survey.time.ours, survey.time.theirs, by=by, uncertainty=_STEP))
    return findings
