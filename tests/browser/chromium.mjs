// A Chromium, driven through the DevTools protocol over a pipe: messages are JSON, each ended by a zero byte, so that no
// package is needed. Source: chromedevtools.github.io/devtools-protocol, and `--remote-debugging-pipe` of Chromium.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const PHONE = { width: 360, height: 740, deviceScaleFactor: 2, mobile: true };
export const DESKTOP = { width: 1280, height: 900, deviceScaleFactor: 1, mobile: false };
export const PATIENCE = 90_000; // milliseconds; generous, because a loaded machine is slow

export class Chromium {
  constructor(program) {
    this.folder = mkdtempSync(join(tmpdir(), "phlo-chromium-"));
    const flags = ["--headless=new", "--hide-scrollbars", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe",
      "--disable-background-networking", "--no-proxy-server", `--user-data-dir=${this.folder}`, "about:blank"];
    this.child = spawn(program, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    [this.sent, this.waiting, this.listeners] = [0, new Map(), []];
    let rest = "";
    this.child.stdio[4].setEncoding("utf8").on("data", (data) => {
      const messages = (rest + data).split("\0");
      rest = messages.pop();
      messages.forEach((message) => this.take(JSON.parse(message)));
    });
  }
  take(message) {
    const waiting = this.waiting.get(message.id);
    if (!waiting) return this.listeners.forEach((listen) => listen(message));
    this.waiting.delete(message.id);
    if (message.error) waiting.reject(new Error(message.error.message));
    else waiting.resolve(message.result);
  }
  send(method, params = {}, sessionId = undefined) {
    const id = this.sent += 1;
    this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }
  // Opens a page in a context of its own: nothing is cached or remembered.
  async open(url, { size = DESKTOP, dark = false, language = "en-US" } = {}) {
    const { browserContextId } = await this.send("Target.createBrowserContext");
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank", browserContextId });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, targetId, sessionId);
    for (const domain of ["Page", "Runtime", "Log"]) await page.send(`${domain}.enable`);
    await page.send("Emulation.setDeviceMetricsOverride", size);
    if (size.mobile) await page.send("Emulation.setTouchEmulationEnabled", { enabled: true });
    await page.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }] });
    await page.send("Emulation.setFocusEmulationEnabled", { enabled: true });
    await page.send("Emulation.setLocaleOverride", { locale: language });
    await page.send("Page.navigate", { url });
    return page;
  }
  async close() {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.send("Browser.close").catch(() => {});
    await ended;
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Page {
  constructor(chromium, targetId, sessionId) {
    Object.assign(this, { chromium, targetId, sessionId, complaints: [] });
    chromium.listeners.push(({ sessionId: of, method, params }) => {
      if (of !== sessionId) return;
      if (method === "Runtime.exceptionThrown") this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
      if (method === "Log.entryAdded" && params.entry.source === "security") this.complaints.push(params.entry.text);
    });
  }
  send(method, params) { return this.chromium.send(method, params, this.sessionId); }
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true, userGesture: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }
  // Waits until an expression is true, or for what it then is.
  async until(expression, what = expression) {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const value = await this.evaluate(expression).catch(() => false);
      if (value) return value;
      if (Date.now() > deadline) throw new Error(`waited in vain for: ${what}; the page says: ${await this.evaluate("document.body.innerText")}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  // What a keyboard or a paste enters where the focus is.
  type(text) { return this.send("Input.insertText", { text }); }
  async press(key, text) {
    const codes = { Enter: 13, Tab: 9, " ": 32 };
    const event = { key, code: key === " " ? "Space" : key, windowsVirtualKeyCode: codes[key], text };
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", ...event });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }
  async screenshot(file, whole = false) {
    const { data } = await this.send("Page.captureScreenshot", { format: "png", captureBeyondViewport: whole });
    writeFileSync(file, Buffer.from(data, "base64"));
  }
  close() { return this.chromium.send("Target.closeTarget", { targetId: this.targetId }); }
}
