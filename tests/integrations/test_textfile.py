"""The textfile, as the node exporter reads it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import isnan
from pathlib import Path

import pytest
import structlog
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from support.agent_view import a_picture

from agent import log
from agent.clock import SystemClock
from agent.metrics import Collector
from agent.metrics.textfile import Textfile

pytestmark = pytest.mark.anyio


async def running(file: Path, metrics: Sequence[bytes] | None, holds: object) -> None:
    """Write until *holds*, then cancel as the agent does when it stops."""

    async def tell() -> Sequence[bytes] | None:
        return metrics

    task = asyncio.create_task(Textfile(file, 0.01, tell, SystemClock()).run())
    async with asyncio.timeout(30):
        while not holds():  # type: ignore[operator]
            await asyncio.sleep(0.002)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_the_file_appears_whole_readable_by_all_and_goes_away_with_the_agent(tmp_path: Path) -> None:
    file = tmp_path / "relaycanary.prom"
    seen: list[tuple[bytes, int]] = []

    def read() -> bool:
        if file.exists():
            seen.append((file.read_bytes(), stat.S_IMODE(file.stat().st_mode)))
        return len(seen) > 20

    before = os.umask(0o077)
    try:
        await running(file, [b"one 1\n", b"two 2\n" * 50_000], read)
    finally:
        os.umask(before)
    assert set(seen) == {(b"one 1\n" + b"two 2\n" * 50_000, 0o644)}
    assert list(tmp_path.iterdir()) == []


class Held(list[bytes]):
    """What is to be written, of which the writing waits in the middle."""

    def __init__(self) -> None:
        super().__init__([b"one 1\n"])
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        self.begun.set()
        assert self.go_on.wait(60)
        return super().__iter__()


async def test_an_agent_that_stops_while_it_writes_leaves_no_file_behind(tmp_path: Path) -> None:
    metrics = Held()

    async def tell() -> Sequence[bytes]:
        return metrics

    task = asyncio.create_task(Textfile(tmp_path / "relaycanary.prom", 60.0, tell, SystemClock()).run())
    assert await asyncio.to_thread(metrics.begun.wait, 60)
    task.cancel()
    await asyncio.sleep(0)
    metrics.go_on.set()
    with suppress(asyncio.CancelledError):
        await task
    assert list(tmp_path.iterdir()) == []


async def test_what_a_killed_agent_left_is_removed_before_there_is_anything_new_to_say(tmp_path: Path) -> None:
    file = tmp_path / "relaycanary.prom"
    file.write_text("relaycanary_check_verdict 1\n")
    await running(file, None, lambda: not file.exists())


async def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    file, other = tmp_path / "relaycanary.prom", tmp_path / "other"
    other.write_text("precious")
    (tmp_path / ".relaycanary.prom.new").symlink_to(other)
    await running(file, [b"one 1\n"], lambda: file.exists() and file.read_text() == "one 1\n")
    assert other.read_text() == "precious"


async def test_a_folder_that_is_not_there_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(json=True)
    count = 0

    def enough() -> bool:
        nonlocal count
        count += 1
        return count > 30

    await running(tmp_path / "gone" / "relaycanary.prom", [b"one 1\n"], enough)
    structlog.reset_defaults()
    (event,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert event["event"] == "textfile.not_written"
    assert event["why"] == "No such file or directory"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The file of an agent with a check, in the folder of a collector."""
    tmp_path.chmod(0o755)
    file = tmp_path / "relaycanary.prom"
    file.write_bytes(generate_latest(Collector(a_picture())))  # type: ignore[arg-type]
    return file


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Read all of ours; the node exporter writes the bound 90.0 as 90."""
    found = {}
    for one in (sample for family in text_string_to_metric_families(text) for sample in family.samples):
        labels = [f"{name}={float(value) if name == 'le' else value}" for name, value in sorted(one.labels.items())]
        found[one.name, *labels] = 0.5 if isnan(one.value) else one.value
    return {key: value for key, value in found.items() if key[0].startswith("relaycanary_")}


@pytest.mark.servers
def test_a_node_exporter_shows_every_sample_and_no_error(written: Path) -> None:
    command = ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile"]
    command += [f"--collector.textfile.directory={written.parent}", "--web.listen-address=127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as exporter:
        assert exporter.stderr is not None
        try:
            address = next(found[1] for line in exporter.stderr if (found := re.search(r"address=(127[.0-9:]+)", line)))
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as answer:
                shown = answer.read().decode()
        finally:
            exporter.terminate()

    assert samples(shown) == samples(written.read_text())
    assert "node_textfile_scrape_error 0" in shown
    assert f'node_textfile_mtime_seconds{{file="{written}"}}' in shown


@pytest.mark.servers
def test_promtool_finds_nothing_wrong_with_it(written: Path) -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=written.read_bytes(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
