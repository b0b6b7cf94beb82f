// The built client against a demo: node test.mjs URL. scripts/openapi runs it.
import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { Phlo2fa, PhloError, verifyWebhook } from "./dist/index.js";

const url = process.argv[2], to = "+13105550100";
const phlo = new Phlo2fa({ url, key: "demo" });

const idempotencyKey = randomUUID();
const created = await phlo.create({ to, locale: "de" }, { idempotencyKey });
assert.equal(created.status, "pending");
assert.equal((await phlo.create({ to, locale: "de" }, { idempotencyKey })).id, created.id, "the same answer again");
assert.ok(created.client_token);
const code = await (async () => {
  for (let tries = 0; tries < 600; tries += 1) {
    const { messages } = await (await fetch(`${url}/handset/${to.slice(1)}`)).json();
    if (messages.length) return messages[0].code;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("no text arrived");
})();
const wrong = await phlo.check(created.id, code === "000000" ? "111111" : "000000");
assert.deepEqual([wrong.result, wrong.checks_remaining], ["incorrect", 4]);
await assert.rejects(phlo.attempt(created.id, "sms"), (why) => why instanceof PhloError && why.code === "resend_cooldown" && why.retryAfter > 0);
assert.equal((await phlo.check(created.id, code)).result, "verified");
assert.equal((await phlo.get(created.id)).status, "verified");
await assert.rejects(phlo.check(created.id, code), (why) => why instanceof PhloError && why.status === 409 && why.code === "already_verified");
await assert.rejects(phlo.create({ to: "+1" }), (why) => why.code === "invalid_number" && why.problem.user_message.length > 0);
await assert.rejects(new Phlo2fa({ url, key: "not-the-key" }).get(created.id), (why) => why.code === "unauthenticated");
const canceled = await phlo.create({ to, purpose: "another" });
assert.equal((await phlo.cancel(canceled.id)).status, "canceled");

// A request that is not answered is repeated, with the same key.
const keys = [];
const flaky = new Phlo2fa({ url, key: "demo", fetch: async (request) => {
  keys.push(request.headers.get("idempotency-key"));
  if (keys.length === 1) throw new TypeError("connection reset");
  if (keys.length === 2) return new Response('{"code":"storage_unavailable"}', { status: 503, headers: { "Content-Type": "application/problem+json" } });
  return fetch(request);
} });
assert.equal((await flaky.create({ to, purpose: "flaky" })).status, "pending");
assert.deepEqual([keys.length, new Set(keys).size], [3, 1]);

// The signature by the specification of Standard Webhooks.
const secret = Buffer.from("the secret of this test, 32 bytes").toString("base64");
const body = JSON.stringify({ type: "verification.verified", timestamp: "2026-11-30T21:52:09.839Z", data: { id: created.id, status: "verified" } });
const headers = (at) => {
  const [id, timestamp] = ["evt_1", String(Math.floor(at))];
  const signature = createHmac("sha256", Buffer.from(secret, "base64")).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
};
const now = Date.now() / 1000;
assert.equal(verifyWebhook(`whsec_${secret}`, body, headers(now)).data.status, "verified");
assert.throws(() => verifyWebhook(`whsec_${secret}`, body.replace("evt", "x").replace("verified", "expired"), headers(now)));
assert.throws(() => verifyWebhook(`whsec_${secret}`, body, headers(now - 3600)));
console.log("TypeScript package: ok");
