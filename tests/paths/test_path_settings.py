"""What each kind of SMTP path accepts in its settings, and what it says about the rest."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from checks import registry
from checks.paths.direct_send import DirectSend
from checks.paths.relay import Relay
from checks.paths.smtp import Smtp
from checks.paths.submission import Submission

SENDER = {"sender": "canary@tenant.example"}
MX = {**SENDER, "host": "tenant-example.mail.protection.outlook.com"}
SUBMISSION = {"sender": "noreply@tenant.example", "host": "smtp.office365.com", "credential": "noreply"}


@pytest.mark.parametrize(
    ("kind", "path"), [("relay", Relay), ("submission", Submission), ("direct_send", DirectSend), ("smtp", Smtp)]
)
def test_every_kind_is_registered(kind, path):
    assert registry.load(registry.PATHS, kind) is path


@pytest.mark.parametrize(
    ("path", "given", "port", "tls"),
    [
        (Relay, MX, 25, "required"),
        (Submission, SUBMISSION, 587, "required"),
        (DirectSend, {**SENDER, "domain": "tenant.example"}, 25, "opportunistic"),
        (Smtp, {**SENDER, "host": "smtp.provider.example"}, 587, "required"),
    ],
)
def test_the_defaults_are_those_of_the_way_of_sending(path, given, port, tls):
    settings = path.Settings.model_validate(given)

    assert (settings.port, settings.tls, settings.session) == (port, tls, "fresh")


REFUSED = [
    (Submission, {**SUBMISSION, "port": 465}, "does not offer port 465"),
    (Submission, {**SUBMISSION, "tls": "opportunistic"}, "after STARTTLS only"),
    (Submission, {**SUBMISSION, "tls": "implicit"}, "after STARTTLS only"),
    (Submission, {**SUBMISSION, "credential": None}, "needs a credential"),
    (Submission, {**SENDER, "domain": "tenant.example", "credential": "c"}, "goes to a host"),
    (Relay, {**MX, "credential": "c"}, "nobody logs in on this path"),
    (Relay, {**MX, "tls": "implicit"}, "set tls to required"),
    (Relay, SENDER, "exactly one of host"),
    (Relay, {**MX, "domain": "tenant.example"}, "exactly one of host"),
    (Relay, {**MX, "tls": "none", "client_certificate": {"file": "relay.pem"}}, "only be shown in a TLS handshake"),
    (DirectSend, {**MX, "credential": "c"}, "nobody logs in on this path"),
    (Smtp, {**MX, "port": 465}, "TLS from the first byte"),
    (Smtp, {**MX, "tls": "none", "credential": "c"}, "never shown over plain text"),
    (Smtp, {**MX, "tls": "opportunistic", "credential": "c"}, "never shown over plain text"),
    (Smtp, {**MX, "tls": "yes"}, "'none', 'opportunistic', 'required' or 'implicit'"),
    (Smtp, {**MX, "nameservers": ["dns.example"]}, "is not a name server"),
    (Smtp, {**MX, "nameservers": ["192.0.2.53:99999"]}, "is not a name server"),
    (Smtp, {**MX, "source_address": "eth0"}, "is not an IP address"),
    (Smtp, {**MX, "timeouts": {"data": "0s"}}, "longer than zero"),
    (Smtp, {**MX, "timeouts": {"date": "1s"}}, "Extra inputs are not permitted"),
    (Smtp, {**MX, "session": "sometimes"}, "'fresh' or 'kept'"),
    (Smtp, {**MX, "sender": "a@b.example\r\nRCPT TO:<x@y.example>"}, "control character"),
    (Smtp, {**MX, "helo": "a b"}, "is not a host name"),
    (Smtp, {**MX, "sendr": "a@b.example"}, "Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("path", "given", "words"), REFUSED)
def test_what_cannot_work_is_refused_with_the_reason(path, given, words):
    with pytest.raises(ValidationError, match=words):
        path.Settings.model_validate(given)


@pytest.mark.parametrize("server", ["192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]", "[::1]:5353"])
def test_name_servers_are_addresses_with_or_without_port(server):
    assert Smtp.Settings.model_validate({**MX, "nameservers": [server]}).nameservers == (server,)


def test_any_provider_may_be_spoken_to_in_implicit_tls():
    given = {**SENDER, "host": "smtp.provider.example", "port": 465, "tls": "implicit", "credential": "outside"}

    assert Smtp.Settings.model_validate(given).tls == "implicit"
