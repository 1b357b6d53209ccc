"""A reload that breaks in the middle is said to have failed: in the answer, in the log and in the metric."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.clock import SystemClock
from agent.commands import run
from agent.config.load import load
from checks.lab import Lab


def test_whatever_a_plug_in_raises_the_old_settings_stay_and_the_metric_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks(*_: Any) -> None:
        raise ValueError("a-secret-of-the-plug-in")

    applied: list[Any] = []
    pipeline = SimpleNamespace(reload_successful=True, apply=applied.append)
    with Lab() as lab, capture_logs() as logs:
        settings = load(lab.info.settings)
        monkeypatch.setattr(run, "make_parts", breaks)
        reloader = run._Reloader(lab.info.settings, settings, SystemClock(), pipeline, SimpleNamespace())  # type: ignore[arg-type]
        problem = asyncio.run(reloader.reload())
    assert problem == "taking the settings over failed: ValueError"
    assert (pipeline.reload_successful, applied, reloader.settings) == (False, [], settings)
    assert [one["event"] for one in logs if one["log_level"] == "error"] == ["reload.failed", "settings.not_reloaded"]
