// What stands before the replicas: it passes each request to the first one that answers, and cuts what a dead one held.
import http from "node:http";

export class Balancer {
  constructor() {
    Object.assign(this, { replicas: [], streams: 0, resumed: 0, refuses_streams: false });
    this.server = http.createServer((request, response) => this.pass(request, response));
  }
  async listen() {
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return this.url = `http://127.0.0.1:${this.server.address().port}`;
  }
  async pass(request, response) {
    const is_stream = request.url.includes("/stream") && request.headers.accept === "text/event-stream";
    if (is_stream && request.headers["last-event-id"]) this.resumed += 1;
    if (is_stream && this.refuses_streams) return response.writeHead(503, { "Access-Control-Allow-Origin": "*" }).end();
    const body = [];
    for await (const part of request) body.push(part);
    for (const replica of this.replicas) {
      const answer = await this.ask(replica, request, Buffer.concat(body)).catch(() => null);
      if (!answer) continue;
      response.writeHead(answer.statusCode, answer.headers);
      if (is_stream) answer.once("data", () => { this.streams += 1; });
      answer.on("error", () => response.destroy());
      response.on("close", () => answer.destroy());
      answer.pipe(response);
      return;
    }
    response.writeHead(502).end();
  }
  ask(replica, { method, url, headers }, body) {
    return new Promise((resolve, reject) => {
      http.request(replica + url, { method, headers, agent: false }, resolve).on("error", reject).end(body);
    });
  }
}
