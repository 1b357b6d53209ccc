// Brings the page up to date every 10 seconds, and says so when it cannot: an old page must not look like a new one.
"use strict";
const EVERY = 10000, PATIENCE = 8000;
const main = document.getElementById("main");
const live = document.getElementById("live");
const lost = document.getElementById("lost");
let shown = main.innerHTML;
let heard = new Date();

const clock = (moment) => moment.toISOString().slice(11, 19) + " UTC";

function keep(work) { // what a reader has opened or focused stays so
  const open = [...main.querySelectorAll("details[open][id]")].map((one) => one.id);
  const focused = main.contains(document.activeElement) ? document.activeElement : null;
  const mark = focused && (focused.id ? "#" + CSS.escape(focused.id)
    : focused.getAttribute("href") ? `[href="${CSS.escape(focused.getAttribute("href"))}"]`
    : focused.parentElement.id ? "#" + CSS.escape(focused.parentElement.id) + " > " + focused.tagName : null);
  work();
  for (const id of open) { const one = document.getElementById(id); if (one) one.open = true; }
  const again = mark && main.querySelector(mark);
  if (again) again.focus({ preventScroll: true });
}

async function update() {
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(PATIENCE), cache: "no-store" });
    if (!answer.ok) throw new Error(`the agent answered ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("main").innerHTML;
    if (fresh !== shown) keep(() => { main.replaceChildren(...page.getElementById("main").childNodes); });
    shown = fresh;
    document.title = page.title;
    heard = new Date();
    lost.hidden = true;
    document.body.classList.remove("old");
    live.textContent = "live";
  } catch (error) {
    const why = error.name === "TimeoutError" ? "the agent does not answer" : error.message;
    lost.textContent = `Not up to date since ${clock(heard)}: ${why}. What is below may be wrong.`;
    lost.hidden = false;
    document.body.classList.add("old");
    live.textContent = "";
  }
  setTimeout(update, EVERY);
}

if (main.dataset.still === undefined) { live.textContent = "live"; setTimeout(update, EVERY); }
