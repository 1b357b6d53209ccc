"""Signs in a header section that a message is a notification, and of which kind.

No single one is proof: people forward bounces and write about them. The sender's name is the strong one, since a
reader's own mail system writes its notices as a mailer daemon or a postmaster, with an empty return path.
"""

import re

from checks.core.bounce.mime import media_type, report_type
from checks.core.headers.fields import Headers, decode_words


def _any(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


_DAEMON_NAME = _any(
    r"(?:\b|_)(?:mailer-?_?daemon|mail-?daemon|mdaemon|post_?master|smtp_mail_service)(?=[@>\"\s(]|\Z)",
    r"\bmicrosoftexchange[0-9a-f]{32}(?=@)",
    r"\b(?:mail|message) delivery (?:sub)?system\b",
    r"\b(?:delivery subsystem|delivery status|mail system|mail router|smtp gateway|smtp server)\b",
    r"\b(?:system|mail) administrator\b",
)
_NO_REPLY = _any(r"\b(?:no|do[._-]?not)[._-]?reply\b")
_FAILURE = _any(
    r"undeliver|non.?deliver|not.?deliver|could not (?:be )?(?:send|sent|deliver)|couldn.t be deliver",
    r"deliver(?:y|ing|ed)?\b.{0,40}\b(?:fail|status|problem|error|delay|notif|report|incomplete)",
    r"fail(?:ed|ure|ing)?\b.{0,30}\b(?:deliver|notice|mail|message|send|delivery)",
    r"(?:mail|message|e-mail)\b.{0,30}\b(?:fail|error|reject|return|bounc)",
    r"returned (?:mail|message|to sender|e-mail)|error (?:sending|message)|permanent .{0,20}(?:failure|error)",
    r"user unknown|unknown user|mail (?:system )?error|warning: .{0,40}(?:mail|message|deliver)",
    r"problem delivering",
    r"\bbounce|\bndr\b|\bdsn\b",
    # Dutch, German, French, Spanish, Portuguese, Italian, Swedish and Norwegian, Russian, Chinese, Japanese
    r"onbestelbaar|unzustellbar|nicht zugestellt|zustellung|non remis|[eé]chec|no se (?:puede|pudo) entreg|entrega",
    r"n[aã]o[ _]entreg|mancata consegna|recapito|oleverans|leverans|недостав|не доставлен",
    r"无法送达|未传递|退信|配信|返信不可|エラー",
)
_FAILED_WORDS = _any(
    r"\b(?:reject|refus|bounc|expir|unknown|invalid|malformed|denied|permanent|unable|cannot|can't|couldn't|could not)",
    r"\b(?:no such|not (?:found|exist|accept|available)|does ?n[o']t exist|over quota|(?:is|are) full|exceed)",
    r"\bfail(?:ed|ure|s)?\b|\berrors?\b|\bdelay(?:ed)?\b|[45]\.\d{1,3}\.\d{1,3}\b",
)
_AUTO_SUBJECT = re.compile(
    r"(?i)\A\s*(?:auto(?:matic|mated|matisch[a-z]*)?[ -]?(?:reply|response|antwort|antwoord)|auto:"
    r"|out of (?:the )?office|abwesen|vacation\b|.{0,60}\baway from (?:the |my )?(?:office|mail)"
    r"|r[eé]ponse automatique|respuesta autom|resposta autom|risposta automatica|automatisch antwoord"
    r"|自动答复|自動応答)",
)
# A mailing list's return path may hold "bounce"; only these names in it are a mail system's.
_DAEMON_PATH = _any(r"<?(?:mailer-daemon|postmaster)(?:@|>|\Z)")


def is_report(headers: Headers, kind: str) -> bool:
    """Whether this is a multipart/report (RFC 6522) of this report-type."""
    content_type = headers.first("Content-Type") or ""
    return media_type(content_type) == "multipart/report" and report_type(content_type) == kind


def from_daemon(headers: Headers) -> bool:
    """Whether a mail system, not a person, signs as the sender."""
    if "X-MS-Exchange-Message-Is-Ndr" in headers or "X-Failed-Recipients" in headers:
        return True
    if _DAEMON_PATH.match((headers.first("Return-Path") or "").strip()[:500]):
        return True
    senders = (*headers.all("From")[:2], *headers.all("Sender")[:1])
    return any(_DAEMON_NAME.search(decode_words(sender[:500])) for sender in senders)


def from_software(headers: Headers) -> bool:
    """Whether the sender's name says that nobody reads answers: weaker than a mail system's name."""
    return _NO_REPLY.search((headers.first("From") or "")[:500]) is not None


def from_notification_service(headers: Headers) -> bool:
    """Whether Amazon SNS is the sender, which carries the notices of Amazon SES."""
    return "@sns.amazonaws.com" in (headers.first("From") or "")[:500].lower()


def null_return_path(headers: Headers) -> bool:
    """Whether the envelope had the empty sender that notices must have (RFC 5321 section 4.5.5)."""
    return (headers.first("Return-Path") or "").replace(" ", "") == "<>" or (headers.first("From") or "x").strip() in (
        "",
        "<>",
    )


def failure_subject(headers: Headers) -> bool:
    """Whether the subject reads like a notice about a delivery, in one of the languages known here."""
    return _FAILURE.search(subject(headers)) is not None


def speaks_of_failure(text: str) -> bool:
    """Whether a text has any word that notices of failure have: an address alone is no bad news."""
    return _FAILURE.search(text) is not None or _FAILED_WORDS.search(text) is not None


def auto_replied(headers: Headers) -> bool:
    """Whether somebody's software answers for him: RFC 3834's field, or its older kin."""
    submitted = (headers.first("Auto-Submitted") or "").strip().lower()
    if submitted.startswith("auto-replied"):
        return True
    if any(name in headers for name in ("X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Mail-Autoreply")):
        return True
    precedence = (headers.first("Precedence") or "").strip().lower()
    return precedence in ("auto_reply", "auto-reply") or _AUTO_SUBJECT.match(subject(headers)) is not None


def subject(headers: Headers) -> str:
    """The subject with its encoded words decoded, bounded."""
    return decode_words((headers.first("Subject") or "")[:1000])
