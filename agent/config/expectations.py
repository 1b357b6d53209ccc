"""The settings of a check: what it sends, how long it waits, and what it demands beyond arrival."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictInt, ValidationInfo, field_validator, model_validator

from agent.config.model import Severity
from agent.config.pieces import DecimalText, FieldName, RegularExpression, spell_duration
from checks.core.model import Expectations, Limits
from checks.settings import Address, Duration, Section, Text, wrong

_SHORTEST_INTERVAL = 1.0
AuthservId = Annotated[str, Field(max_length=255, pattern=r"^[!-:<-~]*$")]
_MECHANISMS = ("spf", "dkim", "dmarc", "compauth")


class Expect(Section):
    """What a check demands of its canaries.

    The words for results are those of RFC 8601 2.7, and what Exchange Online writes beside them (`bestguesspass`,
    and `softpass` of its composite authentication). `authserv_ids` are the identifiers of the receiving servers whose
    Authentication-Results count, an empty one for headers without any, as Exchange Online may write them; by default
    the topmost header counts. `tls_hops` says where `tls` is demanded: on the way from us, or wherever a host passes
    the message on. `max_hop_delay` is in seconds, by the servers' clocks.
    """

    placement: Literal["inbox", "any"] = "inbox"
    refused: RegularExpression | None = None
    spf: Literal["pass", "fail", "softfail", "neutral", "none", "policy", "temperror", "permerror"] | None = None
    dkim: Literal["pass", "fail", "neutral", "none", "policy", "temperror", "permerror"] | None = None
    dmarc: Literal["pass", "bestguesspass", "fail", "none", "temperror", "permerror"] | None = None
    compauth: Literal["pass", "softpass", "fail", "none"] | None = None
    authserv_ids: Annotated[tuple[AuthservId, ...], Field(max_length=20)] = ()
    tls: Annotated[Literal["1.2", "1.3"] | None, DecimalText] = None
    tls_hops: Literal["first", "every"] = "first"
    attributed: StrictBool | None = None
    scl_max: Annotated[StrictInt, Field(ge=-1, le=9)] | None = None
    max_hop_delay: Duration | None = None
    headers: tuple[FieldName, ...] = ()

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
    """One check: path, mailbox, schedule and patience. All times are in seconds.

    `to` is the mailbox's own address unless it says otherwise: an alias of it, or for a negative check an address
    that must be refused. `severity` is that of the alert that says so when mail is refused, lost, bounced or in Junk.
    """

    path: Text
    mailbox: Text
    to: Address | None = None
    every: Duration
    late_after: Duration = Field("60s", validate_default=True)
    lost_after: Duration = Field("10m", validate_default=True)
    observe_within: Duration = Field("24h", validate_default=True)
    severity: Severity = "critical"
    expect: Expect = Expect()

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
