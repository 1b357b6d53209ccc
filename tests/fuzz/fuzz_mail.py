"""Coverage-guided fuzzing of what reads mail from strangers: `fuzz_mail.py bounce|headers [libFuzzer's options]`.

Needs atheris, which is in no lock, since it has no part in the tests: `make fuzz` installs it into an environment of
its own. An input that raises, or that takes more than 50 ms of processor time, ends the run and is kept as `crash-*`.
"""

import sys
import time
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("fuzz_mail.py: atheris is not installed here: `make fuzz` sees to it")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
with atheris.instrument_imports(include=["checks.core"]):
    from checks.core import findings
    from checks.core.bounce import Kind, classify, may_be_bounce
    from checks.core.headers.attribution import attribution
    from checks.core.headers.authres import arc_authentication_results, authentication, parse_authentication_results
    from checks.core.headers.dates import parse_date
    from checks.core.headers.exchange import exchange, filtering
    from checks.core.headers.fields import decode_text, decode_words, parse_headers
    from checks.core.headers.received import parse_received, received_chain
    from checks.core.recognise import claims, mentions

LONGEST = 100_000
SLOWEST = 0.05
_TRIES = 3


class TooSlow(Exception):
    """An input that takes longer than the limit, each time that it is read."""


def read_bounce(data: bytes) -> None:
    may_be_bounce(data)
    found = classify(data)
    if found.kind is Kind.BOUNCE:
        claims(found.returned())
    for one in found.recipients:
        for text in (one.address, one.diagnostic or "", one.remote_mta or "", one.action):
            if not text.isprintable():
                raise ValueError(f"not fit for display: {text!a}")


def read_headers(data: bytes) -> None:
    """As a whole header section, and as a single value behind every parser."""
    headers = parse_headers(data)
    findings.find(data)
    received_chain(headers)
    authentication(headers)
    authentication(headers, ["", "mx.example"])
    arc_authentication_results(headers)
    attribution(exchange(headers))
    filtering(headers)
    claims(headers)
    mentions(headers)
    value = decode_words(decode_text(data))
    parse_received(value)
    parse_authentication_results(value)
    parse_date(value)


TARGETS = {"bounce": read_bounce, "headers": read_headers}


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: fuzz_mail.py {'|'.join(TARGETS)} [libFuzzer's options]")
    read = TARGETS[sys.argv.pop(1)]

    def once(data: bytes) -> None:
        for _ in range(_TRIES):  # a machine that stutters is no finding
            began = time.thread_time()
            read(data)
            took = time.thread_time() - began
            if took <= SLOWEST:
                return
        raise TooSlow(f"{took:.3f} s for {len(data)} bytes")

    atheris.Setup([*sys.argv, f"-max_len={LONGEST}"], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
