// Runs axe on each page of pages.txt in light, in dark and on a phone. Fails on a serious or critical finding.
//
// node check.mjs URL CHROMIUM
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import CDP from "chrome-remote-interface";

const [url, chromium] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const pages = readFileSync(new URL("pages.txt", import.meta.url), "utf8").split("\n").map((line) => line.trim())
  .filter((line) => line && !line.startsWith("#"))
  .map((line) => { const [path, ...selector] = line.split(/\s+/); return { path, selector: selector.join(" ") || "body" }; });
const desktop = { width: 1280, height: 900, deviceScaleFactor: 1, mobile: false };
const views = [
  { name: "light", scheme: "light", screen: desktop },
  { name: "dark", scheme: "dark", screen: desktop },
  { name: "phone", scheme: "light", screen: { width: 390, height: 844, deviceScaleFactor: 2, mobile: true } },
];
const FAILS = ["serious", "critical"];
// How long a page may take. Generous, because a loaded machine is slow.
const PATIENCE_MS = 60_000;

const profile = mkdtempSync(join(tmpdir(), "phlo-2fa-axe-"));
const isRoot = process.getuid?.() === 0;
const browser = spawn(chromium, [
  "--headless=new", "--remote-debugging-port=0", `--user-data-dir=${profile}`, "--no-first-run", "--disable-gpu",
  "--disable-dev-shm-usage", "--no-proxy-server", ...(isRoot ? ["--no-sandbox"] : []), "about:blank",
], { stdio: ["ignore", "ignore", "pipe"] });

/** The port that Chromium has chosen; it says so on standard error. */
function debuggingPort() {
  return new Promise((resolve, reject) => {
    let said = "";
    browser.stderr.on("data", (chunk) => {
      said += chunk;
      const found = said.match(/DevTools listening on ws:\/\/[^:]+:(\d+)\//);
      if (found) resolve(Number(found[1]));
    });
    browser.on("error", reject);
    browser.on("exit", (code) => reject(new Error(`Chromium ended (${code}):\n${said}`)));
    setTimeout(() => reject(new Error(`Chromium does not start:\n${said}`)), PATIENCE_MS).unref();
  });
}

/** The value of an expression in the page. */
async function evaluate(client, expression) {
  const { result, exceptionDetails } = await client.Runtime.evaluate({ expression, awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
}

/** Opens a page as a view shows it, and returns what axe finds. */
async function check(port, page, view) {
  const target = await CDP.New({ port });
  const client = await CDP({ port, target });
  try {
    await client.Page.enable();
    await client.Emulation.setDeviceMetricsOverride(view.screen);
    await client.Emulation.setEmulatedMedia({ features: [{ name: "prefers-color-scheme", value: view.scheme }] });
    const loaded = client.Page.loadEventFired();
    await client.Page.navigate({ url: url + page.path });
    await loaded;
    const status = await evaluate(client, "performance.getEntriesByType('navigation')[0].responseStatus");
    if (status !== 200) throw new Error(`it answers ${status}`);
    const start = Date.now();
    while (!(await evaluate(client, `document.querySelector(${JSON.stringify(page.selector)}) !== null`))) {
      if (Date.now() - start > PATIENCE_MS) throw new Error(`${page.selector} does not appear`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await evaluate(client, `${axe}; undefined`);
    const { violations, passes } = await evaluate(client, `axe.run(document, { resultTypes: ["violations"] })
      .then(({ violations, passes }) => ({ passes: passes.length, violations: violations.map(({ id, impact, help, nodes }) =>
        ({ id, impact, help, nodes: nodes.map(({ target, failureSummary }) => ({ target: target.join(" "), failureSummary })) })) }))`);
    if (!passes) throw new Error("axe has checked nothing");
    return violations;
  } finally {
    await client.close();
    await CDP.Close({ port, id: target.id });
  }
}

let failures = 0, lesser = 0;
try {
  const port = await debuggingPort();
  for (const page of pages) {
    for (const view of views) {
      const found = await check(port, page, view).catch((error) => { throw new Error(`${page.path} (${view.name}): ${error.message}`); });
      for (const { id, impact, help, nodes } of found) {
        const fails = FAILS.includes(impact);
        if (fails) failures += 1; else lesser += 1;
        console.log(`${fails ? "FAIL" : "note"} ${page.path} (${view.name}): ${impact} ${id}: ${help}`);
        for (const { target, failureSummary } of fails ? nodes : nodes.slice(0, 1)) {
          console.log(`     ${target}\n       ${failureSummary.replaceAll("\n", "\n       ")}`);
        }
      }
    }
  }
} catch (error) {
  console.error(`axe: ${error.message}`);
  failures += 1;
} finally {
  const ended = new Promise((resolve) => browser.once("close", resolve));
  browser.removeAllListeners("exit");
  if (browser.exitCode === null && browser.kill()) await ended;
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}
console.log(`axe: ${pages.length} pages in ${views.map(({ name }) => name).join(", ")}: ${failures} serious or critical, ${lesser} lesser findings`);
process.exitCode = failures ? 1 : 0;
