// The page of the demo in a real browser: it is built from the widget, and shows what happens and why.
import assert from "node:assert/strict";
import { Chromium, DESKTOP, PHONE } from "./chromium.mjs";

const [browser, url] = process.argv.slice(2);
const SHADOW = "document.querySelector('phlo-verify').shadowRoot";
const text = (selector) => `document.querySelector('${selector}').textContent`;

async function show(chromium, name, size, suffix) {
  const page = await chromium.open(`${url}/demo`, { size });
  await page.until(`${SHADOW}.querySelector('form') && document.querySelector('#chips input')`, "the page");
  assert.equal(await page.evaluate("document.querySelector('#safe').checkVisibility()"), true, "nothing is really sent, it says");
  assert.equal(await page.evaluate("new Set([...document.querySelectorAll('#chips input')].map((i) => i.type + i.name)).size"), 1, "one group of radios");
  await page.evaluate(`document.querySelector('#chips [value="${suffix}"]').click()`);
  assert.equal(await page.evaluate("document.querySelector('phlo-verify').number"), `+1415555${suffix}`);

  await page.evaluate(`${SHADOW}.querySelector('button').click()`);
  const read = await page.until("[...document.querySelectorAll('.note .spoken')].map((p) => p.textContent).find(Boolean)", "the call");
  await page.type(read === "000000" ? "111111" : "000000");
  assert.equal(await page.until(`${SHADOW}.querySelector('#code-error').textContent`), "Wrong code. Tries left: 4.");
  await page.until(`${text("#fact-checks")} === '4'`, "tries left");
  await page.type(read); // no button: a full code submits itself
  assert.match(await page.until("!document.querySelector('#done').hidden && document.querySelector('#done-text').textContent"), /came by call/);

  assert.equal(await page.evaluate("[...document.querySelectorAll('.entry details:not([hidden])')].some((d) => d.open)"), false, "folded");
  assert.match(await page.until("document.querySelector('.entry details:not([hidden]) p')?.textContent"), /on (AT&T|T-Mobile|Verizon) \(310-/);
  await page.evaluate("document.querySelector('#inputs').click()");
  assert.equal(await page.evaluate("document.documentElement.scrollWidth > innerWidth"), false, "nothing is clipped");
  await page.until(`${text("#learned")}.startsWith('After ')`, "it has learned");
  await page.evaluate("document.querySelector('#forget').click()");
  await page.until(`${text("#learned")}.includes('Nothing is learned yet')`, "it has forgotten");
  assert.deepEqual(page.complaints, [], "errors, and what the policy forbids");
  await page.close();
  console.log(`ok ${name}`);
}

const chromium = new Chromium(browser);
try {
  await show(chromium, "desktop", DESKTOP, "0101");
  await show(chromium, "phone", PHONE, "0106");
} finally { await chromium.close(); }
