// A site of another origin: its page has the widget, and its back end creates and checks. Its policy is as strict as one can
// be: no inline script or style, no eval, and nothing but the service to talk to.
import http from "node:http";

const PAGE = (service, attributes) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>Shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<script src="${service}/widget.js" async></script><script src="/page.js"></script>
<main><h1>Sign up</h1><phlo-verify create-url="/create" check-url="/check" ${attributes}></phlo-verify></main>`;
const SCRIPT = "addEventListener('phlo-verified', ({ detail }) => { window.verified = detail; });";

export class Site {
  constructor(service, key) {
    Object.assign(this, { service, key });
    this.server = http.createServer((request, response) => this.answer(request, response));
  }
  async listen() {
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return this.url = `http://127.0.0.1:${this.server.address().port}`;
  }
  async answer(request, response) {
    const { pathname, searchParams } = new URL(request.url, this.url);
    if (request.method === "POST") return this.ask(pathname, request, response);
    if (pathname === "/page.js") return response.writeHead(200, { "Content-Type": "text/javascript" }).end(SCRIPT);
    response.writeHead(200, { "Content-Type": "text/html", "Content-Security-Policy":
      `default-src 'none'; script-src 'self' ${this.service}; connect-src 'self' ${this.service}; require-trusted-types-for 'script'` });
    response.end(PAGE(this.service, searchParams.get("with") ?? ""));
  }
  async ask(path, request, response) {
    let text = "";
    for await (const part of request) text += part;
    const { to, channel, locale, id, code, idempotency_key } = JSON.parse(text);
    const [url, body] = path === "/create" ? ["/v1/verifications", { to, channel, locale }] : [`/v1/verifications/${id}/checks`, { code }];
    const headers = { Authorization: `Bearer ${this.key}`, "Content-Type": "application/json", "Idempotency-Key": idempotency_key };
    const answer = await fetch(this.service + url, { method: "POST", headers, body: JSON.stringify(body) });
    response.writeHead(answer.status, { "Content-Type": "application/json" }).end(await answer.text());
  }
}
