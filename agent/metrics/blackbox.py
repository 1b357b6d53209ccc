"""What blackbox_exporter would tell of a hand-over, under its names: dashboards and rules for it fit.

Names and labels are those of blackbox_exporter; where it has none (it speaks no SMTP of its own), they follow the
pattern of its ``probe_http_duration_seconds{phase}`` and ``probe_http_status_code``.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from checks.core.model import Accepted, Protocol, Refused, Stage, TlsFacts


def families(attempt: Accepted | Refused, *, method: str, success: bool) -> Iterator[Metric]:
    """Yield one family of gauges after the other; *method* is that of the path."""
    transcript = attempt.transcript
    seconds: dict[Stage, float] = {}
    for timing in transcript.stages:
        seconds[timing.stage] = seconds.get(timing.stage, 0.0) + timing.seconds
    yield _gauge("success", "Displays whether or not the probe was a success", float(success))
    duration = transcript.ended_at - transcript.began_at
    yield _gauge("duration_seconds", "Returns how long the probe took to complete in seconds", duration)
    looked_up = seconds.get(Stage.DNS, 0.0)
    yield _gauge("dns_lookup_time_seconds", "Returns the time taken for probe dns lookup in seconds", looked_up)
    protocol = "http" if method == "graph_send" else "smtp"
    help_text = f"Duration of the {protocol.upper()} hand-over by phase"
    phases = GaugeMetricFamily(f"probe_{protocol}_duration_seconds", help_text, labels=["phase"])
    for stage, took in seconds.items():
        phases.add_metric([stage.value], took)
    yield phases
    yield _gauge(f"{protocol}_status_code", "Code of the final reply, 0 without one", _code(attempt, protocol))
    if transcript.tls is not None:
        yield from _tls(transcript.tls)


def _tls(facts: TlsFacts) -> Iterator[Metric]:
    yield _info("tls_version_info", "Returns the TLS version used", version=facts.version.replace("TLSv", "TLS "))
    yield _info("tls_cipher_info", "Returns the TLS cipher negotiated", cipher=facts.cipher)
    if not facts.chain:
        return
    earliest = min(one.not_after.timestamp() for one in facts.chain)
    yield _gauge("ssl_earliest_cert_expiry", "Returns earliest SSL cert expiry in unixtime", earliest)
    leaf = facts.chain[0]
    yield _info(
        "ssl_last_chain_info",
        "Contains SSL leaf certificate information",
        fingerprint_sha256=leaf.sha256,
        subject=leaf.subject,
        issuer=leaf.issuer,
        subjectalternative=",".join(leaf.names),
    )


def _code(attempt: Accepted | Refused, protocol: str) -> float:
    """Return the code of the final reply; that of an identity provider is none of SMTP's."""
    foreign = protocol == "smtp" and isinstance(attempt, Refused) and attempt.protocol is not Protocol.SMTP
    return 0.0 if attempt.reply is None or foreign else float(attempt.reply.code)


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(f"probe_{name}", documentation, value=value)


def _info(name: str, documentation: str, **labels: str) -> Metric:
    made = GaugeMetricFamily(f"probe_{name}", documentation, labels=list(labels))
    made.add_metric(list(labels.values()), 1.0)
    return made
