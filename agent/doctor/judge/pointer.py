"""The name behind the sending address: PTR, the way back, and the name that we greet with."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from agent.doctor.finding import Finding, failure, not_tested, ok, warning

_PTR = "RFC 1912 section 2.1; Microsoft's 550 5.7.25 for IPv6"
_HELO = "RFC 5321 section 4.1.1.1"


def judge_pointer(address: str, names: Mapping[str, Sequence[str]]) -> Finding:
    """Judge the PTR of *address*; *names* has the addresses of each name that it points to (RFC 1912 2.1)."""
    confirmed = [name for name, addresses in names.items() if address in addresses]
    if confirmed:
        return ok("dns.ptr", f"{address} is {confirmed[0]}, and {confirmed[0]} is {address}")
    fix = (
        f"Have whoever owns {address} (your access or cloud provider) set its PTR record to a name of yours, and"
        " publish that name with this address."
    )
    found = (
        f"{address} is called {', '.join(names)}, which is not {address}" if names else f"{address} has no PTR record"
    )
    if ipaddress.ip_address(address).version == 6:  # noqa: PLR2004 - the protocol's own name
        meaning = "Exchange Online refuses mail from IPv6 addresses without a PTR record (550 5.7.25)."
        return failure("dns.ptr", found, meaning=meaning, fix=fix, source=_PTR)
    meaning = "Many receivers distrust hosts whose address and name do not lead to each other."
    return warning("dns.ptr", found, meaning=meaning, fix=fix, source=_PTR)


def judge_helo(name: str, address: str, addresses: Sequence[str]) -> Finding:
    """Judge the name in EHLO: it should be one that leads to the sending address."""
    if name.startswith("["):
        return warning(
            "dns.helo",
            f"we greet with our address, {name}, for want of a name",
            meaning="It is allowed, but spam filters score it.",
            fix="Set helo on the path to a host name that resolves to the sending address.",
            source=_HELO,
        )
    if address in addresses:
        return ok("dns.helo", f"we greet as {name}, which is {address}")
    found = ", ".join(addresses) if addresses else "no address"
    return warning(
        "dns.helo",
        f"we greet as {name}, which has {found}, and send from {address}",
        meaning="Spam filters score a greeting that does not lead to the sender.",
        fix="Set helo on the path to a host name that resolves to the sending address, best its PTR name.",
        source=_HELO,
    )


def unknown_address(seen: str | None) -> list[Finding]:
    """Say that PTR, EHLO name and SPF cannot be judged without the address that the internet sees."""
    why = (
        f"the server sees {seen}, which is not an address on the internet"
        if seen
        else "the server does not tell which address it sees, and ours is not one on the internet"
    )
    return [not_tested(name, why) for name in ("dns.ptr", "dns.helo")]
