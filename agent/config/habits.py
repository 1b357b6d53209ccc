"""Keys and words that people bring along from other programs and guides, and what stands in their place here."""

from __future__ import annotations

import re
from typing import Any

_CIPHERS = (
    "there is no cipher list to set: OpenSSL's defaults are used, with TLS 1.2 or later. SSLv3 in such a list switches"
    " no protocol on, it only weakens the list; and 454 4.7.0, for which guides recommend it, is a temporary"
    " authentication failure that has nothing to do with ciphers: leave it out"
)
_VERSION = (
    "there is no version to set: every connection takes TLS 1.2 or later, as Exchange Online does; what a check demands"
    ' is said by expect: {tls: "1.2"}'
)
_VERIFICATION = "certificates are always verified: where a private CA signed them, name its file by ca_file"
_MODE = "say it by tls: none, opportunistic, required (STARTTLS) or implicit (from the first byte)"
_LOGIN = "a login is an entry of the credentials, and is named here by credential"
_READERS = (
    "who may read is said by users: {NAME: HASH}, with the bcrypt hash of the password, which"
    " `relaycanary hash-password` makes"
)
_SERVER_TLS = "say it by tls: {certificate: {file: PATH}, key: {file: PATH}}"
EWS = (
    "Exchange Web Services are being switched off: blocked since 2026-10-01 unless the tenant allows the app, gone on"
    " 2027-04-01 (MC1227454): read over IMAP at outlook.office365.com, or by kind graph"
)
"""Why not EWS, and what instead."""

_KEYS = (
    (r"(ssl|tls|starttls)_?ciphers?(_?\w+)?|ciphers?(_?(list|suites?|string))?", _CIPHERS),
    (r"(ssl|tls|min|max)(_?(min|max))?(_?(ssl|tls))?_?(version|protocol)|secure_?protocol|sslv[23]|tlsv1\w*", _VERSION),
    (r"((ssl|tls)_?)?verify(_?\w+)?|(tls_?)?reject_?unauthorized|(allow_?)?insecure(_?\w+)?", _VERIFICATION),
    (r"ignore_?(ssl|tls|cert\w*)(_?\w+)?|trust_?all(_?\w+)?", _VERIFICATION),
    (r"(use_?|enable_?|require_?)?(ssl|starttls|smtps|secure)|(use|enable|require)_?tls", _MODE),
    (r"(app_?)?password|passwd|pass|user(_?name)?|login|auth", _LOGIN),
    (r"ews(_?\w+)?|exchange_?web_?services?", EWS),
)
_WEB_KEYS = (
    (r"auth|basic_?auth(_?users)?|logins?|user|user_?name|password", _READERS),
    (r"(tls|ssl)_?(server_?)?config|https|ssl|(ssl_?)?(cert|key)_?file|cert(ificate)?|key", _SERVER_TLS),
)
_OLD_TLS = re.compile(r"ssl ?v?\.?[23]?|tls ?v?1(\.[01])?", re.IGNORECASE)
_EWS_ADDRESS = re.compile(r"/ews\b|\.asmx\b", re.IGNORECASE)


def about_key(name: str, *, section: str = "") -> str:
    """Say why there is no key *name* in *section* and what is there instead; empty where it is only unknown."""
    keys = (*_WEB_KEYS, *_KEYS) if section == "web" else _KEYS
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("-", "_")
    return next((words for pattern, words in keys if re.fullmatch(pattern, plain)), "")


def about_value(field: str, value: Any) -> str:
    """Say what is behind a wrong *value* of *field*, if it is one that people bring along; else nothing."""
    if field == "tls" and isinstance(value, dict):
        return next((words for name in value if (words := about_key(str(name)))), "")
    if not isinstance(value, str):
        return ""
    if field == "tls" and _OLD_TLS.fullmatch(value.strip()):
        return _VERSION
    if field in {"host", "domain", "graph_url", "authority"} and _EWS_ADDRESS.search(value):
        return EWS
    return EWS if field == "kind" and value.lower() in {"ews", "exchange_web_services"} else ""
