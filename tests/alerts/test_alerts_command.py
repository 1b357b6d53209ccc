"""``relaycanary alerts test``: an administrator proves that paging works, by the exit code too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from support.receiver import Receiver

ROOT = Path(__file__).parents[2]
MINIMAL = (ROOT / "tests" / "data" / "settings" / "good" / "minimal.yaml").read_text()


def run(folder: Path, alerts: str, *more: str) -> subprocess.CompletedProcess[str]:
    for name, secret in (("k1", "0123456789abcdef" * 2), ("outside", "hunter2"), ("token", "eyJ0")):
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
    file = folder / "relaycanary.yaml"
    file.write_text(f"{MINIMAL}\n{alerts}\n")
    command = [sys.executable, "-m", "agent", "alerts", "test", "-c", str(file), *more]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RELAYCANARY")}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)


def channels(folder: Path, **urls: str) -> str:
    for name, url in urls.items():
        (folder / name).write_text(url)
        (folder / name).chmod(0o600)
    listed = ", ".join(f"{{name: {name}, kind: webhook, url: {{file: {name}}}}}" for name in urls)
    return f"alerts: {{channels: [{listed}]}}"


def test_every_channel_is_tried_and_told_of(tmp_path: Path, receiver: Receiver) -> None:
    done = run(tmp_path, channels(tmp_path, good=f"{receiver.url}/a-secret", bad="http://127.0.0.1:9/a-secret"))
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "good (webhook): sent",
        "bad (webhook): NOT SENT: no TCP connection to 127.0.0.1: Connection refused",
    ]
    assert "a-secret" not in done.stdout + done.stderr
    (got,) = receiver.got
    assert (got.json["event"], got.json["severity"]) == ("test", "info")
    assert "Nothing is wrong" in json.dumps(got.json)


def test_one_channel_may_be_tried_alone_and_success_exits_0(tmp_path: Path, receiver: Receiver) -> None:
    both = channels(tmp_path, good=receiver.url, bad="http://127.0.0.1:9/x")
    done = run(tmp_path, both, "--channel", "good")
    assert (done.returncode, done.stdout) == (0, "good (webhook): sent\n")
    told = json.loads(run(tmp_path, both, "--channel", "bad", "--json").stdout)["channels"]
    assert [(one["channel"], one["kind"], one["sent"]) for one in told] == [("bad", "webhook", False)]
    unknown = run(tmp_path, both, "--channel", "nobody")
    assert unknown.returncode == 1
    assert "there is no channel nobody; there is good, bad" in unknown.stderr


def test_without_a_channel_nobody_is_told_and_that_is_said(tmp_path: Path) -> None:
    done = run(tmp_path, "")
    assert done.returncode == 1
    assert "alerts.channels is empty" in done.stderr
