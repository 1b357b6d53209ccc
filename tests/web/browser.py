"""A headless Chromium, driven by its own driver over the WebDriver protocol (W3C), which is plain HTTP and JSON."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

_TRIES = 5
_READY = re.compile(r"successfully on port (\d+)")
TAB = "\ue004"
ENTER = "\ue007"


def missing() -> str | None:
    """Tell which program is not there."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not found: deploy/testbed/install installs them as root" if absent else None


class Browser:
    """One window."""

    def __init__(self, driver: str, session: str) -> None:
        self._url = f"{driver}/session/{session}"
        self._client = httpx.Client(timeout=60)

    def _post(self, what: str, **content: Any) -> Any:
        answer = self._client.post(f"{self._url}/{what}", json=content)
        assert answer.status_code == 200, answer.text
        return answer.json()["value"]

    def open(self, url: str) -> None:
        self._post("url", url=url)

    def run(self, script: str, *arguments: object) -> Any:
        """Run a script in the page; it may return a promise."""
        return self._post("execute/sync", script=script, args=list(arguments))

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self._post("goog/cdp/execute", cmd=command, params=parameters)

    def size(self, width: int, height: int) -> None:
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def dark(self) -> None:
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])

    def press(self, key: str) -> None:
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._post("actions", actions=[{"type": "key", "id": "keys", "actions": actions}])

    def text(self) -> str:
        return str(self.run("return document.body.innerText"))

    def wait(self, condition: str) -> None:
        """Wait until a condition holds in the page; the page itself tells, at each of its changes."""
        self.run(
            f"""return new Promise((resolve, reject) => {{
                const look = () => {{ if ({condition}) {{ watch.disconnect(); resolve(true); }} }};
                const watch = new MutationObserver(look);
                watch.observe(document, {{subtree: true, childList: true, attributes: true, characterData: true}});
                look();
            }})"""
        )

    def complaints(self) -> list[str]:
        """Everything that the browser complained about: refused scripts, styles, connections."""
        return [one["message"] for one in self._post("se/log", type="browser") if "favicon" not in one["message"]]

    def close(self) -> None:
        self._client.delete(self._url)
        self._client.close()


def _a_driver() -> tuple[subprocess.Popen[str], str]:
    """Start a driver and return it with its port. One that finds its port taken, by IPv6, ends: another is started."""
    for _ in range(_TRIES):
        driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        assert driver.stdout is not None
        port = next((found[1] for line in driver.stdout if (found := _READY.search(line))), None)
        if port is not None:
            return driver, port
        driver.wait(20)
        driver.stdout.close()
    raise AssertionError(f"chromedriver ended {_TRIES} times without a port")


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Start a driver on a port of its own choice, and a browser with a profile of its own."""
    driver, port = _a_driver()
    profile = Path(tempfile.mkdtemp(prefix="relaycanary-browser-"))
    try:
        arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
            f"--user-data-dir={profile}",
        ]
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        url = f"http://127.0.0.1:{port}"
        answer = httpx.post(f"{url}/session", json={"capabilities": {"alwaysMatch": wanted}}, timeout=120)
        assert answer.status_code == 200, answer.text
        browser = Browser(url, answer.json()["value"]["sessionId"])
        try:
            yield browser
        finally:
            browser.close()
    finally:
        driver.terminate()
        driver.wait(20)
        if driver.stdout is not None:
            driver.stdout.close()
        shutil.rmtree(profile, ignore_errors=True)
