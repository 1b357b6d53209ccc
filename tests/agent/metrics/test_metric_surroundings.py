"""What the metrics say of certificates, mailboxes and settings: what the agent knows without its ledger."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from agent.ledger import Snapshot
from agent.status import AgentView, Audited, CertificateView, MailboxStatus
from checks.core.model import Check

Scraper = Callable[[AgentView, Snapshot | None], Any]


def test_of_several_certificates_in_one_role_the_first_to_end_is_shown(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    one = view(check())
    (path,) = one.paths
    (certificate,) = path.certificates
    later = CertificateView(role="server", not_after=certificate.not_after.replace(year=2030))
    path = replace(path, certificates=[later, certificate, later])
    shown = scrape(replace(one, paths=[path]), Snapshot())

    ends = certificate.not_after.timestamp()
    assert shown.value("certificate_not_after_timestamp_seconds", path="to-tenant", role="server") == ends


def test_the_certificate_of_the_agents_own_pages_is_shown_where_there_is_one(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    ends = datetime(2027, 6, 30, tzinfo=UTC)
    name = "certificate_not_after_timestamp_seconds"
    shown = scrape(replace(view(check()), web_certificate=ends), Snapshot())
    assert shown.value(name, path="", role="web") == ends.timestamp()


def test_a_mailbox_that_cannot_be_read_is_down(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    one = view(check())
    mailbox = replace(one.mailboxes[0], status=MailboxStatus(up=False, reason="login", look_interval=60.0))
    shown = scrape(replace(one, mailboxes=[mailbox]), Snapshot())

    assert shown.value("mailbox_up", mailbox="inbox") == 0
    assert shown.value("mailbox_look_interval_seconds", mailbox="inbox") == 60


def test_a_credential_tells_when_it_ends_and_what_came_of_its_token_requests(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    one = view(check())
    app, outside = one.credentials
    shown = scrape(one, Snapshot())

    ends = app.facts.not_after.timestamp()
    assert shown.value("credential_not_after_timestamp_seconds", credential="app") == ends
    assert shown.value("credential_not_after_timestamp_seconds", credential=outside.name) is None
    assert shown.value("token_requests_total", credential="app", result="ok") == 3
    assert shown.value("token_requests_total", credential="app", result="refused") == 0


def test_settings_that_were_refused_show(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    shown = scrape(replace(view(check()), reload_successful=False), Snapshot())

    assert shown.value("config_last_reload_successful") == 0


def test_what_an_audit_found_is_shown_and_nothing_before_the_first(
    scrape: Scraper, check: Callable[..., Check], view: Callable[..., AgentView]
) -> None:
    before = replace(view(check()), audited=None)
    assert scrape(before, Snapshot()).series("ledger_problems") == []
    assert scrape(before, Snapshot()).series("ledger_last_audit_timestamp_seconds") == []

    at = before.now_at - 20.0
    shown = scrape(replace(before, audited=Audited(problems=2, at=at)), Snapshot())

    assert shown.value("ledger_problems") == 2
    assert shown.value("ledger_last_audit_timestamp_seconds") == at + before.wall_offset
