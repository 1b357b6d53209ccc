"""Presets of kind smtp: what they fill in, what they leave alone, and what is said about a wrong one."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from checks.knowledge.presets import presets
from checks.paths.smtp import Smtp

SENDER = {"sender": "canary@tenant.example", "credential": "login"}


def settings(**given):
    return Smtp.Settings.model_validate({**SENDER, **given})


def reason(**given):
    with pytest.raises(ValidationError) as refused:
        settings(**given)
    (error,) = refused.value.errors()
    return error["msg"]


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ({"preset": "hve"}, "smtp.hve.mx.microsoft"),
        ({"preset": "acs"}, "smtp.azurecomm.net"),
        ({"preset": "outlook.com"}, "smtp-mail.outlook.com"),
        ({"preset": "ses", "region": "eu-west-1"}, "email-smtp.eu-west-1.amazonaws.com"),
        ({"preset": "ses", "region": "us-gov-west-1"}, "email-smtp.us-gov-west-1.amazonaws.com"),
        ({"preset": "sendgrid"}, "smtp.sendgrid.net"),
    ],
)
def test_a_preset_fills_in_what_is_left_out(given, host):
    found = settings(**given)
    assert (found.host, found.domain, found.port, found.tls) == (host, None, 587, "required")


def test_what_the_settings_say_wins_over_the_preset():
    found = settings(preset="acs", host="smtp.mine.example", port=2587)
    assert (found.host, found.port) == ("smtp.mine.example", 2587)
    assert settings(preset="sendgrid", port=465, tls="implicit").tls == "implicit"
    assert settings(preset="ses", host="vpce-1.email-smtp.eu-west-1.vpce.amazonaws.com").host.startswith("vpce-1")
    assert settings(preset="sendgrid", domain="tenant.example").host is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"preset": "sengrid"},
            "'sengrid' is not one of hve, acs, outlook.com, ses, sendgrid; did you mean 'sendgrid'?",
        ),
        (
            {"preset": "mailbox"},
            "'mailbox' is not one of hve, acs, outlook.com, ses, sendgrid; for any other provider leave preset out",
        ),
        (
            {"preset": "ses"},
            ("region is missing: Amazon Simple Email Service has a host in each region, so name yours, like eu-west-1"),
        ),
        (
            {"preset": "ses", "region": "eu-west-1.evil.example/"},
            "'eu-west-1.evil.example/' is not a region of Amazon Simple Email Service: write it like eu-west-1",
        ),
        (
            {"preset": "ses", "region": 1},
            "'1' is not a region of Amazon Simple Email Service: write it like eu-west-1",
        ),
        (
            {"preset": "hve", "region": "eu-west-1"},
            "region is for preset ses only, which has a host in each region: leave it out",
        ),
        (
            {"host": "smtp.mine.example", "region": "eu-west-1"},
            "region is for preset ses only, which has a host in each region: leave it out",
        ),
    ],
)
def test_a_wrong_preset_or_region_is_told_what_is_allowed(given, words):
    assert reason(**given) == words


@pytest.mark.parametrize("name", presets())
def test_every_preset_says_what_an_administrator_has_to_know(name):
    preset = presets()[name]
    assert preset.tls in {"required", "implicit"}
    assert preset.auth
    assert set(preset.auth) <= {"LOGIN", "PLAIN", "XOAUTH2"}
    assert all(note.endswith(".") for note in preset.notes)
    assert "." in preset.source


@pytest.mark.parametrize("name", presets())
def test_a_preset_knows_its_own_host_and_no_other(name):
    preset = presets()[name]
    host = preset.host_in("eu-west-1")
    assert [other for other in presets() if presets()[other].is_host(host)] == [name]
    assert not preset.is_host("smtp.provider.example")
