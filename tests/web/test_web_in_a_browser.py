"""The pages in a real browser: nothing is refused by their own policy, nothing overflows, they stay true."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from web.accessibility import faults
from web.browser import ENTER, TAB, Browser, a_browser, missing
from web.scene import HOSTILE, a_scene, a_silence

from agent.report.archive import Archive

pytestmark = [pytest.mark.anyio, pytest.mark.servers]
PHONE, WALL = (390, 844), (1920, 1080)
BETWEEN = ((640, 900), (900, 900), (1024, 768), (1280, 800), (1366, 768))
_OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
_NARROWEST_REASON = "return Math.min(...[...document.querySelectorAll('.why')].map((one) => one.clientWidth))"


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
    found = ["/", "/checks/submission", "/checks/relay", "/checks/nothing", "/canaries/nothing", "/reports/"]
    for check in ("submission", "direct"):
        text = (await client.get(f"/checks/{check}")).text
        found.append(f"/canaries/{text.partition('/canaries/')[2].partition(chr(34))[0]}")
    return found


@pytest.mark.parametrize("said", ["550 5.7.64 TenantAttribution", HOSTILE], ids=["ordinary", "hostile"])
async def test_every_page_fits_a_phone_and_a_wall_in_light_and_dark_and_can_be_read_out(
    serving, agent, ledger, file, browser, said
):
    agent.view = await a_scene(ledger, said=said)
    await ledger.silence(a_silence(reason=said[:900]))
    Archive(file.parent / "reports").put("2023-W46", {"html": b"x", "pdf": b"x"})

    def look(url: str) -> None:
        browser.open(url)
        for size in (PHONE, *BETWEEN, WALL):
            browser.size(*size)
            assert browser.run(_OVERFLOW) == 0, (url, size)
            if browser.run("return document.querySelector('.why') !== null"):
                assert browser.run(_NARROWEST_REASON) > 320, (url, size)
        assert faults(browser) == [], url
        browser.dark()
        assert faults(browser) == [], f"{url} in the dark"
        browser.devtools("Emulation.setEmulatedMedia", features=[])
        assert browser.run("return document.querySelectorAll('main script, main style, main iframe').length") == 0
        # the page asks for news every ten seconds, and on a slow machine it is left while it does
        refused = [one for one in browser.complaints() if "404" not in one and "net::ERR" not in one]
        assert refused == [], url

    async with serving() as client:
        for path in await pages_of(client):
            await in_thread(look, client.url + path)


async def test_an_agent_without_anything_to_show_has_pages_that_fit_and_can_be_read_out_too(serving, browser):
    def look(url: str) -> str:
        browser.open(url)
        browser.size(*PHONE)
        assert browser.run(_OVERFLOW) == 0
        assert faults(browser) == [], url
        return browser.text()

    async with serving() as client:
        texts = [await in_thread(look, client.url + path) for path in ("/", "/reports/", "/checks/relay")]

    assert "No check is configured" in texts[0]
    assert "No such check" in texts[2]


async def test_what_cannot_be_read_out_would_be_found(serving, agent, ledger, browser):
    agent.view = await a_scene(ledger)

    def spoil(url: str) -> list[str]:
        browser.open(url)
        browser.run(
            "document.documentElement.removeAttribute('lang');"
            "document.querySelector('svg').removeAttribute('aria-label');"
            "document.querySelector('main a').textContent = '';"
            "document.querySelector('.why').style.color = '#bbb';"
        )
        return faults(browser)

    async with serving() as client:
        found = " ".join(await in_thread(spoil, client.url))

    for rule in ("html-has-lang", "svg-img-alt", "link-name", "color-contrast"):
        assert rule in found


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
