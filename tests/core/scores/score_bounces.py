"""Scores of the bounce parser on the bounce corpora: each function yields one row of the table."""

import json
from collections.abc import Iterator
from pathlib import Path

from table import Row

from checks.core.bounce import Kind, Notification, classify, may_be_bounce
from checks.core.headers.fields import split_message


def score_bounces(folder: Path) -> Iterator[Row]:
    sisimai = folder / "sisimai"
    expected = json.loads((sisimai / "expected.json").read_text(encoding="utf-8"))
    strict = json.loads((sisimai / "strict_cases.json").read_text(encoding="utf-8"))
    read = {name: classify((sisimai / "emails" / name).read_bytes()) for name in expected}
    yield from _strict("Sisimai, literal_and_dsn", strict["literal_and_dsn"], expected, read, (99, 97, 100))
    yield from _strict("Sisimai, literal", strict["literal"], expected, read, (97, 97, 97))
    yield _recipients("Sisimai, all: recipient", expected, read)
    yield _kinds(expected, read)
    yield _not_bounces(sisimai / "not-a-bounce")
    yield from _flufl(folder / "flufl.bounce")
    yield _pretest(folder)


def _strict(name: str, names, expected, read: dict[str, Notification], floors) -> Iterator[Row]:
    status, reply, recipient = (
        Row(f"{name}: {what}", floor) for what, floor in zip(("status", "reply code", "recipient"), floors, strict=True)
    )
    for file in names:
        wanted = expected[file]["expected"]
        truth = expected[file]["perl_sisimai_5_dump"] or []
        for index, row in enumerate(wanted):
            address = truth[index]["recipient"] if index < len(truth) else None
            found = _find(read[file], address, index)
            status.add(
                (found.status if found else None) == (row["status"] or None), f"{file}: {found} != {row['status']}"
            )
            code = str(found.code) if found and found.code else None
            reply.add(code == (row["replycode"] or None), f"{file}: {found} != {row['replycode']}")
            if address and row["reason"] not in ("feedback", "vacation"):
                known = {one.address.lower() for one in read[file].recipients}
                recipient.add(address.lower() in known, f"{file}: {address} not in {known}")
    yield from (status, reply, recipient)


def _find(notification: Notification, address: str | None, index: int):
    for recipient in notification.recipients:
        if address and address.lower() in (recipient.address.lower(), (recipient.original_address or "").lower()):
            return recipient
    return notification.recipients[index] if index < len(notification.recipients) else None


def _recipients(name: str, expected, read: dict[str, Notification]) -> Row:
    row = Row(name, 95)
    for file, case in expected.items():
        for truth in case["perl_sisimai_5_dump"] or []:
            if truth["reason"] not in ("feedback", "vacation") and "libsisimai.org.invalid" not in truth["recipient"]:
                known = {one.address.lower() for one in read[file].recipients}
                row.add(truth["recipient"].lower() in known, f"{file}: {truth['recipient']} not in {known}")
    return row


def _kinds(expected, read: dict[str, Notification]) -> Row:
    row = Row("Sisimai, all: kind", 95)
    special = {"feedback": (Kind.FEEDBACK_REPORT,), "vacation": (Kind.AUTO_REPLY,), "delivered": (Kind.OTHER,)}
    for file, case in expected.items():
        if not case["expected"]:
            continue
        wanted = special.get(case["expected"][0]["reason"], (Kind.BOUNCE, Kind.DELAYED))
        row.add(read[file].kind in wanted, f"{file}: {read[file].kind} for {case['expected'][0]['reason']}")
    return row


def _not_bounces(folder: Path) -> Row:
    row = Row("Sisimai: not a bounce", 100)
    for path in sorted(folder.iterdir()):
        kind = classify(path.read_bytes()).kind
        row.add(kind in (Kind.OTHER, Kind.AUTO_REPLY), f"{path.name}: {kind}")
    return row


def _flufl(folder: Path) -> Iterator[Row]:
    addresses, finality = Row("flufl.bounce: addresses", 95), Row("flufl.bounce: temporary or permanent", 95)
    for file, case in json.loads((folder / "expected.json").read_text(encoding="utf-8")).items():
        notification = classify((folder / "emails" / file).read_bytes())
        found = {one.address.lower() for one in notification.recipients}
        found |= {(one.original_address or one.address).lower() for one in notification.recipients}
        for expected in case["expected"]:
            wanted = {address.lower() for address in expected["addresses"]}
            addresses.add(wanted <= found, f"{file}: {found} lacks {wanted - found}")
            if wanted:
                kind = Kind.DELAYED if expected["temporary"] else Kind.BOUNCE
                finality.add(notification.kind is kind, f"{file}: {notification.kind} != {kind}")
    yield from (addresses, finality)


def _pretest(folder: Path) -> Row:
    """Every message that `classify` takes for a notice must pass the test that is made on its headers alone."""
    row = Row("All: may_be_bounce lets every notice through", 100)
    for path in sorted(folder.glob("*/emails/*")):
        message = path.read_bytes()
        if classify(message).kind in (Kind.BOUNCE, Kind.DELAYED):
            row.add(may_be_bounce(split_message(message)[0]), str(path.name))
    return row
