"""The pages in a real browser: nothing is refused by their own policy, nothing overflows, they stay true."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from web.browser import ENTER, TAB, Browser, a_browser, missing
from web.scene import HOSTILE, a_scene

pytestmark = [pytest.mark.anyio, pytest.mark.servers]
PHONE, WALL = (390, 844), (1920, 1080)
_OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
# What axe-core calls serious, as far as a page of text, links and tables can break it.
_FAULTS = """
const faults = [], say = (what, one) => faults.push(what + ": " + one.outerHTML.slice(0, 120));
const named = (one) => (one.getAttribute("aria-label") || one.innerText
  || one.querySelector("img[alt]:not([alt=''])") || "");
if (!document.documentElement.lang) faults.push("no language");
if (!document.title) faults.push("no title");
if (document.querySelectorAll("main").length !== 1) faults.push("not one main");
if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
for (const one of document.querySelectorAll("a, button, summary")) if (!named(one)) say("no name", one);
for (const one of document.querySelectorAll("svg"))
  if (one.getAttribute("role") !== "img" || !one.getAttribute("aria-label")) say("no label", one);
for (const one of document.querySelectorAll("img")) if (!one.hasAttribute("alt")) say("no alternative", one);
for (const one of document.querySelectorAll("section")) {
  const by = one.getAttribute("aria-labelledby");
  if (by ? !document.getElementById(by) : !one.getAttribute("aria-label")) say("unlabelled section", one);
}
for (const one of document.querySelectorAll("thead th")) if (one.scope !== "col") say("no scope", one);
let level = 1;
for (const one of document.querySelectorAll("h1, h2, h3")) {
  const now = Number(one.tagName[1]);
  if (now > level + 1) say("heading skips a level", one);
  level = now;
}
const light = (rgb) => { const [r, g, b] = rgb.match(/[0-9.]+/g).slice(0, 3).map((v) => v / 255)
  .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = (one) => { for (let at = one; at; at = at.parentElement) {
  const colour = getComputedStyle(at).backgroundColor;
  if (!/, 0\\)$/.test(colour)) return colour; } return "rgb(255,255,255)"; };
for (const one of document.querySelectorAll("main *, header *, footer *")) {
  if (![...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) || one.closest("svg")) continue;
  const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x);
  if ((a + 0.05) / (b + 0.05) < 4.5) say("contrast " + ((a + 0.05) / (b + 0.05)).toFixed(2), one);
}
return faults;
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if (absent := missing()) is not None:
        pytest.skip(absent)
    with a_browser() as opened:
        yield opened


async def in_thread(work, *arguments):
    return await asyncio.to_thread(work, *arguments)


async def pages_of(client) -> list[str]:
    """Every kind of page, with the newest canary that failed and the newest that was seen."""
    found = ["/", "/checks/submission", "/checks/nothing", "/canaries/nothing"]
    for check in ("submission", "direct"):
        text = (await client.get(f"/checks/{check}")).text
        found.append(f"/canaries/{text.partition('/canaries/')[2].partition(chr(34))[0]}")
    return found


@pytest.mark.parametrize("said", ["550 5.7.64 TenantAttribution", HOSTILE], ids=["ordinary", "hostile"])
async def test_every_page_fits_a_phone_and_a_wall_in_light_and_dark_and_can_be_read_out(
    serving, agent, ledger, browser, said
):
    agent.view = await a_scene(ledger, said=said)

    def look(url: str) -> None:
        browser.open(url)
        for size in (PHONE, WALL):
            browser.size(*size)
            assert browser.run(_OVERFLOW) == 0, (url, size)
        assert browser.run(_FAULTS) == [], url
        browser.dark()
        assert browser.run(_FAULTS) == [], f"{url} in the dark"
        browser.devtools("Emulation.setEmulatedMedia", features=[])
        assert browser.run("return document.querySelectorAll('main script, main style, main iframe').length") == 0
        refused = [one for one in browser.complaints() if "404" not in one]
        assert refused == [], url

    async with serving() as client:
        for path in await pages_of(client):
            await in_thread(look, client.url + path)


async def test_an_agent_without_checks_has_a_page_that_fits_too(serving, browser):
    async with serving() as client:
        await in_thread(browser.open, client.url)
        browser.size(*PHONE)
        assert await in_thread(browser.run, _OVERFLOW) == 0
        assert "No check is configured" in await in_thread(browser.text)


async def test_hostile_words_run_nothing(serving, agent, ledger, browser):
    agent.view = await a_scene(
        ledger, said="<img src=x onerror=document.title='taken'><script>document.title='x'</script>"
    )
    async with serving() as client:
        for path in await pages_of(client):
            await in_thread(browser.open, client.url + path)
            title = await in_thread(browser.run, "return document.title")
            assert title.endswith("- relaycanary")
            assert await in_thread(browser.run, "return document.querySelectorAll('main img').length") == 0


async def test_the_page_renews_itself_and_what_was_opened_and_focused_stays_so(serving, agent, ledger, browser):
    agent.view = await a_scene(ledger)
    async with serving() as client:
        await in_thread(browser.open, client.url)
        before = await in_thread(
            browser.run,
            "document.querySelector('details').open = true;"
            "document.querySelector('main a[href^=\"/checks/\"]').focus();"
            "return document.querySelector('main').getBoundingClientRect().top",
        )
        agent.view = replace(agent.view, site="rtm2")
        await in_thread(browser.wait, "document.body.innerText.includes('site rtm2')")
        after = await in_thread(
            browser.run,
            "return [document.querySelector('details').open, document.activeElement.getAttribute('href'),"
            " document.querySelector('main').getBoundingClientRect().top]",
        )

    assert after[0] is True
    assert after[1].startswith("/checks/")
    assert after[2] == before


async def test_a_page_that_cannot_be_renewed_says_since_when(serving, agent, ledger, browser):
    agent.view = await a_scene(ledger)
    async with serving() as client:
        await in_thread(browser.open, client.url)
        assert "Not up to date" not in await in_thread(browser.text)
    await in_thread(browser.wait, "!document.getElementById('lost').hidden")
    assert "Not up to date since" in await in_thread(browser.text)
    assert await in_thread(browser.run, "return document.body.classList.contains('old')")


async def test_a_keyboard_leads_from_the_status_to_the_evidence(serving, agent, ledger, browser):
    agent.view = await a_scene(ledger)

    def follow(start: str) -> None:
        for _ in range(60):
            browser.press(TAB)
            if browser.run(
                "return (document.activeElement.getAttribute('href') || '').startsWith(arguments[0])", start
            ):
                shown = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
                assert shown != "none"
                browser.press(ENTER)
                browser.wait(f"location.pathname.startsWith('{start}') && document.readyState === 'complete'")
                return
        raise AssertionError(start)

    async with serving() as client:
        await in_thread(browser.open, client.url)
        await in_thread(browser.press, TAB)
        assert await in_thread(browser.run, "return document.activeElement.className") == "skip"
        await in_thread(follow, "/checks/")
        await in_thread(follow, "/canaries/")
        assert "Timeline" in await in_thread(browser.text)
