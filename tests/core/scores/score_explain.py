"""Scores of the whole way that outsiders use: what `relaycanary explain --json` prints about the corpora."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from table import Row

from agent.commands.explaining.explanation import as_json, explain_input

NO_BOUNCE = ("feedback", "vacation", "delivered")


def score_explain(folder: Path) -> Iterator[Row]:
    yield from _bounces(folder / "bounces" / "sisimai")
    yield from _finality(folder / "bounces" / "flufl.bounce")
    yield from _reports(folder / "bounces")
    yield _hops(folder / "headers" / "received_agreement.json")
    yield from _results(folder / "headers" / "mail-authenticationresults" / "authentication_results.json")
    yield _replies(folder / "bounces" / "exo_smtp_replies.json")


def _explained(content: bytes | str):
    return json.loads(json.dumps(as_json(explain_input(content))))


def _bounces(folder: Path) -> Iterator[Row]:
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    strict = json.loads((folder / "strict_cases.json").read_text(encoding="utf-8"))
    read = {name: _explained((folder / "emails" / name).read_bytes()) for name in expected}
    for name, floors in (("literal_and_dsn", (99, 97, 100)), ("literal", (97, 97, 97))):
        rows = [
            Row(f"explain, {name}: {what}", floor)
            for what, floor in zip(("status", "reply code", "recipient"), floors, strict=True)
        ]
        for file in strict[name]:
            _compare(rows, file, read[file], expected[file])
        yield from rows
    kinds = Row("explain, Sisimai: kind", 95)
    for file, case in expected.items():
        if case["expected"]:
            wanted = "message" if case["expected"][0]["reason"] in NO_BOUNCE else "bounce"
            kinds.add(read[file]["kind"] == wanted, f"{file}: {read[file]['kind']} != {wanted}")
    yield kinds
    innocent = Row("explain, not a bounce", 100)
    for path in sorted((folder / "not-a-bounce").iterdir()):
        innocent.add(_explained(path.read_bytes())["kind"] == "message", path.name)
    yield innocent


def _compare(rows, file, found, case) -> None:
    status, reply, recipient = rows
    truth = case["perl_sisimai_5_dump"] or []
    for index, row in enumerate(case["expected"]):
        address = truth[index]["recipient"].lower() if index < len(truth) else None
        told = found["recipients"]
        one = next((one for one in told if one["address"].lower() == address), None)
        one = one or (told[index] if index < len(told) else {})
        status.add((one.get("status") or "") == row["status"], f"{file}: {one} != {row['status']}")
        code = str(one.get("code") or "")
        reply.add(code == row["replycode"], f"{file}: {one} != {row['replycode']}")
        if address and row["reason"] not in NO_BOUNCE:
            known = {one["address"].lower() for one in told}
            recipient.add(address in known, f"{file}: {address} not in {known}")


def _finality(folder: Path) -> Iterator[Row]:
    row = Row("explain, flufl.bounce: final or not", 95)
    for file, case in json.loads((folder / "expected.json").read_text(encoding="utf-8")).items():
        found = _explained((folder / "emails" / file).read_bytes())
        for expected in case["expected"]:
            if expected["addresses"]:
                row.add(found["final"] is not expected["temporary"], f"{file}: {found['final']}")
    yield row


def _reports(folder: Path) -> Iterator[Row]:
    """The delivery status reports that the standard library reads, field by field."""
    row = Row("explain, all reports: recipient, action and status as written", 97)
    for corpus in ("sisimai", "flanker", "mimekit"):
        for file, case in json.loads((folder / corpus / "expected.json").read_text(encoding="utf-8")).items():
            found = _explained((folder / corpus / "emails" / file).read_bytes())
            for report in case["facts"]["dsn_recipients"]:
                written = (report.get("final-recipient") or "").partition(";")[2].strip().strip("<>").lower()
                if "@" not in written or written.startswith("xxx"):
                    continue
                one = next((one for one in found["recipients"] if one["address"].lower() == written), None)
                row.add(one is not None, f"{corpus}/{file}: {written} not in {found['recipients']}")
                if one and report.get("action") in ("failed", "delayed", "delivered", "relayed", "expanded"):
                    row.add(one["action"] == report["action"], f"{corpus}/{file}: {one} != {report['action']}")
    yield row


def _hops(path: Path) -> Row:
    row = Row("explain, Received: by, from and time", 99.5)
    for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
        hops = _explained(f"Received: {case['header']}\nFrom: a@b.example\nSubject: x\n\nx\n".encode())["hops"]
        found = hops[0] if hops else {}
        date = found.get("date") and datetime.fromisoformat(found["date"])
        for key, value in case["agreed"].items():
            if key in ("from", "by"):
                row.add(found.get(key) == value, f"{key} {found.get(key)!r} != {value!r}: {case['header']}")
            elif key == "epoch":
                row.add(bool(date) and date.timestamp() == value, f"{date} != {value}: {case['header']}")
    return row


def _results(path: Path) -> Iterator[Row]:
    row = Row("explain, authentication: what providers stamp", 100)
    for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
        value = case["header"].removeprefix("Authentication-Results:")
        found = _explained(f"Authentication-Results:{value}\nFrom: a@b.example\nSubject: x\n\nx\n")["authentication"]
        for expected in case["expect"]:
            method = expected["chain"][0][0]
            if method in found and expected["count"]:
                results = {
                    one["chain"][0][1] for one in case["expect"] if one["chain"][0][0] == method and one["count"]
                }
                row.add(found[method] in results, f"{method} {found[method]} not in {results}: {case['provider']}")
    yield row


def _replies(path: Path) -> Row:
    row = Row("explain, Exchange Online's replies: code and enhanced code", 99)
    for case in json.loads(path.read_text(encoding="utf-8"))["replies"]:
        if case.get("kind") == "reply":
            said = _explained(case["text"])["reply"] or {}
            row.add(str(said.get("code")) == case["reply"], f"{said} != {case['reply']}: {case['text']}")
            row.add((said.get("enhanced") or "") == (case["enhanced"] or ""), f"{said}: {case['text']}")
    return row
