"""What axe-core says about a page: the rules of WCAG 2.1 A and AA, and those that are good practice."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from web.browser import Browser

_RUN = """
return axe.run(document, {resultTypes: ["violations"]}).then((found) => found.violations
  .filter((one) => one.impact === "serious" || one.impact === "critical" || one.impact === "moderate")
  .flatMap((one) => one.nodes.map((node) => `${one.id} (${one.impact}): ${one.help}: ${node.html.slice(0, 160)}`)))
"""


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def faults(browser: Browser) -> list[str]:
    """List all that is wrong beyond a trifle, in the page as it is shown now."""
    if not browser.run("return typeof axe === 'object'"):
        browser.run(_axe())
    return list(browser.run(_RUN))
