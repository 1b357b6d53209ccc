"""The settings of a check: what it sends, how long it waits, and what it demands beyond arrival."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictInt, ValidationInfo, field_validator, model_validator

from agent.config.model import Ping
from agent.config.pieces import DecimalText, FieldName, RegularExpression, Severity, spell_duration
from checks.core.model import Expectations, Limits
from checks.settings import Address, Duration, Section, Text, wrong

_SHORTEST_INTERVAL = 1.0
AuthservId = Annotated[str, Field(max_length=255, pattern=r"^[!-:<-~]*$")]
_MECHANISMS = ("spf", "dkim", "dmarc", "compauth")


class Expect(Section):
    """What a check demands of its canaries.

    The words for results are those of RFC 8601 2.7, and what Exchange Online writes beside them (`bestguesspass`,
    and `softpass` of its composite authentication).
    """

    placement: Literal["inbox", "any"] = "inbox"
    """`inbox`: not in Junk, and not marked so by the service. `any`: anywhere. Example: `any`"""
    refused: RegularExpression | None = None
    """The opposite: the message must be refused, with an enhanced code that matches; nothing else may be
    demanded then.

    Example: `"5.4.1|5.7.*"`
    """
    spf: Literal["pass", "fail", "softfail", "neutral", "none", "policy", "temperror", "permerror"] | None = None
    """The result of SPF, as the receiver stamped it. Example: `pass`"""
    dkim: Literal["pass", "fail", "neutral", "none", "policy", "temperror", "permerror"] | None = None
    """The result of DKIM. Example: `pass`"""
    dmarc: Literal["pass", "bestguesspass", "fail", "none", "temperror", "permerror"] | None = None
    """The result of DMARC. Example: `pass`"""
    compauth: Literal["pass", "softpass", "fail", "none"] | None = None
    """The result of Exchange Online's composite authentication. Example: `pass`"""
    authserv_ids: Annotated[tuple[AuthservId, ...], Field(max_length=20)] = ()
    """The receiving servers whose Authentication-Results count, `""` for headers without a name; by default the
    topmost header counts.

    Example: `[mx.provider.example]`
    """
    tls: Annotated[Literal["1.2", "1.3"] | None, DecimalText] = None
    """The lowest version of TLS. Example: `"1.2"`"""
    tls_hops: Literal["first", "every"] = "first"
    """Where `tls` is demanded: from us to the first server, or wherever a host passed the message on.

    Example: `every`
    """
    attributed: StrictBool | None = None
    """Whether it came in through your connector; judged once a canary of this check has shown one. Example: `true`"""
    scl_max: Annotated[StrictInt, Field(ge=-1, le=9)] | None = None
    """The highest spam confidence level. Example: `1`"""
    max_hop_delay: Duration | None = None
    """The longest time between two hops, by the servers' clocks. Example: `30s`"""
    headers: tuple[FieldName, ...] = ()
    """Header fields that must be there. Example: `[X-OriginatorOrg]`"""

    @model_validator(mode="after")
    def _demands_something(self) -> Self:
        if self.tls_hops == "every" and self.tls is None:
            raise wrong("tls_hops says where tls is demanded, and tls is not: say which version, as in {tls: 1.2}")
        if self.authserv_ids and all(getattr(self, name) is None for name in _MECHANISMS):
            raise wrong(f"authserv_ids says whose results count, and none is expected: {', '.join(_MECHANISMS)}")
        return self

    @model_validator(mode="after")
    def _nothing_beside_a_refusal(self) -> Self:
        fields = type(self).model_fields
        others = [name for name, value in self if name != "refused" and value != fields[name].default]
        if self.refused is not None and others:
            raise wrong(f"a message that must be refused never arrives, so that {others[0]} cannot be judged")
        return self

    def expectations(self) -> Expectations:
        """Return them as the judge takes them."""
        results = {name: wanted for name in _MECHANISMS if (wanted := getattr(self, name)) is not None}
        return Expectations(
            placement=self.placement,
            refused=self.refused,
            results=results,
            authserv_ids=self.authserv_ids,
            tls=self.tls,
            tls_every_hop=self.tls_hops == "every",
            attributed=self.attributed,
            scl_max=self.scl_max,
            max_hop_delay=self.max_hop_delay,
            headers=self.headers,
        )


class CheckSettings(Section):
    """One check: path, mailbox, schedule and patience.

    Times are held in seconds, whatever unit they were written in.
    """

    path: Text
    """The way to send, one of `paths`. Example: `relay`"""
    mailbox: Text
    """Where the canary arrives, one of `mailboxes`. Example: `outside`"""
    to: Address | None = None
    """The recipient, where it is not the mailbox's own address: an alias of it, or an address that must be
    refused.

    Example: `canary+relay@outside.example`
    """
    every: Duration
    """The time between two canaries, at least `1s`. Example: `5m`"""
    late_after: Duration = Field("60s", validate_default=True)
    """The age at which a canary that was not seen is late. Example: `2m`"""
    lost_after: Duration = Field("10m", validate_default=True)
    """The age at which it is lost; longer than `late_after`. Example: `30m`"""
    observe_within: Duration = Field("24h", validate_default=True)
    """How long after `lost_after` somebody has to have looked; else it becomes `unobserved`. Example: `12h`"""
    severity: Severity = "critical"
    """The severity of the alert that says when mail of this check is refused, lost, bounced or in Junk.

    Example: `warning`
    """
    ping: Ping | None = None
    """A watchdog elsewhere that is told how this check goes. Example: `{url: {file: /etc/relaycanary/ping-relay}}`"""
    expect: Expect = Expect()
    """What the mail itself must say: see below. Example: `{spf: pass, tls: "1.2"}`"""

    @field_validator("every")
    @classmethod
    def _not_a_flood(cls, every: float) -> float:
        if every < _SHORTEST_INTERVAL:
            raise wrong(f"{spell_duration(every)} is shorter than 1s: a check is no load test")
        return every

    @field_validator("lost_after")
    @classmethod
    def _late_before_lost(cls, lost_after: float, info: ValidationInfo) -> float:
        late_after = info.data.get("late_after")
        if late_after is not None and lost_after <= late_after:
            raise wrong(
                f"{spell_duration(lost_after)} is not longer than late_after ({spell_duration(late_after)}):"
                " a message is late before it is lost"
            )
        return lost_after

    def limits(self) -> Limits:
        """Return its patience as the judge takes it."""
        return Limits(
            every=self.every,
            late_after=self.late_after,
            lost_after=self.lost_after,
            observe_within=self.observe_within,
        )
