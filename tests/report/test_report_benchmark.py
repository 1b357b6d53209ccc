"""The benchmark of the report and the status page measures what it says, on a ledger that both can read."""

from __future__ import annotations

from soak import reading
from soak.big_ledger import BigLedger, some_checks

from agent.ledger import inspect


def test_a_small_ledger_of_the_benchmark_has_what_it_says_and_is_read_by_report_and_page(tmp_path, capsys):
    reading.run(8, 3600, 1, tmp_path)  # what it takes is no matter here
    said = capsys.readouterr().out
    assert "1344 canaries of 8 checks" in said
    for line in ("report of one week, json", "report of one week, pdf", "status page, the median look"):
        assert line in said
    assert (tmp_path / "week.pdf").read_bytes().startswith(b"%PDF")


def test_the_canaries_of_the_benchmark_are_real_and_some_paths_fail(tmp_path):
    big = BigLedger(tmp_path / "ledger.db", 1_795_392_000, some_checks(8, 3600), 3600, 1)
    assert big.build() == 8 * 168
    with inspect.exported(big.url) as export:
        canaries = list(export.canaries)
    assert {one["simulated"] for one in canaries} == {False}
    assert {one["outcome"] for one in canaries} == {"delivered", "rejected", "junk"}
