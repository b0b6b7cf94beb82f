// The widget in a real browser, on a page of another origin. widget.rs in tests/processes starts what it talks to.
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { Balancer } from "./balancer.mjs";
import { Chromium, DESKTOP, PATIENCE, PHONE } from "./chromium.mjs";
import { Site } from "./site.mjs";

const SHADOW = "document.querySelector('phlo-verify').shadowRoot";
const LIVE = `${SHADOW}.querySelector('.live').textContent`;
const STATUS = `${SHADOW}.querySelector('[role=status]').textContent`;
const is_focused = (id) => `${SHADOW}.activeElement?.id === '${id}'`;
const click = (words) => `[...${SHADOW}.querySelectorAll('button')].find((b) => b.checkVisibility() && b.textContent.startsWith('${words}')).click()`;

const balancer = new Balancer();
// Its URL is the one that Plivo calls back, so the services start after it.
console.log(await balancer.listen());
const line = await new Promise((resolve) => createInterface({ input: process.stdin }).once("line", resolve));
const { browser, replicas, plivo, key } = JSON.parse(line);
balancer.replicas = replicas.map(({ url }) => url);
const site = new Site(balancer.url, key);
await site.listen();
const chromium = new Chromium(browser);

async function open(size, attributes = "", options = {}) {
  const page = await chromium.open(`${site.url}/?with=${encodeURIComponent(attributes)}`, { size, ...options });
  await page.until(`${SHADOW}.querySelector('form')`, "the widget");
  return page;
}
async function handset(to) { return (await fetch(`${plivo}/handset/${to}`)).json(); }
async function until(what, condition) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
function received(to, kind) { return until(`a code by ${kind}`, async () => (await handset(to))[kind].find(({ code }) => code)?.code); }
// By keyboard alone: the number, Enter, and the focus is in the code.
async function send(page, number) {
  await page.evaluate(`${SHADOW}.querySelector('#number').focus()`);
  await page.type(number);
  await page.press("Enter", "\r");
  await page.until(is_focused("code"), "the focus in the code");
}
async function verified(page, channel) {
  await page.until("window.verified", "verified");
  assert.equal(await page.evaluate("window.verified.result"), "verified");
  assert.equal(await page.evaluate("window.verified.channel"), channel);
  assert.match(await page.evaluate(`${SHADOW}.querySelector('.done').textContent`), /Number verified/);
  assert.equal(await page.evaluate(`${SHADOW}.activeElement.className`), "done");
  assert.equal(await page.evaluate("document.documentElement.scrollWidth > innerWidth"), false, "the page scrolls sideways");
  assert.deepEqual(page.complaints, [], "errors, and what the policy forbids");
  await page.close();
}

const tests = {
  async "a delivered text, a wrong code, and a text pasted as it came"(size, area) {
    const page = await open(size, "country=US");
    await send(page, `(${area}) 555-0100`); // without a calling code: that of the country is taken
    await page.until(`${LIVE}.startsWith('Text delivered · we call in ')`, "delivered");
    await page.until(`${STATUS}.startsWith('Text delivered')`, "it is read out");
    const code = await received(`1${area}5550100`, "messages");
    await page.type(code === "000000" ? "111111" : "000000");
    await page.until(`${SHADOW}.querySelector('#code-error').textContent === 'Wrong code. Tries left: 4.'`, "the wrong code");
    assert.equal(await page.evaluate(`${SHADOW}.querySelector('#code').ariaInvalid`), "true");
    await page.type(`${code} is your code. It is valid for 5 minutes.`);
    await verified(page, "sms");
  },
  async "a refused text: called at once"(size, area) {
    const page = await open(size);
    await send(page, `+1${area}5550101`);
    await page.until(`${LIVE} === 'We are calling you' || ${LIVE} === 'The code was read out'`, "the call");
    await page.type(await received(`1${area}5550101`, "calls"));
    await verified(page, "call");
  },
  async "silence; on the phone the replica that sends the stream is killed"(size, area, is_last) {
    const page = await open(size);
    const opened = balancer.streams;
    await send(page, `+1${area}5550103`);
    await page.until(`${LIVE}.startsWith('Text sent · we call in ')`, "sent");
    if (is_last) {
      await until("a stream", () => balancer.streams > opened);
      const before = balancer.resumed;
      process.kill(replicas[0].pid, "SIGKILL");
      await page.until(`${LIVE}.startsWith('Text sent')`);
      await until("a stream with Last-Event-ID", () => balancer.resumed > before);
    }
    await page.until(`${LIVE} === 'We are calling you' || ${LIVE} === 'The code was read out'`, "the call");
    await page.type(await received(`1${area}5550103`, "calls"));
    await verified(page, "call");
  },
  async "a false report of delivery: the person asks for a call"(size, area) {
    const page = await open(size);
    await send(page, `+1${area}5550105`);
    await page.until(`${LIVE}.startsWith('Text delivered')`, "delivered");
    assert.deepEqual((await handset(`1${area}5550105`)).messages, []);
    await page.evaluate(click("Call me"));
    await page.until(`${LIVE} === 'We are calling you' || ${LIVE} === 'The code was read out'`, "the call");
    await page.type(await received(`1${area}5550105`, "calls"));
    await verified(page, "call");
  },
  async "no stream can be had: the state is read"(size, area) {
    const page = await open(size);
    balancer.refuses_streams = true;
    await send(page, `+1${area}5550100`);
    await page.until(`${LIVE}.startsWith('Text delivered')`, "delivered");
    balancer.refuses_streams = false;
    await page.type(await received(`1${area}5550100`, "messages"));
    await page.until("window.verified", "verified");
    await page.close();
  },
  async "a number that is none, in Arabic, from right to left"(size, area) {
    const page = await open(size, "locale=ar country=EG");
    assert.equal(await page.evaluate(`getComputedStyle(${SHADOW}.querySelector('label')).direction`), "rtl");
    await page.evaluate(`${SHADOW}.querySelector('#number').focus()`);
    await page.type("12");
    await page.press("Enter", "\r");
    const error = `${SHADOW}.querySelector('#number-error').textContent`;
    assert.match(await page.until(error), /[\u0600-\u06ff]{3}/);
    await page.evaluate(`document.querySelector('phlo-verify').number = '+1${area}5550104'`);
    await page.press("Enter", "\r");
    await page.until(is_focused("code"), "the focus in the code");
    assert.equal(await page.evaluate("document.documentElement.scrollWidth > innerWidth"), false, "the page scrolls sideways");
    await page.close();
  },
};

const failed = [];
async function run(size, area, titles, is_last = false) {
  const name = size.mobile ? "phone" : "desktop";
  await Promise.all(titles.map(async (title) => {
    try { await tests[title](size, area, is_last); console.log(`ok ${name}: ${title}`); } catch (why) {
      failed.push(title);
      console.log(`FAILED ${name}: ${title}\n${why.stack}`);
    }
  }));
}
// At once, but for the two that change what the others use.
const [silence, no_stream, rest] = [[], [], []];
for (const title of Object.keys(tests)) (title.startsWith("silence") ? silence : title.startsWith("no stream") ? no_stream : rest).push(title);
await run(DESKTOP, "415", [...silence, ...rest]);
await run(PHONE, "212", rest);
await run(DESKTOP, "417", no_stream);
await run(PHONE, "213", no_stream);
await run(PHONE, "212", silence, true);
await chromium.close();
process.exit(failed.length ? 1 : 0);
