"""Keys and words that people bring along from other programs: each is told why not, and what instead."""

import pytest

from agent.config.habits import EWS
from agent.config.problems import SettingsError

CIPHERS = (
    "there is no cipher list to set: OpenSSL's defaults are used, with TLS 1.2 or later. SSLv3 in such a list switches"
    " no protocol on, it only weakens the list; and 454 4.7.0, for which guides recommend it, is a temporary"
    " authentication failure that has nothing to do with ciphers: leave it out"
)
VERSION = (
    "there is no version to set: every connection takes TLS 1.2 or later, as Exchange Online does; what a check demands"
    ' is said by expect: {tls: "1.2"}'
)
VERIFIED = "certificates are always verified: where a private CA signed them, name its file by ca_file"
MODE = "say it by tls: none, opportunistic, required (STARTTLS) or implicit (from the first byte)"
LOGIN = "a login is an entry of the credentials, and is named here by credential"
MODES = "is not one of none, opportunistic, required, implicit"
HOST = "host: mx.contoso.example"
IMAP = "host: imap.outside.example"


def unknown(key, words):
    return f"7: paths.relay: unknown key '{key}': {words}"


WRITTEN = {
    "ciphers: SSLv3": unknown("ciphers", CIPHERS),
    "tls_ciphers: 'HIGH:!aNULL'": unknown("tls_ciphers", CIPHERS),
    "sslCipherList: SSLv3": unknown("sslCipherList", CIPHERS),
    "ssl_version: TLSv1": unknown("ssl_version", VERSION),
    "minVersion: TLSv1": unknown("minVersion", VERSION),
    "secureProtocol: SSLv3_method": unknown("secureProtocol", VERSION),
    "tls_min_version: '1.0'": unknown("tls_min_version", VERSION),
    "rejectUnauthorized: false": unknown("rejectUnauthorized", VERIFIED),
    "verify: false": unknown("verify", VERIFIED),
    "insecure_skip_verify: true": unknown("insecure_skip_verify", VERIFIED),
    "ignoreTLS: true": unknown("ignoreTLS", VERIFIED),
    "use_ssl: true": unknown("use_ssl", MODE),
    "secure: false": unknown("secure", MODE),
    "password: x": unknown("password", LOGIN),
    "app_password: x": unknown("app_password", LOGIN),
    "tls: SSLv3": f"7: paths.relay.tls: 'SSLv3' {MODES}: {VERSION}",
    "tls: 'TLSv1.0'": f"7: paths.relay.tls: 'TLSv1.0' {MODES}: {VERSION}",
    "tls: {ciphers: SSLv3}": f"7: paths.relay.tls: a mapping {MODES}: {CIPHERS}",
}


def said(workspace, text):
    with pytest.raises(SettingsError) as refused:
        workspace.load(text)
    return [str(problem).removeprefix(f"{workspace.folder}/relaycanary.yaml:") for problem in refused.value.problems]


@pytest.mark.parametrize("line", WRITTEN)
def test_a_key_from_elsewhere_is_told_why_there_is_none_and_what_is_there(line, workspace, edited):
    assert said(workspace, edited((HOST, f"{HOST}, {line}"))) == [WRITTEN[line]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            (f"{{kind: imap, {IMAP}", f"{{kind: ews, {IMAP}"),
            f"15: mailboxes.outside.kind: 'ews' is not one of {{kinds}}: {EWS}",
        ),
        ((IMAP, f"{IMAP}, ews_url: x"), f"15: mailboxes.outside: unknown key 'ews_url': {EWS}"),
        (
            (IMAP, "host: outlook.office365.com/EWS/Exchange.asmx"),
            (
                "15: mailboxes.outside.host: 'outlook.office365.com/EWS/Exchange.asmx' is not a host name or an IP"
                f" address (no scheme, no port, no path): {EWS}"
            ),
        ),
    ],
)
def test_exchange_web_services_are_told_their_end_and_what_comes_after(change, expected, workspace, edited):
    (problem,) = said(workspace, edited(change))
    start, kinds, end = expected.partition("{kinds}")
    assert problem.startswith(start)
    assert problem.endswith(end)
    assert kinds or problem == expected


def test_a_key_that_is_only_misspelt_is_still_met_with_a_suggestion(workspace, edited):
    assert said(workspace, edited((HOST, "hots: mx.contoso.example")))[0].endswith("did you mean 'host'?")


def test_what_stands_where_a_secret_belongs_is_not_quoted(workspace, edited):
    (problem,) = said(workspace, edited((HOST, f"{HOST}, password: hunter2")))
    assert "hunter2" not in problem
