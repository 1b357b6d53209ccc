"""Scores of the header parsers on the header corpora: each function yields one row of the table."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from table import Row

from checks.core.headers.authres import MethodResult, parse_authentication_results
from checks.core.headers.dates import parse_date
from checks.core.headers.exchange import parse_report
from checks.core.headers.received import Hop, parse_received, with_delays

# Microsoft's analyzer reads these lines in a way of its own; each is listed with the reason why ours differs.
MHA_EXCEPTIONS = {
    ("by me by you with this with that with whatever", "by"): "a clause stands once (RFC 5321); the first counts",
    ("by me by you with this with that with whatever", "with"): "a clause stands once (RFC 5321); the first counts",
    ("(qmail 10876 invoked from network); 24 Aug 2014 16:13:38 -0000", "by"): "a comment is no by clause",
}


def score_headers(folder: Path) -> Iterator[Row]:
    mha = _load(folder / "mha/expected.json")
    yield _agreement(_load(folder / "received_agreement.json"))
    yield _mha_lines(mha)
    yield _mha_chains(mha)
    yield _mha_dates(mha)
    yield _mha_reports(mha)
    yield _mimekit_received(_load(folder / "mimekit/received.json"))
    yield _mimekit_results(_load(folder / "mimekit/authentication_results.json"))
    yield _truncated_results(_load(folder / "mimekit/authentication_results.json"))
    yield _provider_results(_load(folder / "mail-authenticationresults/authentication_results.json"))
    yield _spamassassin(_load(folder / "spamassassin/received.json"))
    yield _mail_parser(_load(folder / "mail-parser/received.json"))


def _load(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def _agreement(data) -> Row:
    row = Row("Received: by, from and time where two parsers agree", 99.5)
    ids = Row("", 0)
    for case in data["cases"]:
        hop = parse_received(case["header"])
        found = {"from": hop.from_, "by": hop.by, "id": hop.id, "epoch": hop.date.timestamp() if hop.date else None}
        for key, value in case["agreed"].items():
            (ids if key == "id" else row).add(
                found[key] == value, f"{key} {found[key]!r} != {value!r}: {case['header']}"
            )
    row.note = f"id: {ids.hits}/{ids.total}"
    row.misses += ids.misses
    return row


def _mha_lines(data) -> Row:
    row = Row("MHA: single Received lines", 100)
    for case in data["misc"]:
        if case.get("matcher") != "receivedEqual" or not case["header"]:
            continue
        line = case["header"].removeprefix("Received:")
        _mha_compare(row, parse_received(line), case["expected"], " ".join(line.split()))
    return row


def _mha_chains(data) -> Row:
    row = Row("MHA: chains with delays", 100)
    for case in data["received"]:
        lines = [header.removeprefix("Received:") for header in case["headers"]]
        hops = with_delays(parse_received(line) for line in reversed(lines))
        for index, expected in case["rows_oldest_first"].items():
            hop = hops[int(index)]
            _mha_compare(row, hop, expected, " ".join(expected["sourceHeader"].split())[10:])
            if expected["delaySort"] != -1:
                # MHA cuts each date to a millisecond before it subtracts.
                delay = hop.delay / timedelta(milliseconds=1) if hop.delay is not None else float("nan")
                near = abs(delay - expected["delaySort"]) < 1
                row.add(near, f"delay {delay} != {expected['delaySort']}: {case['describe']}")
    return row


def _mha_compare(row: Row, hop: Hop, expected, line: str) -> None:
    found = {
        "from": _with_info(hop.from_, hop.from_info),
        "by": _with_info(hop.by, hop.by_info),
        "with": hop.with_,
        "via": hop.via,
        "id": hop.id,
        "for": hop.for_,
        "dateNum": hop.date and _milliseconds(hop.date),
    }
    for key, value in found.items():
        # MHA keeps the comment in its `with`; ours is in `tls`.
        wanted = expected.get(key)
        wanted = wanted.split(" (")[0] if key == "with" and wanted else wanted
        tail = next(
            (why for (text, name), why in MHA_EXCEPTIONS.items() if name == key and line.startswith(text)), None
        )
        if tail and value != wanted:
            row.exceptions.append(f"{key}: {tail}")
            continue
        row.add(value == wanted, f"{key} {value!r} != {wanted!r}: {line}")


def _with_info(name: str | None, info: str | None) -> str | None:
    return f"{name} ({info})" if name and info else name


def _milliseconds(date: datetime) -> int:
    return (date - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _mha_dates(data) -> Row:
    row = Row("MHA: odd dates", 100)
    for case in data["received_dates"]:
        date = parse_received(case["header"].removeprefix("Received:")).date
        row.add(date is not None and _milliseconds(date) == case["expected"]["dateNum"], f"{date}: {case['header']}")
    return row


def _mha_reports(data) -> Row:
    row = Row("MHA: Forefront and Antispam reports", 100)
    for case in data["forefront_antispam"] + data["microsoft_antispam"]:
        report = parse_report(case["header"])
        rest = dict(item.split(":", 1) for item in case.get("unparsed", "").split(";") if ":" in item)
        for key, value in (case.get("rows", {}) | rest).items():
            if key not in ("source", "unparsed"):
                row.add(report.get(key, "") == value, f"{key} {report.get(key)!r} != {value!r}")
    return row


def _mimekit_received(data) -> Row:
    row = Row("MimeKit: Received", 100)
    for case in data["valid"]:
        hop = parse_received(case["input"])
        found = {
            "From": hop.from_,
            "FromTcpInfo": hop.from_info,
            "By": hop.by,
            "ByTcpInfo": hop.by_info,
            "Via": hop.via,
            "With": hop.with_,
            "Id": hop.id,
            "For": hop.for_,
        }
        for key, value in case["expected"].items():
            if key == "DateTime":
                row.add(hop.date == parse_date(value), f"{hop.date} != {value}")
            else:
                row.add(found[key] == value, f"{key} {found[key]!r} != {value!r}: {case['input']}")
    for case in data["malformed"]:
        # MimeKit refuses these; ours must still return, and invent no date.
        row.add(parse_received(case["input"]).date is None, case["input"])
    return row


def _mimekit_results(data) -> Row:
    row = Row("MimeKit: Authentication-Results", 100)
    for case in data["parse"]:
        parsed = parse_authentication_results(case["input"])
        for path, value in case["asserts"]:
            if path == "ToString()":
                row.exceptions.append("ToString(): nothing here is written back")
                continue
            found = _mimekit_value(parsed, path)
            row.add(found == value, f"{path} {found!r} != {value!r}: {case['input']}")
    return row


def _mimekit_value(parsed, path: str):
    if path == "AuthenticationServiceIdentifier":
        return parsed.authserv_id
    if path == "Instance.Value":
        return parsed.instance
    if path == "Results.Count":
        return len(parsed.results)
    index, name = path.removeprefix("Results[").split("].", 1)
    result = parsed.results[int(index)]
    if name == "Properties.Count":
        return len(result.properties)
    if name.startswith("Properties["):
        number, part = name.removeprefix("Properties[").split("].", 1)
        key, value = result.properties[int(number)]
        return {"PropertyType": key.split(".")[0], "Property": key.partition(".")[2], "Value": value}[part]
    names = {"ResultComment": "comment", "Office365AuthenticationServiceIdentifier": "authserv_id"}
    return getattr(result, names.get(name, name.lower()))


def _truncated_results(data) -> Row:
    row = Row("MimeKit: malformed Authentication-Results invent nothing", 100)
    for case in data["must_fail_or_degrade"]:
        parsed = parse_authentication_results(case["input"])
        # Wherever the text breaks off, at most the one complete `method=pass` before it may be read.
        complete = [("method", "pass")] if "method=pass" in case["input"] else []
        row.add([(one.method, one.result) for one in parsed.results] == complete, f"{parsed}: {case['input']}")
    return row


def _provider_results(data) -> Row:
    row = Row("Mail::AuthenticationResults: providers", 100)
    for case in data["cases"]:
        parsed = parse_authentication_results(case["header"].removeprefix("Authentication-Results:"))
        row.add(parsed.authserv_id == case["authserv_id"], f"{parsed.authserv_id} != {case['authserv_id']}")
        for expected in case["expect"]:
            found = sum(_holds(result, expected["chain"]) for result in parsed.results)
            row.add(found == expected["count"], f"{found} x {expected}: {case['provider']}")
    return row


def _holds(result: MethodResult, chain) -> bool:
    (method, outcome), *properties = chain
    return (result.method, result.result) == (method, outcome) and all(
        (name, value) in result.properties for name, value in properties
    )


def _spamassassin(data) -> Row:
    row = Row("SpamAssassin: by and client address", 97)
    for case in data["cases"]:
        if case["expected"] is None:
            continue
        hop = parse_received(case["input"])
        row.add(hop.by == case["expected"]["by"], f"by {hop.by!r}: {case['input']}")
        row.add(hop.from_ip == case["expected"]["ip"], f"ip {hop.from_ip!r}: {case['input']}")
    return row


def _mail_parser(data) -> Row:
    row = Row("mail-parser: Received", 100)
    for case in data["cases"]:
        hop = parse_received(case["header"])
        found = {"from": hop.from_, "with": hop.with_, "for": hop.for_, "envelope_from": hop.envelope_from}
        for how, key, value in case["asserts"]:
            if key == "date":
                row.add(hop.date is not None and hop.date.date() == parse_date(value).date(), f"{hop.date}: {value}")
                continue
            text = found[key] or ""
            row.add(
                text == value if how == "equals" else value in text, f"{key} {text!r} != {value!r}: {case['header']}"
            )
    return row
